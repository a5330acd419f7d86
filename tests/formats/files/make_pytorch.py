"""Writes the PyTorch samples with PyTorch: `pip install torch==2.13.0`, run, commit the files."""

from pathlib import Path

import torch
from torch import nn

FOLDER = Path(__file__).parent


class Block(nn.Module):
    """A small network with a branch and a loop that depend on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU6(inplace=True)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.conv(x)))
        left, right = torch.chunk(torch.cat([x, self.depthwise(x)], 1), 2, 1)
        x = nn.functional.adaptive_avg_pool2d(left + right, 1).flatten(1)
        if x.sum() > 0:
            x = x + 1
        for _ in range(x.size(0)):
            x = x * 2.0
        return torch.softmax(self.fc(x), -1)


class Plain(nn.Sequential):
    """A network that can be traced."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5))


torch.manual_seed(0)
block, plain = Block().eval(), Plain().eval()
scripted = torch.jit.script(block)
scripted._save_for_lite_interpreter(str(FOLDER / "pytorch_mobile.ptl"))
torch.jit.freeze(scripted).save(str(FOLDER / "pytorch_frozen.pt"))
traced = torch.jit.trace(plain, torch.zeros(1, 3, 8, 8))
traced.save(str(FOLDER / "pytorch_traced.pt"))
tiny = torch.jit.freeze(torch.jit.script(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()).eval()))
tiny._save_for_lite_interpreter(str(FOLDER / "pytorch_tiny.ptl"))
state = {**block.state_dict(), "turned": torch.arange(6.0).reshape(2, 3).T}
torch.save(state, FOLDER / "pytorch_state.pth")
torch.save(block.state_dict(), FOLDER / "pytorch_legacy.pth", _use_new_zipfile_serialization=False)

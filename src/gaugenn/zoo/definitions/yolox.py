"""YOLOX, a one-stage detector without anchors: https://arxiv.org/abs/2107.08430."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gaugenn.zoo.definitions._blocks import Residual, convolution, separable


def _conv(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Module:
    return convolution(inputs, outputs, kernel, stride, activation=nn.SiLU, epsilon=1e-3)


def _light(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    return separable(inputs, outputs, kernel, stride, activation=nn.SiLU)


class _CrossStage(nn.Module):
    """Half of the channels goes through bottlenecks, the other half past them.

    Source: https://arxiv.org/abs/1911.11929
    """

    def __init__(self, inputs: int, outputs: int, blocks: int, *, residual: bool = True) -> None:
        super().__init__()
        width = outputs // 2
        self.through = _conv(inputs, width)
        self.past = _conv(inputs, width)
        paths = (nn.Sequential(_conv(width, width), _light(width, width)) for _ in range(blocks))
        self.blocks = nn.Sequential(*(Residual(p) if residual else p for p in paths))
        self.join = _conv(2 * width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, outputs, height, width)."""
        return self.join(torch.cat([self.blocks(self.through(x)), self.past(x)], 1))


class _PyramidPooling(nn.Module):
    """Maxima over windows of three sizes beside the input itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = channels // 2
        self.squeeze = _conv(channels, width)
        self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))
        self.join = _conv(4 * width, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        x = self.squeeze(x)
        return self.join(torch.cat([x, *(pool(x) for pool in self.pools)], 1))


class _Head(nn.Module):
    """Box, objectness and class logits of one scale, from separate branches."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.stem = _conv(inputs, width)
        self.class_branch = nn.Sequential(_light(width, width), _light(width, width))
        self.box_branch = nn.Sequential(_light(width, width), _light(width, width))
        self.classes = nn.Conv2d(width, classes, 1)
        self.box = nn.Conv2d(width, 4, 1)
        self.objectness = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 5 + classes, height x width)."""
        x = self.stem(x)
        boxes = self.box_branch(x)
        answer = [self.box(boxes), self.objectness(boxes), self.classes(self.class_branch(x))]
        return torch.cat(answer, 1).flatten(2)


class _Yolox(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        one, two, four, eight, sixteen = (width * 2**i for i in range(5))
        self.stem = _conv(12, one, 3)
        self.stage_2 = nn.Sequential(_light(one, two, 3, 2), _CrossStage(two, two, 1))
        self.stage_3 = nn.Sequential(_light(two, four, 3, 2), _CrossStage(four, four, 3))
        self.stage_4 = nn.Sequential(_light(four, eight, 3, 2), _CrossStage(eight, eight, 3))
        self.stage_5 = nn.Sequential(
            _light(eight, sixteen, 3, 2),
            _PyramidPooling(sixteen),
            _CrossStage(sixteen, sixteen, 1, residual=False),
        )
        self.lateral = _conv(sixteen, eight)
        self.down_4 = _CrossStage(sixteen, eight, 1, residual=False)
        self.reduce = _conv(eight, four)
        self.down_3 = _CrossStage(eight, four, 1, residual=False)
        self.shrink_3 = _light(four, four, 3, 2)
        self.up_4 = _CrossStage(eight, eight, 1, residual=False)
        self.shrink_4 = _light(eight, eight, 3, 2)
        self.up_5 = _CrossStage(sixteen, sixteen, 1, residual=False)
        self.heads = nn.ModuleList(_Head(c, four, classes) for c in (four, eight, sixteen))

    def forward(self, x: Tensor) -> Tensor:
        """Raw answers of all three scales, (batch, 5 + classes, places)."""
        corners = [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        third = self.stage_3(self.stage_2(self.stem(torch.cat(corners, 1))))
        fourth = self.stage_4(third)
        lateral = self.lateral(self.stage_5(fourth))
        enlarged = functional.interpolate(lateral, scale_factor=2.0, mode="nearest")
        reduced = self.reduce(self.down_4(torch.cat([enlarged, fourth], 1)))
        enlarged = functional.interpolate(reduced, scale_factor=2.0, mode="nearest")
        fine = self.down_3(torch.cat([enlarged, third], 1))
        middle = self.up_4(torch.cat([self.shrink_3(fine), reduced], 1))
        coarse = self.up_5(torch.cat([self.shrink_4(middle), lateral], 1))
        maps = zip(self.heads, (fine, middle, coarse), strict=True)
        return torch.cat([head(m) for head, m in maps], 2)


def yolox_nano() -> nn.Module:
    """416 x 416, 80 classes, 3,549 places; answers are raw, without suppression."""
    return _Yolox(16, 80)

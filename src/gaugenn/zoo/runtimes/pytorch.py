"""TorchScript on the CPU."""

import importlib
from collections.abc import Sequence

from gaugenn.zoo._order import ModelInput
from gaugenn.zoo.runtimes import Array, Runtime


class PyTorch(Runtime):
    """The saved trace, loaded anew."""

    title = "PyTorch"
    spec = "https://docs.pytorch.org/docs/stable/generated/torch.jit.load.html"
    format = "pytorch"
    distribution = "torch"

    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """See `Runtime.run`."""
        del inputs
        torch = importlib.import_module("torch")
        module = torch.jit.load(files[0])
        with torch.inference_mode():
            found = module(*(torch.from_numpy(value) for value in values))
        listed = found if isinstance(found, tuple | list) else (found,)
        return [tensor.float().numpy() for tensor in listed]

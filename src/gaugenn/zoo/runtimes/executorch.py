"""ExecuTorch with XNNPACK and the portable kernels."""

import importlib
from collections.abc import Sequence

from gaugenn.zoo._order import ModelInput
from gaugenn.zoo.runtimes import Array, Runtime


class Executorch(Runtime):
    """The method `forward`."""

    title = "ExecuTorch"
    spec = "https://docs.pytorch.org/executorch/stable/using-executorch-runtime-integration.html"
    format = "executorch"
    distribution = "executorch"

    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """See `Runtime.run`."""
        del inputs
        torch = importlib.import_module("torch")
        runtime = importlib.import_module("executorch.runtime").Runtime.get()
        method = runtime.load_program(files[0]).load_method("forward")
        tensors = [torch.from_numpy(value) for value in values]
        return [tensor.float().numpy() for tensor in method.execute(tensors)]

"""ncnn on the CPU."""

import importlib
from collections.abc import Sequence

import numpy as np

from gaugenn.zoo._order import ModelInput
from gaugenn.zoo.runtimes import Array, Runtime, RuntimeRefusal


class Ncnn(Runtime):
    """With 16-bit storage switched off, so that what is compared is the file."""

    title = "ncnn"
    spec = "https://github.com/Tencent/ncnn/wiki"
    format = "ncnn"
    distribution = "ncnn"

    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """See `Runtime.run`."""
        del inputs
        library = importlib.import_module("ncnn")
        net = library.Net()
        options = net.opt
        options.use_fp16_packed = options.use_fp16_storage = False
        options.use_fp16_arithmetic = options.use_bf16_storage = False
        if net.load_param(files[0]) != 0 or net.load_model(files[1]) != 0:
            raise RuntimeRefusal("ncnn cannot load the files")
        extractor = net.create_extractor()
        for position, value in enumerate(values):
            extractor.input(f"in{position}", library.Mat(np.ascontiguousarray(value[0])).clone())
        found = []
        for position in range(len(net.output_names())):
            code, mat = extractor.extract(f"out{position}")
            if code != 0:
                raise RuntimeRefusal(f"ncnn cannot compute out{position} (code {code})")
            found.append(np.array(mat))
        return found

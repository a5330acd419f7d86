"""MNN on the CPU."""

import importlib
from collections.abc import Sequence

import numpy as np

from gaugenn.zoo._order import ModelInput
from gaugenn.zoo.runtimes import Array, Runtime, RuntimeRefusal


class Mnn(Runtime):
    """Precision `high`, which is float32."""

    title = "MNN"
    spec = "https://mnn-docs.readthedocs.io/en/latest/pymnn/MNN.html"
    format = "mnn"
    distribution = "MNN"

    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """See `Runtime.run`."""
        library = importlib.import_module("MNN")
        interpreter = library.Interpreter(files[0])
        session = interpreter.createSession({"backend": "CPU", "precision": "high"})
        held = []
        for given, value in zip(inputs, values, strict=True):
            tensor = interpreter.getSessionInput(session, given.name)
            whole = value.dtype.kind == "i"
            kind = library.Halide_Type_Int if whole else library.Halide_Type_Float
            layout = library.Tensor_DimensionType_Caffe
            held.append(np.ascontiguousarray(value))
            source = library.Tensor(given.shape, kind, held[-1], layout)
            if not tensor.copyFrom(source):
                raise RuntimeRefusal(f"MNN does not take input {given.name}")
        if interpreter.runSession(session) != 0:
            raise RuntimeRefusal("MNN cannot run the model")
        outputs = interpreter.getSessionOutputAll(session)
        return [_array(library, outputs[name]) for name in sorted(outputs)]


def _array(library: object, tensor: object) -> Array:
    """The tensor in the order of the definition's dimensions."""
    shape = tensor.getShape()  # type: ignore[attr-defined]
    room = np.zeros(shape, np.float32)
    layout = library.Tensor_DimensionType_Caffe  # type: ignore[attr-defined]
    kind = library.Halide_Type_Float  # type: ignore[attr-defined]
    target = library.Tensor(shape, kind, room, layout)  # type: ignore[attr-defined]
    tensor.copyToHostTensor(target)  # type: ignore[attr-defined]
    return np.array(target.getNumpyData(), np.float32).reshape(shape)

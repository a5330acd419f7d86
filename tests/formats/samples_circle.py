"""Circle samples, assembled as TensorFlow Lite's are."""

from collections.abc import Iterable

from tests.formats import samples_tflite as tflite
from tests.formats.samples import Sample


def plain() -> bytes:
    """Operators that both formats have."""
    file = tflite.float_file()
    file.identifier, file.version = b"CIR0", 0
    return file.data()


def added() -> bytes:
    """One operator that only Circle has, between two others."""
    file = tflite.File(identifier=b"CIR0", version=0)
    file.codes += [
        {0: ("i8", 19), 3: ("i32", 19)},
        {0: ("i8", -2), 3: ("i32", -2)},
    ]
    graph = file.graph()
    names = ("x", "y", "z")
    x, y, z = (graph.tensor(name, (1, 4, 4, 2)) for name in names)
    gamma = graph.tensor("gamma", (2,), data=tflite.floats(2))
    graph.inputs, graph.outputs = (x,), (z,)
    graph.operators += [
        {0: ("u32", 0), 1: ("[i32]", (x,)), 2: ("[i32]", (y,))},
        {0: ("u32", 1), 1: ("[i32]", (y, gamma, gamma)), 2: ("[i32]", (z,))},
    ]
    return file.data()


def samples() -> Iterable[Sample]:
    """With and without operators of its own."""
    for name, source in (("plain", plain), ("added", added)):
        yield Sample(name=name, format="circle", source=source, file_name=f"{name}.circle")

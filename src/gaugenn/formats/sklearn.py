"""scikit-learn: pickled estimators, walked as inert data; nothing in them is ever called."""

import math
import re
from collections.abc import Iterator, Mapping

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._joblib import WRAPPER, item_code, walk_joblib
from gaugenn.formats._pickle import Call, Pairs, Value, looks_like_pickle, walk
from gaugenn.graph import AttributeValue, DataType, Graph, Model, Node, Tensor, TensorKind

_FIRST_CLASS = re.compile(
    rb"\x80.(?:\x95.{8})?(?:ccopy_reg\n_reconstructor\n(?:q.)?\(?)?"
    rb"(?:csklearn\.[\w.]{3,80}\n\w+\n|\x8c.sklearn\.[\w.]{3,80}\x94?\x8c.\w{1,80}\x94?\x93)",
    re.DOTALL,
)
"""A class of scikit-learn as the first thing in a pickle, in older and newer protocols."""
_ARRAY = re.compile(r"numpy\.(?:_?core)\.multiarray\._reconstruct")
_JOBLIB = b"ArrayWrapper"
_BUFFER = re.compile(r"numpy\.(?:_?core)\.numeric\._frombuffer")
"""What makes an array in pickles up to protocol 4, and from protocol 5 on."""
_STEP_LIMIT = 256
_ITEMS: Mapping[str, DataType] = {
    "f8": DataType.FLOAT64,
    "f4": DataType.FLOAT32,
    "i8": DataType.INT64,
    "i4": DataType.INT32,
    "i1": DataType.INT8,
    "u1": DataType.UINT8,
    "b1": DataType.BOOL,
}


class SklearnReader(FormatReader):
    """Reads one estimator, or the steps of a pipeline, as one node each: the remark is `classical-ml`.

    Settings are attributes, learned arrays are weights, from plain pickles and from joblib's. Trees
    keep what they learned in a form of their own and have no weights here.
    """

    title = "scikit-learn"
    spec = "https://scikit-learn.org/stable/model_persistence.html"
    suffixes = (".pkl", ".pickle", ".joblib")
    magics = ((0, b"\x80\x04\x95"),)

    def sniff(self, name: str, head: bytes) -> bool:
        """By a pickle whose first class is scikit-learn's."""
        del name
        return looks_like_pickle(head) and _FIRST_CLASS.match(head) is not None

    def read(self, content: Content) -> Model:
        """Reads settings and arrays.

        Raises:
            FormatError: cut off, or no estimator.
            UnsupportedFormatError: written by a joblib whose arrays lie in other files.
        """
        mixed = _JOBLIB in bytes(content.data[: 1 << 20])
        root = (
            walk_joblib(content.data, content.name)
            if mixed
            else walk(content.data, content.name).value
        )
        if not isinstance(root, Call) or not root.called.startswith("sklearn."):
            raise FormatError(f"{content.name}: the pickle holds no estimator of scikit-learn")
        return _model(root)


def _steps(root: Call) -> Iterator[tuple[str, Call]]:
    """The estimators of a pipeline with their names, or the one."""
    state = root.state
    steps = state.get("steps") if isinstance(state, Pairs) else None
    found = [
        (step[0], step[1])
        for step in (steps if isinstance(steps, list) else [])[:_STEP_LIMIT]
        if isinstance(step, tuple) and len(step) == 2
    ]
    named = [(n, c) for n, c in found if isinstance(n, str) and isinstance(c, Call)]
    if root.called.endswith(".Pipeline") and named:
        yield from named
    else:
        yield root.called.rpartition(".")[2], root


def _model(root: Call) -> Model:
    tensors = {"input": Tensor(name="input", dtype=DataType.FLOAT64, shape=None)}
    nodes: list[Node] = []
    version, before = "", "input"
    for number, (name, call) in enumerate(_steps(root)):
        attributes: dict[str, AttributeValue] = {}
        weights: list[str] = []
        for key, value in call.state.items if isinstance(call.state, Pairs) else []:
            if not isinstance(key, str):
                continue
            if key == "_sklearn_version" and isinstance(value, str):
                version = value
            elif isinstance(value, bool | int | float | str):
                attributes[key] = value
            else:
                tensor = _array(f"{number}.{name}/{key}", value)
                if tensor is not None and tensor.name not in tensors:
                    tensors[tensor.name] = tensor
                    weights.append(tensor.name)
        made = f"{number}.{name}"
        tensors[made] = Tensor(name=made, dtype=DataType.FLOAT64, shape=None)
        nodes.append(
            Node(
                name=name,
                operator="",
                source_operator=call.called.rpartition(".")[2] or "object",
                inputs=(before, *weights),
                outputs=(made,),
                attributes=attributes,
            )
        )
        before = made
    graph = Graph(
        name="", tensors=tensors, nodes=tuple(nodes), inputs=("input",), outputs=(before,)
    )
    return Model(
        format="sklearn",
        format_version=version,
        producer=f"scikit-learn {version}".strip(),
        graphs=(graph,),
        notes=("classical-ml",),
    )


def _array(name: str, value: Value) -> Tensor | None:
    """A numpy array of numbers, from the record of what would make it: version, shape, type, order."""
    if not isinstance(value, Call):
        return None
    held: Value
    if _ARRAY.fullmatch(value.called) and isinstance(value.state, tuple) and len(value.state) == 5:
        _, sizes, kind, turned, held = value.state
    elif (
        _BUFFER.fullmatch(value.called)
        and isinstance(value.arguments, tuple)
        and len(value.arguments) == 4
    ):
        held, kind, sizes, order = value.arguments
        turned = order != "C"
    elif value.called == WRAPPER and isinstance(value.state, Pairs) and value.elements:
        kind, sizes = value.state.get("dtype"), value.state.get("shape")
        turned, held = value.state.get("order") != "C", value.elements[0]
    else:
        return None
    dtype = _ITEMS.get(item_code(kind))
    if dtype is None or not isinstance(sizes, tuple) or len(sizes) > 32:
        return None
    shape = tuple(s for s in sizes if isinstance(s, int) and not isinstance(s, bool) and s >= 0)
    if len(shape) != len(sizes) or math.prod(shape) >= 1 << 48:
        raise FormatError(f"array {name[:80]!r} has the sizes {str(sizes)[:80]}")
    return Tensor(
        name=name,
        dtype=dtype,
        shape=shape,
        data=memoryview(held) if isinstance(held, bytes | memoryview) and not turned else None,
        kind=TensorKind.CONSTANT,
    )

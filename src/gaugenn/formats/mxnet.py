"""MXNet: a graph of symbols in JSON (`-symbol.json`), and its arrays (`-0000.params`)."""

import re
from collections.abc import Mapping

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _json, _mxnet_arrays
from gaugenn.formats import _mxnet_operators as operators
from gaugenn.formats._assembly import unique
from gaugenn.formats._attributes import LARGEST, Attributes
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._draft import Draft, Mapped
from gaugenn.formats._weights_only import weights_model
from gaugenn.graph import AttributeValue, DataType, Graph, Model, Shape, Tensor, TensorKind

_BEGINS = re.compile(rb'\s*\{\s*"nodes"\s*:\s*\[\s*\{\s*"(?:op|name)"\s*:\s*"')
_OPERATOR = re.compile(rb'"op"\s*:\s*"')
_PARAMS = re.compile(r"(.+?)(?:-\d{4})?\.params")
_EPOCHS = 100
_RESULT_LIMIT = 1 << 10
_WEIGHT = re.compile(
    r".*(?:_|\.)(?:weight|bias|gamma|beta|(?:moving|running)_(?:mean|var)|parameters|alpha)"
)


class MxnetReader(FormatReader):
    """Reads a graph with or without its arrays, and arrays alone.

    MXNet's files do not say how large the inputs are, unless a variable was given a shape.
    """

    title = "MXNet"
    spec = "https://github.com/apache/mxnet/blob/master/3rdparty/tvm/nnvm/src/pass/saveload_json.cc"
    suffixes = (".params", ".json")
    magics = ((0, _mxnet_arrays.MAGIC),)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the first node, or the arrays' number."""
        del name
        if head.startswith(_mxnet_arrays.MAGIC):
            return True
        return _BEGINS.match(head) is not None and _OPERATOR.search(head) is not None

    def graph_names(self, name: str) -> tuple[str, ...]:
        """`x-symbol.json` of `x-0000.params`."""
        found = _PARAMS.fullmatch(name)
        return (f"{found[1]}-symbol.json", f"{found[1]}.json") if found else ()

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The arrays of the lowest epoch."""
        if not content.has_suffix(".json"):
            return ()
        stem = content.file_name[: -len(".json")].removesuffix("-symbol")
        names = [f"{stem}-{epoch:04d}.params" for epoch in range(_EPOCHS)]
        for name in (*names, f"{stem}.params"):
            found = content.beside(name)
            if found is not None and found.head(16) == _mxnet_arrays.MAGIC:
                return (found,)
        return ()

    def read(self, content: Content) -> Model:
        """Reads the graph and its arrays, or arrays alone.

        Raises:
            FormatError: a graph that contradicts itself, or arrays that are cut off.
            UnsupportedFormatError: a graph that TVM compiled, or sparse arrays.
        """
        try:
            return _model(self, content)
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


def _model(reader: MxnetReader, content: Content) -> Model:
    if content.head(16) == _mxnet_arrays.MAGIC:
        return weights_model("mxnet", "", _mxnet_arrays.read_arrays(content.data).values())
    symbol = _json.read_object(content.data, content.name)
    companions = reader.companions(content)
    arrays = _mxnet_arrays.read_arrays(companions[0].data) if companions else {}
    builder = _Builder(symbol, arrays)
    version = _version(_json.part(symbol, "attrs").get("mxnet_version"))
    return Model(
        format="mxnet",
        format_version=version,
        producer=f"MXNet {version}".rstrip(),
        graphs=(builder.graph(),),
        companions=tuple(each.file_name for each in companions),
        notes=("weights-absent",) if builder.lacking else (),
    )


def _version(value: object) -> str:
    """10901 is 1.9.1."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], int):
        return ""
    number = value[1]
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}" if 0 < number < 10**7 else ""


class _Builder:
    """A graph of symbols."""

    def __init__(self, symbol: _json.Object, arrays: Mapping[str, Tensor]) -> None:
        self._nodes = _json.parts(symbol, "nodes")
        if not self._nodes or any(not _json.text(node, "op") for node in self._nodes):
            raise FormatError("an MXNet graph without nodes, or with one that has no operator")
        if any(_json.text(node, "op") == "tvm_op" for node in self._nodes):
            raise UnsupportedFormatError(
                "a graph that TVM compiled: its operators are functions in a library. Look at the "
                "model that it was made from"
            )
        self._names = unique(_json.text(node, "name") for node in self._nodes)
        self._arrays = arrays
        self._draft = Draft()
        self.lacking = False
        self._taken = [self._sources(node.get("inputs"), at) for at, node in enumerate(self._nodes)]
        self._heads = self._sources(symbol.get("heads"), len(self._nodes))
        self._results = [1] * len(self._nodes)
        for node, result in (*self._heads, *(each for taken in self._taken for each in taken)):
            self._results[node] = max(self._results[node], result + 1)

    def _sources(self, value: object, at: int) -> list[tuple[int, int]]:
        """(node, result) pairs, of nodes before this one."""
        found = []
        for each in value if isinstance(value, list) else ():
            pair = each if isinstance(each, list) else [each, 0]
            node, result = (_json.whole(x, -1) for x in (*pair, 0)[:2])
            if not 0 <= node < at or not 0 <= result < _RESULT_LIMIT:
                raise FormatError(f"MXNet node {at} takes result {result} of node {node}")
            found.append((node, result))
        return found

    def _result(self, node: int, result: int) -> str:
        return f"{self._names[node]}:{result}" if result else self._names[node]

    def graph(self) -> Graph:
        """The finished graph."""
        found: list[Mapped | None] = []
        wanted: set[str] = set()
        for at, node in enumerate(self._nodes):
            op = _json.text(node, "op")
            if op == "null":
                found.append(None)
                continue
            call = self._call(at, node, op)
            mapped = operators.translate(call) or Mapped(
                attributes=call.given.values, inputs=call.inputs
            )
            wanted.update(mapped.inputs or ())
            found.append(mapped)
        wanted.update(self._result(*head) for head in self._heads)
        for at, mapped_ in enumerate(found):
            if mapped_ is not None:
                self._add(at, mapped_)
            elif self._names[at] in wanted:
                self._variable(at)
        outputs = [self._result(*head) for head in self._heads]
        return self._draft.graph(outputs=outputs or None)

    def _attributes(self, node: _json.Object) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {}
        for key in ("attr", "param", "attrs"):
            given = _json.part(node, key)
            for name, value in given.items():
                if isinstance(value, str):
                    found[name] = operators.parsed(value)
        return found

    def _call(self, at: int, node: _json.Object, op: str) -> operators.Call:
        names = tuple(self._result(*source) for source in self._taken[at])
        return operators.Call(
            op=op,
            given=Attributes(self._attributes(node)),
            inputs=names,
            outputs=self._results[at],
        )

    def _variable(self, at: int) -> None:
        name = self._names[at]
        held = self._arrays.get(name)
        if held is not None:
            self._draft.constant(held)
            return
        given = Attributes(self._attributes(self._nodes[at]))
        sizes = given.wholes("__shape__")
        shape: Shape | None = None
        if sizes and len(sizes) <= 32 and all(-2 < size < LARGEST for size in sizes):
            shape = tuple("?" if size < 1 else size for size in sizes)
        dtype = _mxnet_arrays.TYPES.get(given.whole("__dtype__", -1), DataType.FLOAT32)
        if _WEIGHT.fullmatch(name):
            self.lacking = True
            known = shape is not None and all(isinstance(size, int) for size in shape)
            kind = TensorKind.CONSTANT if known else TensorKind.VARIABLE
            self._draft.constant(Tensor(name=name, dtype=dtype, shape=shape, kind=kind))
        else:
            self._draft.feed(name, dtype, shape)

    def _add(self, at: int, mapped: Mapped) -> None:
        node = self._nodes[at]
        self._draft.node(
            source_operator=_json.text(node, "op"),
            inputs=mapped.inputs or (),
            outputs=[
                Tensor(name=self._result(at, result), dtype=DataType.FLOAT32, shape=None)
                for result in range(self._results[at])
            ],
            mapped=mapped,
            name=self._names[at],
        )

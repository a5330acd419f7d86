"""PyTorch: TorchScript programs with their weights, and checkpoints, which are weights alone."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._pickle import Call, Pairs, Value, walk
from gaugenn.formats._pytorch_graph import ScriptGraphs
from gaugenn.formats._pytorch_legacy import LEGACY_MAGIC, read_legacy
from gaugenn.formats._pytorch_script import Source, split_source
from gaugenn.formats._pytorch_tensors import PickledTensors, named_tensors
from gaugenn.formats._weights_only import weights_model
from gaugenn.formats._zip import ZipMembers, first_name, open_zip
from gaugenn.graph import Graph, Model, Node, Shape, TensorData

_SURE = re.compile(
    r"[^/]+/(?:data\.pkl|constants\.pkl|bytecode\.pkl|code/__torch__[./].*|\.format_version"
    r"|\.data/serialization_id|\.storage_alignment|traced_inputs\.pkl)"
)
"""Names that only PyTorch gives to the first member."""
_LIKELY = re.compile(
    r"[^/]+/(?:version|byteorder|(?:data|constants|traced_inputs|xl_model_weights)/\d+"
    r"|extra/.+|model\.json|tensors/\d+|attributes\.pkl|archive/.*)"
)
"""Names that need the writer's padding beside them."""
_PADDING = b"FB"
"""Id of the extra field that moves each member's bytes to a multiple of 64.

**Source:** https://github.com/pytorch/pytorch/blob/main/caffe2/serialize/inline_container.cc
"""
_MOBILE_FLATBUFFER = b"PTMF"
"""**Source:** https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/serialization/mobile_bytecode.fbs"""
_HEADER_BYTES = 30
_INFLATED_LIMIT = 8 << 20
"""Bytes to which a part may inflate beyond twice the file's size; PyTorch itself compresses nothing."""
_WORD_LIMIT = 64


class PytorchReader(FormatReader):
    """Reads `.pt` and `.ptl` by following the serialised source text from `forward`.

    TorchScript keeps neither types nor shapes of what it computes. Input shapes come from the traced
    example where the file keeps it; else an input that a convolution takes gets its rank and channels.
    A mobile file without source text gives its operators in the order of its bytecode, not connected.

    A checkpoint is a graph without nodes whose tensors are the weights, with the remark `weights-only`.
    """

    title = "PyTorch"
    spec = "https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/docs/serialization.md"
    suffixes = (".pt", ".pth", ".ptl", ".pt1", ".pyt", ".ckpt", ".torchscript")
    magics = ((0, b"PK\x03\x04"), (0, LEGACY_MAGIC), (4, _MOBILE_FLATBUFFER))

    def sniff(self, name: str, head: bytes) -> bool:
        """By the first member of the zip, the legacy number, or the mobile flatbuffer's identifier."""
        del name
        if head.startswith(LEGACY_MAGIC) or head[4:8] == _MOBILE_FLATBUFFER:
            return True
        member = first_name(head)
        if member is None:
            return False
        if _SURE.fullmatch(member):
            return True
        padding = head[_HEADER_BYTES + len(member.encode()) :][:2]
        return padding == _PADDING and _LIKELY.fullmatch(member) is not None

    def read(self, content: Content) -> Model:
        """Reads the program or the weights.

        Raises:
            FormatError: cut off, or the parts contradict each other.
            UnsupportedFormatError: a mobile flatbuffer, or a file older than PyTorch 1.4.
        """
        if content.head(len(LEGACY_MAGIC)) == LEGACY_MAGIC:
            return read_legacy(content)
        if content.head(8)[4:] == _MOBILE_FLATBUFFER:
            raise UnsupportedFormatError(
                f"{content.name}: a PyTorch mobile model in flatbuffer form (PTMF); only the zip form "
                "is read. Save it without _use_flatbuffer"
            )
        return _Archive(content).model()


class _Archive:
    """The members of one file below its top folder."""

    def __init__(self, content: Content) -> None:
        self._where = content.name
        self._limit = _INFLATED_LIMIT + 2 * content.size_bytes
        self._zip = open_zip(content.data, content.name)
        folders = {
            name.removesuffix("/data.pkl")
            for name in self._zip.entries
            if name.endswith("/data.pkl") and name.count("/") == 1
        }
        if len(folders) != 1:
            old = any(name.endswith("/model.json") for name in self._zip.entries)
            what = "a PyTorch file older than 1.4 (model.json)" if old else "no PyTorch file"
            kind = UnsupportedFormatError if old else FormatError
            raise kind(f"{content.name}: {what}: one data.pkl in a top folder is expected")
        self._folder = folders.pop()

    def _has(self, name: str) -> bool:
        return f"{self._folder}/{name}" in self._zip.entries

    def _read(self, name: str, limit: int) -> memoryview:
        return self._zip.read(f"{self._folder}/{name}", limit)

    def _word(self, name: str) -> str:
        if not self._has(name):
            return ""
        return bytes(self._read(name, _WORD_LIMIT)).decode("utf-8", "replace").strip()

    def _pickle(self, name: str) -> Value:
        full = f"{self._where}, {name}"
        return walk(self._read(name, self._limit), full).value

    def _tensors(self, folder: str) -> PickledTensors:
        members: ZipMembers = self._zip

        def storage(key: str) -> TensorData | None:
            for name in (f"{folder}/{key}", f"{folder}/{key}.storage", key):
                full = f"{self._folder}/{name}"
                if full in members.entries:
                    return members.tensor_data(full)
            raise FormatError(f"{self._where}: the storage {key[:60]!r} is missing")

        return PickledTensors(where=self._where, storages=storage)

    def model(self) -> Model:
        """The file's model."""
        if self._word("byteorder") not in ("", "little"):
            raise UnsupportedFormatError(
                f"{self._where}: weights of the other byte order; save them on a usual machine"
            )
        root = self._pickle("data.pkl")
        version = self._word("version") or self._word(".format_version")
        sources = dict(self._sources())
        bytecode = self._pickle("bytecode.pkl") if self._has("bytecode.pkl") else None
        tensors = self._tensors("data")
        if not sources and bytecode is None:
            return weights_model(
                "pytorch", version, tuple(named_tensors(root, tensors)), notes=tensors.notes
            )
        notes = {"mobile"} if bytecode is not None else set()
        if sources:
            graphs = self._script(sources, root, tensors)
        else:
            notes.add("edges-absent")
            weights = {tensor.name: tensor for tensor in named_tensors(root, tensors)}
            nodes = tuple(_instructions(bytecode))
            graphs = (Graph(name="forward", tensors=weights, nodes=nodes, inputs=(), outputs=()),)
        return Model(
            format="pytorch",
            format_version=version,
            producer="TorchScript",
            graphs=graphs,
            metadata=dict(self._metadata(bytecode)),
            notes=tuple(sorted(notes | tensors.notes)),
        )

    def _script(
        self, sources: Mapping[str, Source], root: Value, tensors: PickledTensors
    ) -> tuple[Graph, ...]:
        constants: Value = self._pickle("constants.pkl") if self._has("constants.pkl") else ()
        held = self._tensors("constants")
        script = ScriptGraphs(sources, tensors, constants, held, self._where)
        graphs = script.graphs(root, "forward", dict(self._traced_shapes()))
        tensors.notes |= held.notes
        return (_with_input_shapes(graphs[0]), *graphs[1:])

    def _sources(self) -> Iterator[tuple[str, Source]]:
        """Source files by dotted name."""
        start = f"{self._folder}/code/"
        total = 0
        for name, entry in self._zip.entries.items():
            if not name.startswith(start) or not name.endswith(".py"):
                continue
            total += entry.size_bytes
            if total > self._limit:
                raise FormatError(f"{self._where}: more than {self._limit} bytes of source text")
            text = bytes(self._zip.read(name, self._limit)).decode("utf-8", "replace")
            dotted = name[len(start) : -len(".py")].replace("/", ".")
            yield dotted, split_source(text, f"{self._where}, {name}")

    def _traced_shapes(self) -> Iterator[tuple[int, Shape]]:
        """Shapes of the example inputs that tracing keeps."""
        if not self._has("traced_inputs.pkl"):
            return
        methods = _untagged(self._pickle("traced_inputs.pkl"))
        given = _untagged(methods.get("forward")) if isinstance(methods, Pairs) else None
        absent = PickledTensors(where=self._where, storages=lambda _: None)
        for index, value in enumerate(given if isinstance(given, list | tuple) else ()):
            tensor = absent.tensor(value, "example")
            if tensor is not None and tensor.shape is not None:
                yield index, tensor.shape

    def _metadata(self, bytecode: Value) -> Iterator[tuple[str, str]]:
        """The bytecode's version, and the short texts under `extra/`."""
        if isinstance(bytecode, tuple) and bytecode and isinstance(bytecode[0], int):
            yield "bytecode_version", str(bytecode[0])
        start = f"{self._folder}/extra/"
        for name, entry in self._zip.entries.items():
            if name.startswith(start) and entry.size_bytes <= 4096:
                raw = bytes(self._zip.read(name, 4096))
                yield name[len(start) :], raw.decode("utf-8", "replace")


def _untagged(value: Value) -> Value:
    """What stands inside of type tags."""
    for _ in range(4):
        tagged = isinstance(value, Call) and value.called.startswith("torch.jit._pickle.")
        if not tagged or not isinstance(value, Call) or not isinstance(value.arguments, tuple):
            break
        value = value.arguments[0] if value.arguments else None
    return value


def _instructions(bytecode: Value) -> Iterator[Node]:
    """The operators that the bytecode of `forward` applies, in its order.

    **Source:** https://github.com/pytorch/pytorch/blob/main/torch/csrc/jit/mobile/parse_bytecode.cpp
    """
    for method in bytecode if isinstance(bytecode, tuple) else ():
        if not isinstance(method, tuple) or len(method) < 2 or not isinstance(method[0], str):
            continue
        if method[0].rpartition(".")[2] != "forward":
            continue
        tables = {
            part[0]: part[1]
            for part in (method[1] if isinstance(method[1], tuple) else ())
            if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str)
        }
        names = [_operator_name(each) for each in _tuple(tables.get("operators"))]
        for step in _tuple(tables.get("instructions")):
            if not isinstance(step, tuple) or len(step) < 2 or step[0] not in ("OP", "OPN"):
                continue
            if type(step[1]) is not int or not 0 <= step[1] < len(names):
                raise FormatError(f"the bytecode uses operator {step[1]!r} of {len(names)}")
            yield Node(name="", operator="", source_operator=names[step[1]], inputs=(), outputs=())


def _tuple(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else ()


def _operator_name(value: Value) -> str:
    """`aten::add` of `("aten::add", "Scalar", 2)`."""
    if isinstance(value, tuple) and value and isinstance(value[0], str) and value[0]:
        return value[0]
    raise FormatError("an operator of the bytecode has no name")


def _with_input_shapes(graph: Graph) -> Graph:
    """Gives an input without a shape the rank and channels that the first convolution takes."""
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        if node.operator != "Conv" or node.inputs[0] not in graph.inputs:
            continue
        value, weight = tensors[node.inputs[0]], tensors.get(node.inputs[1])
        group = node.attributes.get("group", 1)
        if value.shape is None and weight is not None and weight.shape and isinstance(group, int):
            channels = weight.shape[1]
            if isinstance(channels, int):
                shape: Shape = ("?", channels * group, *("?",) * (len(weight.shape) - 2))
                tensors[value.name] = replace(value, shape=shape)
    return replace(graph, tensors=tensors)

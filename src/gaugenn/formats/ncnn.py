"""ncnn: a graph of layers in text or binary, with the weights in a file beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _ncnn_params, _ncnn_pnnx
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._ncnn_elementwise import ELEMENTWISE
from gaugenn.formats._ncnn_layers import Layer
from gaugenn.formats._ncnn_site import Mapped, Site, Sizes, unique
from gaugenn.formats._ncnn_spatial import SPATIAL
from gaugenn.formats._ncnn_tensors import TENSORS
from gaugenn.formats._ncnn_weights import (
    WeightsFile,
    group,
    load_weights,
    memory_shape,
    spatial_rank,
    weights_of,
)
from gaugenn.graph import DataType, Graph, Layout, Model, Node, Shape, Tensor, TensorKind

_MAPPINGS = {**SPATIAL, **ELEMENTWISE, **TENSORS}

_PASSING = frozenset(
    """
    Split Noop DeepCopy BatchNorm Scale BinaryOp Cast Dropout UnaryOp LayerNorm RMSNorm
    """.split()  # noqa: SIM905
)
"""Layers that give what they take, in shape; they may stand before the first layer with a rank."""

_FOLLOWED = 8
"""How many layers, and how many takers of each, are looked at behind an input."""


class NcnnReader(FormatReader):
    """Reads `.param` in its text forms and in binary, and PNNX, which has the same outer form.

    ncnn's blobs have no batch; here they have one of 1 in front. Two layers differ from what ncnn
    does in the shape of their result alone: global pooling keeps spatial sizes of 1, and `Split`, which
    hands one blob to several layers, is an `Identity` with several outputs. An element-wise operand of
    lower rank is aligned at the outermost dimension, as ONNX had it before opset 7: attributes
    `broadcast` and `axis`.
    """

    title = "ncnn"
    spec = "https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure"
    suffixes = (".param", ".param.bin", ".ncnn.param", ".pnnx.param", ".cfg.ncnn")
    weights_suffixes = (".bin", ".weights.ncnn")
    magics = ((0, b"7767517"), (0, _ncnn_params.BINARY_MAGIC))

    def sniff(self, name: str, head: bytes) -> bool:
        """By the number 7767517, or by a first layer of a known type in the old text."""
        del name
        return _ncnn_params.looks_like_binary(head) or _ncnn_params.looks_like_text(head)

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The weights file, by ncnn's habits of naming it."""
        if content.has_suffix(".param.bin"):
            found = content.sibling(".bin", replacing=".param.bin")
        elif content.has_suffix(".cfg.ncnn"):
            found = content.sibling(".weights.ncnn", replacing=".cfg.ncnn")
        elif content.has_suffix(".bin"):
            found = None
        else:
            found = content.sibling(".bin")
        return () if found is None else (found,)

    def read(self, content: Content) -> Model:
        """Reads the graph, and the weights where their file lies beside it.

        Raises:
            FormatError: a graph that is cut off or contradicts itself, or a weights file that the
                graph does not use up exactly.
        """
        companions = self.companions(content)
        weights = companions[0] if companions else None
        if content.head(4) == _ncnn_params.BINARY_MAGIC:
            parsed = _ncnn_params.parse_binary(content.data)
        else:
            version, lines, trailing = _ncnn_params.split_text(content.data)
            if _ncnn_pnnx.is_pnnx(lines):
                return _ncnn_pnnx.read(lines, weights)
            parsed = _ncnn_params.parse_text(version, lines, trailing=trailing)
        return _model(parsed, weights)


def _model(parsed: _ncnn_params.Parsed, weights: Content | None) -> Model:
    notes: set[str] = set()
    custom = not all(layer.is_known for layer in parsed.layers)
    if parsed.trailing:
        notes.add("trailing-data")
    if custom:
        notes.add("custom-layers")
    taken = _taken_sizes(parsed.layers)
    layers = tuple(_in_todays_order(parsed.layers, taken))
    if layers != parsed.layers:
        notes.add("input-sizes-reversed")
    used: tuple[str, ...] = ()
    if weights is None:
        graph, needed = _graph(layers, taken, None)
        if needed:
            notes.add("weights-absent")
    else:
        file = WeightsFile(weights.name, weights.data)
        try:
            graph, _ = _graph(layers, taken, file)
            if file.left_bytes:
                raise FormatError(
                    f"{weights.name}: {file.left_bytes} bytes are left over after the last layer: "
                    "these are the weights of another graph"
                )
            used = (weights.file_name,)
        except FormatError:
            if not custom:
                raise
            # an app's own layers load what only the app knows, so nothing after them can be found
            graph, _ = _graph(layers, taken, None)
            notes.add("weights-unread")
    return Model(
        format="ncnn",
        format_version=parsed.version,
        producer="",
        graphs=(graph,),
        companions=used,
        notes=tuple(sorted(notes)),
    )


def _in_todays_order(layers: Sequence[Layer], taken: Mapping[str, Sizes]) -> Iterator[Layer]:
    """Turns round the sizes of inputs that were written before ncnn 2017-12-16, channels first.

    Nothing in a file tells its age. It shows where a convolution takes the input: its weight has as
    many channels as the input has sizes in the last place, not in the first.
    """
    for layer in layers:
        sizes = memory_shape(layer) if layer.type == "Input" else ()
        wanted = taken.get(layer.outputs[0]) if len(sizes) == 3 and layer.outputs else None
        if wanted is not None and len(wanted) == 3 and sizes[0] != wanted[0] == sizes[2]:
            turned = {**layer.values, 0: sizes[0], 1: sizes[1], 2: sizes[2]}
            yield replace(layer, values=turned)
        else:
            yield layer


def _taken_sizes(layers: Sequence[Layer]) -> dict[str, Sizes]:
    """What the layer behind each input says about it: always its rank, often its channels."""
    takers: dict[str, list[tuple[Layer, int]]] = {}
    for layer in layers:
        for position, name in enumerate(layer.inputs):
            takers.setdefault(name, []).append((layer, position))
    found: dict[str, Sizes] = {}
    for layer in layers:
        if layer.type == "Input":
            for name in layer.outputs:
                found[name] = _taken(name, takers)
    return found


def _taken(name: str, takers: Mapping[str, list[tuple[Layer, int]]]) -> Sizes:
    pending = [name]
    for _ in range(_FOLLOWED):
        if not pending:
            return None
        for layer, position in takers.get(pending.pop(0), ())[:_FOLLOWED]:
            sizes = _demanded(layer, position)
            if sizes is not None:
                return sizes
            if layer.type in _PASSING and len(layer.inputs) == 1:
                pending += layer.outputs[:_FOLLOWED]
    return None


def _demanded(layer: Layer, position: int) -> Sizes:
    """Sizes that a layer's type and weights demand of an input; None where any will do."""
    if layer.type == "SDPA":
        return (None,) * (2 if position == 3 and layer.integer(5, 0) else 3)
    if layer.type == "RotaryEmbed":
        return (None,) * (2 if position else 3)
    loads = weights_of(layer) if position == 0 else ()
    if not loads:
        return None
    if "onvolution" in layer.type:
        return (loads[0].shape[1] * group(layer), *(None,) * spatial_rank(layer))
    if layer.type in ("LSTM", "GRU", "RNN"):
        return (None, loads[0].shape[2])
    if layer.type == "Gemm" and loads[0].name == "B_data":
        depth = layer.size(9, 0) or None
        return (depth, None) if layer.integer(2, 0) else (None, depth)
    return None


class _Builder:
    """Collects tensors and nodes layer by layer."""

    def __init__(self, file: WeightsFile | None, taken: Mapping[str, Sizes]) -> None:
        self.file = file
        self.taken = taken
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []
        self.loads = 0
        self._sizes: dict[str, Sizes] = {}
        self._unused: dict[str, None] = {}
        self._taken: set[str] = set()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Blobs that no layer takes."""
        return tuple(self._unused)

    def reserve(self, layers: Sequence[Layer]) -> None:
        """Keeps the names of blobs from being given to weights."""
        for layer in layers:
            self._taken.update(layer.outputs)

    def add(self, layer: Layer) -> None:
        """Adds a layer.

        Raises:
            FormatError: it takes a blob that no earlier layer makes, or makes one a second time.
        """
        for name in layer.inputs:
            if name not in self._sizes:
                raise FormatError(
                    f"ncnn layer {layer.name!r} ({layer.type}) takes blob {name!r}, which no "
                    "earlier layer makes"
                )
            self._unused.pop(name, None)
        loaded = load_weights(layer, self.file)
        self.loads += len(loaded)
        if layer.type == "Input":
            self._add_input(layer)
            return
        if layer.type == "MemoryData":
            self._add_memory(layer, loaded)
            return
        constants: dict[str, Tensor] = {}
        weights: dict[str, str] = {}
        for name, tensor in loaded.items():
            named = unique(f"{layer.name}.{name}", self._taken)
            weights[name] = named
            constants[named] = replace(tensor, name=named)
        site = Site(
            layer=layer,
            sizes=tuple(self._sizes[name] for name in layer.inputs),
            weights=weights,
            shapes={n: tuple(int(s) for s in t.shape or ()) for n, t in loaded.items()},
            constants=constants,
            taken=self._taken,
        )
        make = _MAPPINGS.get(layer.type)
        mapped = make(site) if make else site.unmapped()
        self.tensors.update(constants)
        self._add_node(layer, mapped, site.hints())

    def _add_node(self, layer: Layer, mapped: Mapped, hints: tuple[Sizes, ...]) -> None:
        for index, name in enumerate(layer.outputs):
            sizes = mapped.sizes[index] if index < len(mapped.sizes) else None
            if index < len(hints):
                sizes = _stated(sizes, hints[index])
            self._define(layer, name, sizes)
        self.nodes.append(
            Node(
                name=layer.name,
                operator=mapped.operator,
                source_operator=layer.type,
                inputs=mapped.inputs,
                outputs=layer.outputs,
                attributes=mapped.attributes,
            )
        )

    def _add_input(self, layer: Layer) -> None:
        stated = tuple(size or None for size in memory_shape(layer))
        for name in layer.outputs:
            sizes = stated or self.taken.get(name)
            self._define(layer, name, sizes)
            shape: Shape | None = None if sizes is None else (1, *(s or "?" for s in sizes))
            self.tensors[name] = replace(self.tensors[name], shape=shape)
            self.inputs.append(name)

    def _add_memory(self, layer: Layer, loaded: dict[str, Tensor]) -> None:
        """A blob that the file holds: the result of a `Constant` that is itself the constant."""
        sizes = memory_shape(layer) or (1,)
        self._add_node(layer, Mapped(operator="Constant", inputs=(), sizes=(sizes,)), ())
        held = loaded.get("data")
        for name in layer.outputs:
            tensor = Tensor(name=name, dtype=DataType.FLOAT32, shape=(1, *sizes))
            if held is not None:
                tensor = replace(held, name=name, shape=(1, *sizes))
            self.tensors[name] = replace(tensor, kind=TensorKind.CONSTANT)

    def _define(self, layer: Layer, name: str, sizes: Sizes) -> None:
        if name in self._sizes:
            raise FormatError(
                f"ncnn layer {layer.name!r} ({layer.type}) makes blob {name!r} a second time"
            )
        self._sizes[name] = sizes
        self._unused[name] = None
        known = [size for size in sizes or () if size is not None]
        whole = sizes is not None and len(known) == len(sizes)
        shape = (1, *known) if whole else None
        self.tensors[name] = Tensor(name=name, dtype=DataType.FLOAT32, shape=shape)


def _stated(derived: Sizes, hint: Sizes) -> Sizes:
    """What the file states fills in for what does not follow from the layers."""
    if hint is None or (derived is not None and None not in derived):
        return derived
    if derived is not None and len(hint) == 1 and len(derived) > 1:
        return (*hint, *(1,) * (len(derived) - 1))  # ncnn drops sizes of 1 after global pooling
    return hint


def _graph(
    layers: Sequence[Layer], taken: Mapping[str, Sizes], file: WeightsFile | None
) -> tuple[Graph, bool]:
    """The graph, and whether it has weights at all."""
    builder = _Builder(file, taken)
    builder.reserve(layers)
    for layer in layers:
        builder.add(layer)
    return (
        Graph(
            name="",
            tensors=builder.tensors,
            nodes=tuple(builder.nodes),
            inputs=tuple(builder.inputs),
            outputs=builder.outputs,
            layout=Layout.CHANNELS_FIRST,
        ),
        builder.loads > 0,
    )

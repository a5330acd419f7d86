"""Caffe: a net of layers in text or binary; the binary holds what the layers learned, too."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _caffe_schema as schema
from gaugenn.formats._caffe_layers import Layer, Net, Sizes, binary_net, text_net
from gaugenn.formats._caffe_operators import map_layer
from gaugenn.formats._caffe_site import Site
from gaugenn.formats._contract import HEAD_BYTES, FormatReader
from gaugenn.formats._names import TensorNames
from gaugenn.formats._protobuf import LENGTH, VARINT, HeadField, head_fields, read_message
from gaugenn.formats._prototext import outline, parse
from gaugenn.graph import DataType, Graph, Layout, Model, Node, Shape, Tensor

_TEXT_FIELDS = frozenset(
    """
    name input input_shape input_dim force_backward state debug_info layer layers
    """.split()  # noqa: SIM905
)
_LAYER_FIELDS = frozenset({"name", "type", "bottom", "top"})
_CONTROLS = frozenset(map(chr, range(32)))


class CaffeReader(FormatReader):
    """Reads `.prototxt` with or without the `.caffemodel` beside it, and a `.caffemodel` alone.

    A text net is taken as it is tested: layers for training alone are left out. A binary net is what
    was trained, losses included. Layers that bring data in are the graph's inputs. Where a layer
    overwrites its input, the last value has the blob's name and the earlier ones a number after it.
    """

    title = "Caffe"
    spec = "https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto"
    suffixes = (".prototxt", ".caffemodel", ".deploy.prototxt", ".prototxt.txt")
    weights_suffixes = (".caffemodel",)
    magics = ((0, b'name: "'), (0, b"layer {"), (0, b"\n"))  # the name is also field 1 in binary

    def sniff(self, name: str, head: bytes) -> bool:
        """By the fields of a net and of its first layer."""
        del name
        return _is_binary(head) or _is_text(head)

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The binary net of the same stem, beside a text."""
        if _is_binary(content.head(HEAD_BYTES)):
            return ()
        for suffix in sorted(self.suffixes, key=len, reverse=True):
            found = content.sibling(".caffemodel", replacing=suffix)
            if found is not None and _is_binary(found.head(HEAD_BYTES)):
                return (found,)
        return ()

    def read(self, content: Content) -> Model:
        """Reads the graph, and the weights where their file lies beside it.

        Raises:
            FormatError: a net that is cut off or contradicts itself, or weights of another net.
        """
        if _is_binary(content.head(HEAD_BYTES)):
            net = binary_net(read_message(content.data, schema.NET))
            return _model(net, ())
        net = text_net(parse(content.data))
        companions = self.companions(content)
        if not companions:
            return _model(net, ())
        learned = binary_net(read_message(companions[0].data, schema.NET))
        blobs = {layer.name: layer.blobs for layer in learned.layers if layer.blobs}
        layers = tuple(replace(each, blobs=blobs.get(each.name, ())) for each in net.layers)
        if blobs and not any(layer.blobs for layer in layers):
            raise FormatError(
                f"{companions[0].name}: none of its layers has a name of the graph's; "
                "these are the weights of another net"
            )
        return _model(replace(net, layers=layers), (companions[0].file_name,))


def _is_binary(head: bytes) -> bool:
    try:
        return _begins_net(head)
    except FormatError:
        return False


def _begins_net(head: bytes) -> bool:
    """Walks the fields of the outermost message up to its first layer."""
    numbers = schema.NET.numbers
    for field in head_fields(head):
        if field.number in (numbers["name"], numbers["input"]):
            if not _is_name(field):
                return False
        elif field.number == numbers["layer"]:
            return field.wire == LENGTH and _begins_layer(field)
        elif field.number == numbers["layers"]:
            return field.wire == LENGTH and _begins_old_layer(field)
        elif field.number not in (*numbers.values(), 5, 7):
            return False
    return False


def _begins_layer(field: HeadField) -> bool:
    """A layer has a type, which is a word, and a blob or a name."""
    numbers = schema.LAYER.numbers
    texts = {numbers[name] for name in _LAYER_FIELDS}
    seen: set[int] = set()
    for inner in head_fields(field.data, whole=field.whole):
        if inner.number in texts and not _is_name(inner):
            return False
        if inner.number == numbers["type"] and not inner.data[:1].isalpha():
            return False
        seen.add(inner.number)
    return numbers["type"] in seen and len(seen) > 1


def _begins_old_layer(field: HeadField) -> bool:
    """Its type is a number; Caffe2's operators, which stand in the same field, have a text there."""
    numbers = schema.OLD_LAYER.numbers
    seen: set[int] = set()
    for inner in head_fields(field.data, whole=field.whole):
        if inner.number == numbers["type"]:
            if inner.wire != VARINT or inner.value not in schema.OLD_TYPES:
                return False
        elif inner.number in (numbers["bottom"], numbers["top"], numbers["name"]):
            if not _is_name(inner):
                return False
        elif inner.number == numbers["layer"]:
            return inner.wire == LENGTH and field.whole and _begins_oldest_layer(inner)
        seen.add(inner.number)
    return numbers["type"] in seen and bool(seen & {numbers["name"], numbers["top"]})


def _begins_oldest_layer(field: HeadField) -> bool:
    """Its name (field 1) and type (field 2) are texts; Android's resource tables have numbers."""
    seen: set[int] = set()
    for inner in head_fields(field.data, whole=field.whole):
        if inner.number in (1, 2) and not _is_name(inner):
            return False
        seen.add(inner.number)
    return 2 in seen


def _is_name(field: HeadField) -> bool:
    text = field.data.decode("utf-8", "replace")
    return field.wire == LENGTH and not _CONTROLS.intersection(text) and "\ufffd" not in text[:-1]


def _is_text(head: bytes) -> bool:
    """A text whose outermost fields are those of a net, one of them a layer."""
    if b"layer" not in head or b"\0" in head:
        return False
    try:
        fields = outline(head)
    except FormatError:
        return False
    if any(field.name not in _TEXT_FIELDS for field in fields):
        return False
    layers = [field for field in fields if field.name in ("layer", "layers") and field.is_message]
    return any("type" in each.inner or "layer" in each.inner for each in layers) and all(
        _LAYER_FIELDS.intersection(each.inner) or "layer" in each.inner or not each.whole
        for each in layers
    )


class _Builder:
    """Collects tensors and nodes layer by layer."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []
        self.notes: set[str] = set()
        self._sizes: dict[str, Sizes] = {}
        self._current: dict[str, str] = {}
        self._unused: dict[str, None] = {}
        self._shared: dict[str, Tensor] = {}
        makers: dict[str, int] = {}
        for name in (*(n for n, _ in net.inputs), *(t for each in net.layers for t in each.tops)):
            makers[name] = makers.get(name, 0) + 1
        self._writes_left = makers
        self._earlier: dict[str, int] = {}
        self._taken = TensorNames(makers)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Blobs that no layer takes."""
        return tuple(self._unused)

    def add_input(self, blob: str, sizes: Sizes) -> None:
        """Adds a blob that the caller fills."""
        name = self._define(blob, sizes, dynamic=True)
        self.inputs.append(name)

    def add(self, layer: Layer) -> None:
        """Adds a layer.

        Raises:
            FormatError: it takes a blob that no earlier layer makes.
        """
        if layer.type in schema.DATA_TYPES and not layer.bottoms:
            for blob, sizes in zip(layer.tops, _data_sizes(layer), strict=True):
                self.add_input(blob, sizes)
            return
        if layer.type in schema.TRAINING_TYPES:
            self.notes.add("training-layers")
        for blob in layer.bottoms:
            if blob not in self._current:
                raise layer.error(f"takes blob {blob!r}, which no earlier layer makes")
        bottoms = tuple(self._current[blob] for blob in layer.bottoms)
        site = Site(
            layer=layer,
            bottoms=bottoms,
            sizes=tuple(self._sizes[name] for name in bottoms),
            taken=self._taken,
            shared=self._shared,
        )
        mapped = map_layer(site)
        if site.lacking:
            self.notes.add("weights-absent")
        for name in bottoms:
            self._unused.pop(name, None)
        self.tensors.update(site.constants)
        made: list[str] = []
        for i, blob in enumerate(layer.tops):
            made.append(self._define(blob, mapped.sizes[i] if i < len(mapped.sizes) else None))
        self.nodes.append(
            Node(
                name=layer.name,
                operator=mapped.operator,
                source_operator=layer.type,
                inputs=mapped.inputs,
                outputs=tuple(made),
                attributes=mapped.attributes,
            )
        )

    def _define(self, blob: str, sizes: Sizes, *, dynamic: bool = False) -> str:
        """A tensor for the next value of a blob; the last one gets the blob's own name."""
        if not blob:
            raise FormatError("a Caffe layer makes a blob without a name")
        self._writes_left[blob] -= 1
        name = blob
        while self._writes_left[blob] and (name == blob or name in self._taken):
            self._earlier[blob] = self._earlier.get(blob, 0) + 1
            name = f"{blob}#{self._earlier[blob]}"
        self._taken.take(name)
        known = [size for size in sizes or () if size is not None]
        shape: Shape | None = None
        if sizes is not None and len(known) == len(sizes):
            shape = tuple(known)
        elif sizes is not None and dynamic:
            shape = tuple("?" if size is None else size for size in sizes)
        self.tensors[name] = Tensor(name=name, dtype=DataType.FLOAT32, shape=shape)
        self._sizes[name] = sizes
        self._current[blob] = name
        self._unused[name] = None
        return name


def _data_sizes(layer: Layer) -> Iterable[Sizes]:
    """Sizes of the blobs that a data layer makes; a label is a number per item."""
    count = len(layer.tops)
    if layer.type in ("Input", "DummyData"):
        shapes = [layer.integers("shape" if not i else f"shape[{i}]") for i in range(count)]
        given = [shape or shapes[0] for shape in shapes]
        return [_known(shape) if shape else None for shape in given]
    batch = layer.integer("batch_size", 0) or None
    crop = layer.integer("crop_size", 0) or None
    sides = (layer.integer("new_height", 0) or crop, layer.integer("new_width", 0) or crop)
    data: Sizes = None
    if layer.type == "MemoryData":
        rest = (layer.integer(name, 0) or None for name in ("channels", "height", "width"))
        data = (batch, *rest)
    elif layer.type == "ImageData":
        data = (batch, 3 if layer.flag("is_color", True) else 1, crop or sides[0], crop or sides[1])
    elif crop is not None:
        data = (batch, None, crop, crop)
    return [data if i == 0 else None for i in range(count)]


def _known(shape: Sequence[int]) -> Sizes:
    return tuple(size if 0 < size < 1 << 31 else None for size in shape)


def _model(net: Net, companions: tuple[str, ...]) -> Model:
    builder = _Builder(net)
    for blob, sizes in net.inputs:
        builder.add_input(blob, sizes)
    for layer in net.layers:
        builder.add(layer)
    if not builder.nodes:
        raise UnsupportedFormatError(
            "a Caffe file with nothing but inputs; there is no net to read"
        )
    if net.left_out:
        builder.notes.add("training-layers")
    data = sorted({each.type for each in net.layers} & (schema.DATA_TYPES - {"Input"}))
    metadata = {"data_layers": " ".join(data)} if data else {}
    if net.left_out:
        metadata["left_out_layers"] = " ".join(net.left_out)
    return Model(
        format="caffe",
        format_version=str(net.version),
        producer="",
        graphs=(
            Graph(
                name=net.name,
                tensors=builder.tensors,
                nodes=tuple(builder.nodes),
                inputs=tuple(builder.inputs),
                outputs=builder.outputs,
                layout=Layout.CHANNELS_FIRST,
            ),
        ),
        metadata=metadata,
        companions=companions,
        notes=tuple(sorted(builder.notes)),
    )

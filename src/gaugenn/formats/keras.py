"""Keras: a network's layers as JSON with their weights in HDF5, in an `.h5` or in a zip (`.keras`)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import _hdf5, _keras_layers
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._json import read_object
from gaugenn.formats._keras_layers import Config
from gaugenn.formats._weights_only import weights_model
from gaugenn.formats._zip import LOCAL_MAGIC, open_zip
from gaugenn.graph import DataType, Graph, Layout, Model, Node, Shape, Tensor, TensorKind

_MEMBERS = ("metadata.json", "config.json", "model.weights.h5")
_CONFIG_LIMIT = 3 << 20
"""Bytes; a network of a thousand layers takes some 500,000."""
_WEIGHTS_SLACK = 48 << 20
_RANK_LIMIT = 16
_DEPTH_LIMIT = 16
_LAYER_LIMIT = 100_000
_LARGEST = 1 << 40
_UPPER = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z0-9])")
"""Where a class name gets an underscore as the name of a group (`Conv2D`: `conv2d`)."""


class KerasReader(FormatReader):
    """Reads the layers and their weights. A file of weights alone has the remark `weights-only`.

    A network inside a network is one node here, and the remark is `nested-models`.
    """

    title = "Keras"
    spec = "https://keras.io/guides/serialization_and_saving/"
    suffixes = (".h5", ".hdf5", ".hd5", ".keras")
    magics = ((0, _hdf5.MAGIC),)

    def sniff(self, name: str, head: bytes) -> bool:
        """By HDF5's signature, or by a zip that begins with a member that Keras writes."""
        del name
        if head.startswith(_hdf5.MAGIC):
            return len(head) > 8 and head[8] < 4
        return head.startswith(LOCAL_MAGIC) and any(
            head[30:].startswith(member.encode()) for member in _MEMBERS
        )

    def read(self, content: Content) -> Model:
        """Reads the layers.

        Raises:
            FormatError: cut off, or layers that take what no layer makes.
            UnsupportedFormatError: HDF5 that holds nothing of Keras'.
        """
        if content.head(len(LOCAL_MAGIC)) == LOCAL_MAGIC:
            return _zipped(content)
        root = _hdf5.read(content.data, content.name)
        version = root.attributes.get("keras_version", "")
        config = root.attributes.get("model_config")
        weights = root.groups.get("model_weights", root)
        if config is not None:
            return layers_model(
                _config(config.encode("utf-8", "replace"), content.name),
                weights,
                version,
                content.name,
            )
        known = version or "layers" in root.groups or "keras_version" in weights.attributes
        if not known:
            raise UnsupportedFormatError(
                f"{content.name}: HDF5 without the attribute 'model_config' or Keras' groups: data "
                "of another program"
            )
        return weights_model("keras", version, _all_weights(weights, ""))


def _zipped(content: Content) -> Model:
    members = open_zip(content.data, content.name)
    if not {"config.json", "model.weights.h5"} <= members.entries.keys():
        raise UnsupportedFormatError(
            f"{content.name}: Keras' zip holds 'config.json' and 'model.weights.h5'; this has other "
            "members"
        )
    config = _config(members.read("config.json", _CONFIG_LIMIT), content.name)
    version = ""
    if "metadata.json" in members.entries:
        raw = members.read("metadata.json", _CONFIG_LIMIT)
        found = _config(raw, content.name).get("keras_version")
        version = found if isinstance(found, str) else ""
    most = content.size_bytes * 3 + _WEIGHTS_SLACK
    root = _hdf5.read(members.read("model.weights.h5", most), content.name)
    return layers_model(config, root, version, content.name)


def _config(text: memoryview | bytes, where: str) -> Config:
    return read_object(text, f"{where}: the configuration", most_bytes=_CONFIG_LIMIT)


def _all_weights(group: _hdf5.Group, path: str, depth: int = 0) -> Iterator[Tensor]:
    if depth > _DEPTH_LIMIT:
        return
    for name, array in group.arrays.items():
        if array.dtype is not DataType.STRING:
            yield _constant(path + name, array)
    for name, inner in group.groups.items():
        if path or name not in ("optimizer_weights", "optimizer"):
            yield from _all_weights(inner, f"{path}{name}/", depth + 1)


def _constant(name: str, array: _hdf5.Array) -> Tensor:
    known = array.dtype is not DataType.UNKNOWN
    return Tensor(
        name=name,
        dtype=array.dtype,
        shape=array.shape,
        data=array.data if known else None,
        kind=TensorKind.CONSTANT,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """A layer: `calls` has the results that each of its applications takes."""

    name: str
    kind: str
    config: Config
    calls: tuple[tuple[str, ...], ...]


def _result(layer: str, call: int, index: int) -> str:
    """A name for one result of one application of a layer."""
    return layer if (call, index) == (0, 0) else f"{layer}:{call}:{index}"


def _references(value: object, depth: int = 0) -> Iterator[str]:
    """The results that a layer's `inbound_nodes` entry names, in either spelling."""
    if depth > _DEPTH_LIMIT:
        return
    if isinstance(value, dict):
        if "keras_history" in value:
            yield from _references(value["keras_history"], depth + 1)
            return
        value = list(value.values())
    if isinstance(value, list):
        if len(value) in (3, 4) and isinstance(value[0], str):
            place = _keras_place(value)
            if place is not None:
                yield _result(*place)
                return
        for inner in value:
            yield from _references(inner, depth + 1)


def _keras_place(value: list[object]) -> tuple[str, int, int] | None:
    layer, call, index = value[:3]
    if isinstance(layer, str) and isinstance(call, int) and isinstance(index, int):
        return layer, call, index
    return None


def _layers(config: Config, where: str) -> Iterator[_Layer]:
    kind = config.get("class_name")
    inner = config.get("config")
    raw = inner.get("layers") if isinstance(inner, dict) else inner
    if not isinstance(raw, list) or len(raw) > _LAYER_LIMIT:
        raise UnsupportedFormatError(
            f"{where}: a model of class {str(kind)[:60]!r} has no list of layers: its graph is in the "
            "program that wrote it"
        )
    before: str | None = None
    for number, entry in enumerate(raw):
        settings = entry.get("config") if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(settings, dict):
            raise FormatError(f"{where}: Keras layer {number} has no configuration")
        name = entry.get("name", settings.get("name"))
        class_name = entry.get("class_name")
        if not isinstance(name, str) or not isinstance(class_name, str):
            raise FormatError(f"{where}: Keras layer {number} has no name or class")
        if kind == "Sequential":
            if before is None and class_name != "InputLayer":
                before = f"{name}_input"
                yield _Layer(name=before, kind="InputLayer", config=settings, calls=())
            calls: tuple[tuple[str, ...], ...] = () if before is None else ((before,),)
            before = name
        else:
            inbound = entry.get("inbound_nodes")
            calls = tuple(
                tuple(_references(each)) for each in (inbound if isinstance(inbound, list) else ())
            )
        yield _Layer(name=name, kind=class_name, config=settings, calls=calls)


def layers_model(config: Config, weights: _hdf5.Group, version: str, where: str) -> Model:
    """The model that a configuration describes.

    Args:
        config: class and settings of the model, as Keras writes them.
        weights: of each layer, in a group of its name.
        version: of Keras.
        where: the file's name, for messages.

    Raises:
        FormatError: layers that contradict each other.
    """
    layers = list(_layers(config, where))
    builder = _Builder(layers, weights, where)
    builder.run()
    inner = config.get("config")
    name = inner.get("name") if isinstance(inner, dict) else ""
    graph = Graph(
        name=name if isinstance(name, str) else "",
        tensors=builder.tensors,
        nodes=tuple(builder.nodes),
        inputs=tuple(builder.inputs),
        outputs=_outputs(inner, builder),
        layout=builder.layout,
    )
    if not graph.nodes:
        raise FormatError(f"{where}: a Keras model without layers")
    return Model(
        format="keras",
        format_version=version,
        producer=f"keras {version}".strip(),
        graphs=(graph,),
        notes=tuple(sorted(builder.notes)),
    )


def _outputs(inner: object, builder: "_Builder") -> tuple[str, ...]:
    stated = inner.get("output_layers") if isinstance(inner, dict) else None
    found = tuple(dict.fromkeys(_references(stated)))
    if found and all(name in builder.tensors for name in found):
        return found
    taken = {name for node in builder.nodes for name in node.inputs}
    return tuple(n for node in builder.nodes for n in node.outputs if n not in taken)


class _Builder:
    """Applies layers as soon as what they take is there."""

    def __init__(self, layers: list[_Layer], weights: _hdf5.Group, where: str) -> None:
        self._layers = layers
        self._where = where
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []
        self.notes: set[str] = set()
        first = any(layer.config.get("data_format") == "channels_first" for layer in layers)
        self.layout = Layout.CHANNELS_FIRST if first else Layout.CHANNELS_LAST
        names = [layer.name for layer in layers]
        if len(set(names)) != len(names):
            raise FormatError(f"{where}: two Keras layers have the same name")
        self._weights = self._found_weights(weights)

    def _found_weights(self, root: _hdf5.Group) -> dict[str, Mapping[str, _hdf5.Array]]:
        """Weights of each layer by their name in the layer."""
        groups = root.groups.get("layers", root).groups
        numbered = root.groups.get("layers") is not None
        counts: dict[str, int] = {}
        found: dict[str, Mapping[str, _hdf5.Array]] = {}
        for layer in self._layers:
            key = layer.name
            if numbered and key not in groups:
                kind = _UPPER.sub("_", layer.kind).lower()
                number = counts.get(kind, 0)
                counts[kind] = number + 1
                key = f"{kind}_{number}" if number else kind
            group = groups.get(key)
            if group is not None:
                found[layer.name] = _named(layer, group)
        return found

    def run(self) -> None:
        pending = [(layer, call) for layer in self._layers for call in range(len(layer.calls))]
        for layer in self._layers:
            if layer.kind == "InputLayer" or not layer.calls:
                self._input(layer)
        for _ in range(64):
            late: list[tuple[_Layer, int]] = []
            for layer, call in pending:
                if all(self._is_there(name) for name in layer.calls[call]):
                    self._apply(layer, call)
                else:
                    late.append((layer, call))
            if not late:
                return
            if len(late) == len(pending):
                break
            pending = late
        raise FormatError(
            f"{self._where}: Keras layer {pending[0][0].name[:80]!r} takes what no layer makes"
        )

    def _is_there(self, name: str) -> bool:
        """Whether a result is there; a layer's second and later results show when they are taken."""
        if name in self.tensors:
            return True
        layer, _, place = name.rpartition(":")
        layer, _, call = layer.rpartition(":")
        first = _result(layer, int(call), 0) if call.isdecimal() and len(call) < 6 else ""
        if first in self.tensors and place.isdecimal():
            for index, node in enumerate(self.nodes):
                if first in node.outputs:
                    self._define(name, None)
                    self.nodes[index] = Node(
                        name=node.name,
                        operator="",
                        source_operator=node.source_operator,
                        inputs=node.inputs,
                        outputs=(*node.outputs, name),
                        attributes=node.attributes,
                    )
                    return True
        return False

    def _define(self, name: str, shape: Shape | None) -> None:
        self.tensors[name] = Tensor(name=name, dtype=DataType.FLOAT32, shape=shape)

    def _input(self, layer: _Layer) -> None:
        sizes = layer.config.get("batch_shape", layer.config.get("batch_input_shape"))
        shape: Shape | None = None
        if isinstance(sizes, list) and len(sizes) <= _RANK_LIMIT:
            shape = tuple(s if isinstance(s, int) and 0 < s < _LARGEST else "?" for s in sizes)
        self._define(layer.name, shape)
        self.inputs.append(layer.name)

    def _apply(self, layer: _Layer, call: int) -> None:
        held = self._weights.get(layer.name, {})
        depthwise = held.get("depthwise_kernel")
        channels = None
        if depthwise is not None and len(depthwise.shape) > 1:
            channels = depthwise.shape[-2]
        mapped = _keras_layers.mapped(layer.kind, layer.config, channels)
        constants = {name: self._constant(layer, name, array) for name, array in held.items()}
        front = [constants.get(name, "") for name in mapped.weights]
        rest = [t for name, t in constants.items() if name not in mapped.weights]
        while front and not front[-1] and not rest:
            front.pop()
        if "layers" in layer.config:
            self.notes.add("nested-models")
        if not constants and _keras_layers.weight_names(layer.kind, layer.config):
            self.notes.add("weights-absent")
        output = _result(layer.name, call, 0)
        self._define(output, None)
        self.nodes.append(
            Node(
                name=layer.name,
                operator=mapped.operator,
                source_operator=layer.kind,
                inputs=(*layer.calls[call], *front, *rest),
                outputs=(output,),
                attributes=mapped.attributes,
            )
        )

    def _constant(self, layer: _Layer, weight: str, array: _hdf5.Array) -> str:
        """The tensor of a weight; layers that are applied twice share theirs."""
        name = f"{layer.name}/{weight}"
        if name not in self.tensors:
            self.tensors[name] = _constant(name, array)
            if array.data is None:
                self.notes.add("weights-unread")
        return name


def _named(layer: _Layer, group: _hdf5.Group) -> Mapping[str, _hdf5.Array]:
    """A layer's weights by their names; Keras 3 numbers them in its zip."""
    found = {t: a for t, a in _arrays(group) if a.dtype is not DataType.STRING}
    expected = _keras_layers.weight_names(layer.kind, layer.config)
    leaves = [path.rpartition("/")[2].removesuffix(":0") for path in found]
    if all(leaf.isdecimal() for leaf in leaves) and len(expected) == len(leaves):
        order = sorted(found, key=lambda path: [(len(p), p) for p in path.split("/")])
        return {name: found[path] for name, path in zip(expected, order, strict=True)}
    if layer.kind.startswith("Depthwise"):  # Keras 2 calls it so, Keras 3 just "kernel"
        leaves = ["depthwise_kernel" if leaf == "kernel" else leaf for leaf in leaves]
    if len(set(leaves)) == len(leaves):
        return dict(zip(leaves, found.values(), strict=True))
    return found


def _arrays(
    group: _hdf5.Group, path: str = "", depth: int = 0
) -> Iterator[tuple[str, _hdf5.Array]]:
    for name, array in group.arrays.items():
        if not name.startswith("seed_generator"):
            yield path + name, array
    if depth < _DEPTH_LIMIT:
        for name, inner in group.groups.items():
            if name != "seed_generator":
                yield from _arrays(inner, f"{path}{name}/", depth + 1)

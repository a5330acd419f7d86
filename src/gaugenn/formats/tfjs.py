"""TensorFlow.js: a TensorFlow graph or Keras' layers in JSON, with the weights in files beside it."""

import re
from collections.abc import Iterable
from dataclasses import replace

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _hdf5, _json, keras, tensorflow
from gaugenn.formats import _tensorflow_schema as schema
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._protobuf import read_message
from gaugenn.formats._tfjs_graph import graph_bytes
from gaugenn.formats._tfjs_weights import Weight, paths, read_weights
from gaugenn.graph import Graph, Model, TensorKind

_KEYS = re.compile(
    rb'"(?:modelTopology|format|generatedBy|convertedBy|weightsManifest|signature|'
    rb'userDefinedMetadata|trainingConfig|modelInitializer)"\s*:'
)
_BEGINS = re.compile(rb"\s*\{\s*" + _KEYS.pattern)
_TOPOLOGY = re.compile(
    rb'"modelTopology"\s*:\s*\{\s*"(?:node|library|versions|class_name|keras_version|model_config|'
    rb'backend|config|training_config)"\s*:|"format"\s*:\s*"(?:graph|layers)-model"'
)
_MEMBERS_OF_GRAPH = frozenset({"node", "library", "versions"})


class TensorFlowJsReader(FormatReader):
    """Reads graph models and layers models. Weights of 8 and 16 bits stay as they are stored."""

    title = "TensorFlow.js"
    spec = "https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts"
    suffixes = (".json",)
    magics = ((0, b'{"format"'), (0, b'{"modelTopology"'))

    def sniff(self, name: str, head: bytes) -> bool:
        """By the first key, and what the topology begins with."""
        del name
        return _BEGINS.match(head) is not None and _TOPOLOGY.search(head) is not None

    def graph_names(self, name: str) -> tuple[str, ...]:
        """`model.json`, of any `.bin`."""
        return ("model.json",) if name.lower().endswith(".bin") else ()

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The files that the model lists, as far as they are there.

        Raises:
            FormatError: the model is no JSON.
        """
        found = (content.beside(p) for p in paths(_json.read_object(content.data, content.name)))
        return tuple(each for each in found if each is not None)

    def read(self, content: Content) -> Model:
        """Reads the model, and its weights where all files of a group are there.

        Raises:
            FormatError: a model that contradicts itself, or weights beyond their files.
        """
        try:
            return _model(content)
        except FormatError as error:
            if str(error).startswith(content.name):
                raise
            raise type(error)(f"{content.name}: {error}") from error


def _model(content: Content) -> Model:
    found = _json.read_object(content.data, content.name)
    topology = _json.part(found, "modelTopology")
    weights = list(read_weights(found, content))
    if topology.keys() & _MEMBERS_OF_GRAPH:
        kind, model = "graph-model", _graph_model(topology, weights)
    else:
        kind, model = "layers-model", _layers_model(topology, weights, content.name)
    listed = {name: content.beside(name) for name in paths(found)}
    absent = any(weight.data is None for weight in weights)
    notes = set(model.notes) | ({"weights-absent"} if absent else set())
    producer = _json.text(found, "convertedBy") or _json.text(found, "generatedBy")
    return replace(
        model,
        format="tfjs",
        format_version=kind,
        producer=producer or model.producer,
        companions=tuple(name for name, file in listed.items() if file is not None),
        notes=tuple(sorted(notes)),
    )


def _graph_model(topology: _json.Object, weights: list[Weight]) -> Model:
    by_name = {weight.name: weight for weight in weights}
    data = graph_bytes(topology, by_name)
    model = tensorflow.graph_model(read_message(memoryview(data), schema.GRAPH))
    return replace(model, graphs=tuple(_filled(graph, by_name) for graph in model.graphs))


def _filled(graph: Graph, weights: dict[str, Weight]) -> Graph:
    """The graph with the weights' own bytes."""
    tensors = dict(graph.tensors)
    for name, tensor in graph.tensors.items():
        held = weights.get(name)
        if held is not None and tensor.kind is TensorKind.CONSTANT and tensor.shape == held.shape:
            tensors[name] = replace(
                tensor, dtype=held.dtype, data=held.data, quantization=held.quantization
            )
    return replace(graph, tensors=tensors)


def _layers_model(topology: _json.Object, weights: list[Weight], where: str) -> Model:
    config = _json.part(topology, "model_config") or topology
    version = _json.text(topology, "keras_version")
    model = keras.layers_model(config, _groups(weights), version, where)
    by_name = {_place(weight.name): weight for weight in weights}
    tensors = dict(model.graphs[0].tensors)
    for name, tensor in model.graphs[0].tensors.items():
        held = by_name.get(name)
        if held is not None and tensor.kind is TensorKind.CONSTANT:
            tensors[name] = replace(tensor, data=held.data, quantization=held.quantization)
    notes = tuple(note for note in model.notes if note != "weights-unread")
    return replace(model, graphs=(replace(model.graphs[0], tensors=tensors),), notes=notes)


def _place(name: str) -> str:
    """`conv1/kernel` of `conv1/conv1/kernel:0`: the layer and the weight's own name."""
    parts = name.removesuffix(":0").split("/")
    return f"{parts[0]}/{parts[-1]}"


def _groups(weights: Iterable[Weight]) -> _hdf5.Group:
    """The weights in a group for each layer, as Keras' own files have them."""
    root = _hdf5.Group()
    for weight in weights:
        parts = weight.name.split("/")
        group = root
        for each in parts[:-1][:8]:
            group = group.groups.setdefault(each, _hdf5.Group())
        group.arrays[parts[-1]] = _hdf5.Array(
            dtype=weight.dtype,
            shape=weight.shape,
            data=weight.data if isinstance(weight.data, memoryview) else None,
        )
    return root

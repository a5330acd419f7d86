"""A model as rows: one for itself, one per node."""

import re
from collections.abc import Iterator

from gaugenn.analysis.cost import ModelCost, NodeCost, costs
from gaugenn.analysis.fingerprint import architecture_digest
from gaugenn.analysis.layers import layer_classes
from gaugenn.analysis.shapes import InferredShapes, infer_shapes
from gaugenn.analysis.task import purpose
from gaugenn.analysis.weight_values import WeightReader
from gaugenn.analysis.weights import summarise_weights
from gaugenn.graph import Graph, Model, Node, Tensor, TensorKind
from gaugenn.records import FileKind, LayerClass, LayerRecord, ModelRecord, TensorInfo

_TRACE = re.compile(r"(?:^|[/;])(cluster_|prune_)")
"""What TensorFlow's Model Optimization Toolkit puts before the names of layers that it wraps.

**Source:** https://www.tensorflow.org/model_optimization/guide
"""

_DEQUANTIZE = frozenset({"DEQUANTIZE", "Dequantize"})
"""As formats spell it; some of them become `Cast`, because they widen 16-bit floats."""

_LARGEST = (1 << 63) - 1
"""What a column of 64-bit integers holds. Larger numbers come from contradictory files only."""


def summarise(
    model: Model, *, model_sha256: str, size_bytes: int, names: tuple[str, ...] = ()
) -> tuple[ModelRecord, tuple[LayerRecord, ...]]:
    """Counts a model. Reads every weight once.

    Args:
        model: as read.
        model_sha256: the model's identity, see `records.model_digest`.
        size_bytes: of all its files together.
        names: file names under which the model was seen; they help to say what it is for.

    Returns:
        The model's row, and the rows of its nodes in the order of graphs and positions. The sums are
        of one inference of the main graph; nodes of sub-graphs have rows of their own, and the node
        that runs a sub-graph has its cost, too.
    """
    shapes = infer_shapes(model)
    cost = costs(model, shapes)
    stored = summarise_weights(model, shapes, cost)
    classes = layer_classes(model, shapes)
    found = purpose(model, shapes, classes, names)
    reader = WeightReader()
    layers = tuple(
        _layer(
            model,
            model_sha256,
            (graph, position),
            cost.nodes[graph][position],
            classes[graph][position],
            reader,
        )
        for graph in range(len(model.graphs))
        for position in range(len(model.graphs[graph].nodes))
    )
    values = reader.summary(cost)
    record = ModelRecord(
        model_sha256=model_sha256,
        kind=FileKind.MODEL,
        format=model.format,
        size_bytes=size_bytes,
        format_version=model.format_version,
        producer=model.producer,
        graphs=len(model.graphs),
        nodes=len(layers),
        inputs=_interface(model.graphs[0], model.graphs[0].inputs),
        outputs=_interface(model.graphs[0], model.graphs[0].outputs),
        parameters=_bounded(cost.parameters),
        weights_bytes=_bounded(cost.weights_bytes),
        macs=_bounded(cost.macs),
        flops=_bounded(cost.flops),
        elementwise_operations=_bounded(cost.elementwise_operations),
        activation_peak_bytes=_bounded(cost.activation_peak_bytes),
        bytes_moved=_bounded(cost.bytes_moved),
        weights_dtype=stored.weights_dtype,
        activations_dtype=stored.activations_dtype,
        unmapped_nodes=sum(not node.operator for graph in model.graphs for node in graph.nodes),
        uncounted_nodes=cost.uncounted_nodes,
        assumed_dimensions=bool(shapes.assumed),
        architecture_sha256=architecture_digest(model, shapes),
        weights_sha256=reader.digest(cost.weights),
        notes=_notes(model, shapes, cost),
        quantization=stored.scheme if stored.weights else None,
        quantization_granularities=stored.granularities,
        weight_elements=stored.weights,
        dequantize_nodes=sum(
            _is_dequantize(node) for graph in model.graphs for node in graph.nodes
        ),
        weights_examined=values.examined,
        zero_weights=values.zeros,
        near_zero_weights=values.near_zeros,
        tensors_examined=values.tensors,
        clustered_tensors=values.clustered,
        compression_traces=_traces(model),
        modality=found.modality,
        task=found.task,
        family=found.family,
        task_confidence=found.confidence,
        task_evidence=found.evidence,
    )
    return record, layers


def _layer(
    model: Model,
    model_sha256: str,
    place: tuple[int, int],
    cost: NodeCost,
    layer_class: LayerClass,
    reader: WeightReader,
) -> LayerRecord:
    graph, position = place
    node = model.graphs[graph].nodes[position]
    shape = cost.output_shape
    return LayerRecord(
        model_sha256=model_sha256,
        graph=graph,
        position=position,
        name=node.name,
        operator=node.operator,
        source_operator=node.source_operator,
        macs=_bounded(cost.macs),
        flops=None if cost.macs is None else _bounded(2 * cost.macs),
        elementwise_operations=_bounded(cost.elementwise_operations),
        parameters=_bounded(cost.parameters) or 0,
        weights_bytes=_bounded(cost.weights_bytes) or 0,
        output_shape=None if shape is None or max(shape, default=0) > _LARGEST else shape,
        output_bytes=_bounded(cost.output_bytes),
        bytes_moved=_bounded(cost.bytes_moved),
        weights_sha256=reader.digest(cost.weights),
        layer_class=layer_class,
        weights_values_sha256=reader.values_digest(cost.weights),
    )


def _bounded(number: int | None) -> int | None:
    return None if number is None or number > _LARGEST else number


def _interface(graph: Graph, names: tuple[str, ...]) -> tuple[TensorInfo, ...]:
    return tuple(_info(graph.tensors[name]) for name in names if name in graph.tensors)


def _info(tensor: Tensor) -> TensorInfo:
    shape = None if tensor.shape is None else tuple(map(str, tensor.shape))
    return TensorInfo(name=tensor.name, dtype=tensor.dtype.value, shape=shape)


def _notes(model: Model, shapes: InferredShapes, cost: ModelCost) -> tuple[str, ...]:
    notes = {*model.notes, *(note.value for note in shapes.notes)}
    held = (w.tensor for w in cost.weights if w.tensor.kind is TensorKind.CONSTANT)
    if any(tensor.data is None for tensor in held):
        notes.add("weights-absent")
    if cost.has_unknown_trips:
        notes.add("unbounded-loop")
    return tuple(sorted(notes))


def _is_dequantize(node: Node) -> bool:
    return node.operator == "DequantizeLinear" or node.source_operator in _DEQUANTIZE


def _traces(model: Model) -> tuple[str, ...]:
    return tuple(sorted({found for name in _names(model) for found in _TRACE.findall(name)}))


def _names(model: Model) -> Iterator[str]:
    for graph in model.graphs:
        yield from graph.tensors
        yield from (node.name for node in graph.nodes)

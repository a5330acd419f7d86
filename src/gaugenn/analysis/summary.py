"""A model as rows: one for itself, one per node."""

from collections.abc import Sequence

from gaugenn.analysis._parameters import Weight
from gaugenn.analysis.cost import ModelCost, NodeCost, costs
from gaugenn.analysis.fingerprint import architecture_digest, combined_digest, tensor_digest
from gaugenn.analysis.shapes import InferredShapes, infer_shapes
from gaugenn.analysis.weights import summarise_weights
from gaugenn.graph import Graph, Model, Tensor
from gaugenn.records import FileKind, LayerRecord, ModelRecord, TensorInfo

Key = tuple[int | str, ...]
"""See `Weight.key`."""

_LARGEST = (1 << 63) - 1
"""What a column of 64-bit integers holds. Larger numbers come from contradictory files only."""


def summarise(
    model: Model, *, model_sha256: str, size_bytes: int
) -> tuple[ModelRecord, tuple[LayerRecord, ...]]:
    """Counts a model. Reads every weight once, for the digests.

    Args:
        model: as read.
        model_sha256: the model's identity, see `records.model_digest`.
        size_bytes: of all its files together.

    Returns:
        The model's row, and the rows of its nodes in the order of graphs and positions. The sums are
        of one inference of the main graph; nodes of sub-graphs have rows of their own, and the node
        that runs a sub-graph has its cost, too.
    """
    shapes = infer_shapes(model)
    cost = costs(model, shapes)
    stored = summarise_weights(model, shapes, cost)
    digests: dict[Key, str | None] = {}
    layers = tuple(
        _layer(model, model_sha256, graph, position, cost.nodes[graph][position], digests)
        for graph in range(len(model.graphs))
        for position in range(len(model.graphs[graph].nodes))
    )
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
        weights_dtype=stored.weights_dtype,
        activations_dtype=stored.activations_dtype,
        unmapped_nodes=sum(not node.operator for graph in model.graphs for node in graph.nodes),
        uncounted_nodes=cost.uncounted_nodes,
        assumed_dimensions=bool(shapes.assumed),
        architecture_sha256=architecture_digest(model, shapes),
        weights_sha256=_digest(cost.weights, digests),
        notes=_notes(model, shapes, cost),
    )
    return record, layers


def _digest(weights: Sequence[Weight], digests: dict[Key, str | None]) -> str | None:
    """The digest of some weights; each weight is read once, however many layers share it."""
    keys = [weight.key for weight in weights]
    for key, weight in zip(keys, weights, strict=True):
        if key not in digests:
            digests[key] = tensor_digest(weight.tensor)
    return combined_digest([digests[key] for key in keys])


def _layer(
    model: Model,
    model_sha256: str,
    graph: int,
    position: int,
    cost: NodeCost,
    digests: dict[Key, str | None],
) -> LayerRecord:
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
        weights_sha256=_digest(cost.weights, digests),
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
    if any(weight.tensor.data is None for weight in cost.weights):
        notes.add("weights-absent")
    if cost.has_unknown_trips:
        notes.add("unbounded-loop")
    return tuple(sorted(notes))

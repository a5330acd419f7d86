"""Which shape rule serves a node."""

from gaugenn.analysis import (
    _shapes_elementwise,
    _shapes_matrix,
    _shapes_movement,
    _shapes_reduction,
    _shapes_source,
    _shapes_spatial,
)
from gaugenn.analysis._node_view import Rule, kind_of, source_kind
from gaugenn.graph import Node

OPERATOR_RULES: dict[str, Rule] = {
    **_shapes_elementwise.RULES,
    **_shapes_matrix.RULES,
    **_shapes_movement.RULES,
    **_shapes_reduction.RULES,
    **_shapes_spatial.RULES,
}
"""Rules by ONNX operator name, ONNX Runtime's own operators included."""


def rule_of(node: Node) -> Rule | None:
    """The rule for a node's outputs; None for operators that no rule knows."""
    kind = kind_of(node)
    if kind:
        return OPERATOR_RULES.get(kind)
    return None if node.domain else _shapes_source.RULES.get(source_kind(node))

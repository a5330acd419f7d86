"""Graphs of a TorchScript program while they are made."""

from dataclasses import dataclass, field

from gaugenn.graph import AttributeValue, Graph, GraphReference, Node, Tensor


@dataclass(slots=True, eq=False)
class Draft:
    """A node whose outputs may still change."""

    namespace: str
    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, "AttributeValue | Scope"]


@dataclass(slots=True, eq=False)
class Scope:
    """A graph that is being made."""

    parent: "Scope | None"
    name: str
    nodes: list[Draft] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


def finished(root: Scope) -> tuple[Graph, ...]:
    """The graphs of a scope and of the bodies inside it, outer ones first."""
    order: list[Scope] = []
    pending = [root]
    while pending:
        scope = pending.pop(0)
        order.append(scope)
        for draft in scope.nodes:
            pending += [v for v in draft.attributes.values() if isinstance(v, Scope)]
    number = {id(scope): index for index, scope in enumerate(order)}

    def attribute(value: AttributeValue | Scope) -> AttributeValue:
        return GraphReference(number[id(value)]) if isinstance(value, Scope) else value

    return tuple(
        Graph(
            name=scope.name,
            tensors=scope.tensors,
            nodes=tuple(
                Node(
                    name="",
                    operator=draft.operator,
                    source_operator=draft.namespace,
                    inputs=tuple(draft.inputs),
                    outputs=tuple(draft.outputs),
                    attributes={k: attribute(v) for k, v in draft.attributes.items()},
                )
                for draft in scope.nodes
            ),
            inputs=tuple(scope.inputs),
            outputs=tuple(scope.outputs),
            parent=None if scope.parent is None else number[id(scope.parent)],
        )
        for scope in order
    )

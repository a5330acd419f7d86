"""Files that hold tensors and no graph: a model with one graph without nodes."""

from collections.abc import Iterable, Mapping

from gaugenn.errors import FormatError
from gaugenn.graph import Graph, Model, Tensor

NOTE = "weights-only"
"""The remark that tells such a model from an empty one."""


def weights_model(
    format_name: str,
    version: str,
    tensors: Iterable[Tensor],
    *,
    producer: str = "",
    metadata: Mapping[str, str] | None = None,
    notes: Iterable[str] = (),
) -> Model:
    """The model of a weights file.

    Raises:
        FormatError: two tensors of one name.
    """
    held: dict[str, Tensor] = {}
    for tensor in tensors:
        if tensor.name in held:
            raise FormatError(f"two tensors are called {tensor.name[:80]!r}")
        held[tensor.name] = tensor
    graph = Graph(name="", tensors=held, nodes=(), inputs=(), outputs=())
    return Model(
        format=format_name,
        format_version=version,
        producer=producer,
        graphs=(graph,),
        metadata=metadata or {},
        notes=tuple(sorted({NOTE, *notes})),
    )

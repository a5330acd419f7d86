"""Where a Caffe layer stands in its net: what its inputs look like, and what it becomes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gaugenn.formats._caffe_layers import Blob, Layer, Sizes
from gaugenn.formats._names import TensorNames
from gaugenn.graph import AttributeValue, DataType, Tensor, TensorKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What a layer becomes.

    Attributes:
        operator: the ONNX operator, or "".
        inputs: tensor names in ONNX order.
        attributes: ONNX attributes, and Caffe's own under Caffe's names.
        sizes: of each output, as far as they follow; missing ones are unknown.
    """

    operator: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    sizes: tuple[Sizes, ...] = ()


@dataclass(slots=True, kw_only=True)
class Site:
    """A layer with its surroundings.

    Attributes:
        layer: the layer itself, with the blobs it learned where these are known.
        bottoms: tensor names of its inputs.
        sizes: of its inputs.
        constants: the weights that its mapping asked for, by tensor name.
        taken: tensor names that the graph has already.
        shared: tensors of blobs that other layers share, by the name of the sharing.
        lacking: whether a weight has no bytes.
    """

    layer: Layer
    bottoms: tuple[str, ...]
    sizes: tuple[Sizes, ...]
    taken: TensorNames
    shared: dict[str, Tensor]
    constants: dict[str, Tensor] = field(default_factory=dict)
    lacking: bool = False

    @property
    def first(self) -> Sizes:
        """Sizes of the first input."""
        return self.sizes[0] if self.sizes else None

    def require(self, count: int) -> None:
        """Refuses a layer that has fewer inputs than its type takes.

        Raises:
            FormatError: it has.
        """
        if len(self.bottoms) < count:
            raise self.layer.error(f"has {len(self.bottoms)} inputs, expected at least {count}")

    def weight(self, position: int, role: str, shape: Sizes) -> str:
        """The tensor name of a learned blob, or "" where nothing tells its shape.

        Args:
            position: of the blob among the layer's.
            role: what the blob is, for its name.
            shape: as the layer's parameters and input demand; None for "as the file says".

        Raises:
            FormatError: the blob in the file cannot have that shape.
        """
        layer = self.layer
        sharing = layer.shared[position] if position < len(layer.shared) else ""
        held = self.shared.get(sharing) if sharing else None
        if held is not None:
            self.constants[held.name] = held
            return held.name
        blob = layer.blobs[position] if position < len(layer.blobs) else None
        sizes = self._agreed(blob, role, shape)
        if sizes is None:
            self.lacking = True
            return ""
        name = self.taken.unique(f"{layer.name}.{role}")
        tensor = Tensor(
            name=name,
            dtype=DataType.FLOAT32 if blob is None else blob.dtype,
            shape=sizes,
            data=None if blob is None else blob.data,
            kind=TensorKind.CONSTANT,
        )
        self.lacking = self.lacking or tensor.data is None
        self.constants[name] = tensor
        if sharing:
            self.shared[sharing] = tensor
        return name

    def _agreed(self, blob: Blob | None, role: str, shape: Sizes) -> tuple[int, ...] | None:
        """One shape out of what the file holds and what the layer demands."""
        known = None if shape is None else tuple(size for size in shape if size is not None)
        whole = shape is not None and known is not None and len(known) == len(shape)
        if blob is None:
            return known if whole else None
        if shape is None or known is None:
            return blob.shape
        rest = math.prod(known)
        if whole and rest == blob.elements:
            return known
        if len(known) + 1 == len(shape) and rest and blob.elements % rest == 0:
            return tuple(blob.elements // rest if size is None else size for size in shape)
        raise self.layer.error(
            f"needs {role} of shape {shape}, the file's is {blob.shape}; "
            "these are the weights of another net"
        )

    def others(self, first: int = 0) -> tuple[str, ...]:
        """Tensor names of the blobs that no mapping names, with the file's shapes."""
        count = len(self.layer.blobs)
        return tuple(self.weight(i, f"blobs[{i}]", None) for i in range(first, count))

    def mapped(
        self,
        operator: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        *,
        inputs: Sequence[str] | None = None,
        sizes: Sequence[Sizes] | None = None,
    ) -> Mapped:
        """A node that takes the layer's inputs and gives what is as large as the first of them."""
        given = self.bottoms if inputs is None else tuple(inputs)
        return Mapped(
            operator=operator,
            inputs=given,
            attributes=attributes or {},
            sizes=(self.first,) * len(self.layer.tops) if sizes is None else tuple(sizes),
        )

    def unmapped(self, sizes: Sequence[Sizes] = ()) -> Mapped:
        """A node that ONNX has no operator for, with everything the file says about it."""
        inputs = (*self.bottoms, *self.others())
        return self.mapped("", self.layer.parameters, inputs=inputs, sizes=sizes)


def product(sizes: Sizes) -> int | None:
    """Number of elements, where every size is known."""
    if sizes is None:
        return None
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total


def trimmed(names: Sequence[str]) -> tuple[str, ...]:
    """Without the omitted inputs at the end."""
    end = len(names)
    while end and not names[end - 1]:
        end -= 1
    return tuple(names[:end])

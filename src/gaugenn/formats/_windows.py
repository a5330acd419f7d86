"""ONNX attributes of operators that slide a window over a picture, checked."""

from collections.abc import Sequence

from gaugenn.graph import AttributeValue

_LARGEST = 1 << 31


def window(
    *,
    kernel: Sequence[int],
    strides: Sequence[int] = (),
    dilations: Sequence[int] = (),
    pads: Sequence[int] = (),
    auto_pad: str = "",
) -> dict[str, AttributeValue] | None:
    """The window; None where a number is impossible.

    Args:
        kernel: sizes, one a spatial dimension.
        strides: the same; () for 1.
        dilations: the same; () for 1.
        pads: begin..., end..., or one number a dimension for both sides; () for none.
        auto_pad: ONNX's word for padding that follows from the sizes; `pads` is then left out.
    """
    rank = len(kernel)
    given = {
        "kernel_shape": tuple(kernel),
        "strides": tuple(strides),
        "dilations": tuple(dilations),
    }
    if not rank or any(v and len(v) != rank for v in given.values()):
        return None
    if any(not 0 < size < _LARGEST for values in given.values() for size in values):
        return None
    found: dict[str, AttributeValue] = {name: value for name, value in given.items() if value}
    if auto_pad:
        return {**found, "auto_pad": auto_pad}
    sides = tuple(pads) * 2 if len(pads) == rank else tuple(pads)
    if sides and (len(sides) != 2 * rank or any(abs(size) >= _LARGEST for size in sides)):
        return None
    return {**found, "pads": sides or (0,) * (2 * rank)}


def convolution(
    found: dict[str, AttributeValue] | None, *, output_channels: int, group: int = 1
) -> dict[str, AttributeValue] | None:
    """A window's attributes with those of a convolution; None where a number is impossible."""
    possible = 0 < group < _LARGEST and 0 < output_channels < _LARGEST
    if found is None or not possible or output_channels % group:
        return None
    return {**found, "group": group, "output_channels": output_channels}

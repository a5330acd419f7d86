"""Whether two engines compute the same: outputs of one model on one input, compared by samples.

A launch keeps values at evenly spread places of each output (`OutputStatistics.sample`), so that any
two launches can be compared from their rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gaugenn.errors import UsageError
from gaugenn.records import OutputStatistics

COSINE_WANTED = 0.99
"""Outputs of one model in other precisions, down to 8-bit integers, lie above; a wrong layout, missing
weights or another operator below. What we measured: `docs/engines.md`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How close values are to a reference.

    Attributes:
        cosine: of the angle between both; 1 for the same direction. Two vectors of zeros agree.
        maximum_relative_error: largest difference over the reference's largest magnitude.
        elements: compared.
    """

    cosine: float
    maximum_relative_error: float
    elements: int

    @property
    def agrees(self) -> bool:
        """Whether it is the same up to the precision that computed it."""
        return self.cosine >= COSINE_WANTED


def agreement(values: Sequence[float], reference: Sequence[float]) -> Agreement:
    """Compares values with a reference.

    Raises:
        UsageError: no value, other lengths, or a value that is not finite.
    """
    if len(values) != len(reference) or not values:
        raise UsageError(f"{len(values)} values cannot be compared with {len(reference)}")
    if not all(map(math.isfinite, (*values, *reference))):
        raise UsageError("a value that is not finite cannot be compared")
    largest = max(map(abs, reference))
    furthest = max(abs(a - b) for a, b in zip(values, reference, strict=True))
    scale = max(largest, *map(abs, values))
    if scale == 0:
        return Agreement(cosine=1.0, maximum_relative_error=0.0, elements=len(values))
    ours, theirs = [v / scale for v in values], [v / scale for v in reference]
    lengths = math.sqrt(math.fsum(v * v for v in ours) * math.fsum(v * v for v in theirs))
    product = math.fsum(a * b for a, b in zip(ours, theirs, strict=True))
    return Agreement(
        cosine=product / lengths if lengths else 0.0,
        maximum_relative_error=furthest / largest if largest else math.inf,
        elements=len(values),
    )


def outputs_agree(
    outputs: Sequence[OutputStatistics], reference: Sequence[OutputStatistics]
) -> bool | None:
    """Whether every output agrees with that of another launch on the same model and input.

    Outputs are paired by name where the names are the same, else by position. Sizes of 1 in a shape do
    not count, for some libraries drop the batch.

    Returns:
        None where there is nothing to compare: rows without samples, or text.
    """
    if len(outputs) != len(reference):
        return False
    named = {output.name: output for output in reference}
    by_name = named.keys() == {output.name for output in outputs}
    compared = False
    for position, output in enumerate(outputs):
        other = named[output.name] if by_name else reference[position]
        if _sizes(output) != _sizes(other):
            return False
        if not output.sample or not other.sample:
            continue
        compared = True
        if not agreement(output.sample, other.sample).agrees:
            return False
    return True if compared else None


def _sizes(output: OutputStatistics) -> list[int]:
    return [size for size in output.shape if size != 1]

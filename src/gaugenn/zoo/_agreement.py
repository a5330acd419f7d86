"""How close an exported file's outputs come to the definition's. Needs numpy only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.zoo._order import Variant

Array = npt.NDArray[np.generic]

COSINE_FLOOR = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an exported file must keep to be accepted."""

    minimum_cosine: float
    maximum_relative_error: float | None
    """Largest absolute difference over the largest absolute reference value; None: not limited."""


LIMITS = {
    Variant.FLOAT32: Limits(minimum_cosine=0.99999, maximum_relative_error=5e-3),
    Variant.FLOAT16: Limits(minimum_cosine=0.9995, maximum_relative_error=5e-2),
    Variant.INT8: Limits(minimum_cosine=0.98, maximum_relative_error=None),
}
"""Float32 differs in the order of sums and in Winograd's transform only; but networks of seeded weights
hardly damp rounding errors, so that the deepest differ by a thousandth, with every library. Float16
keeps 11 bits a value. In int8 errors do not cancel either: it is bounded by direction alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """How two sets of outputs compare: the worst output counts."""

    cosine: float | None
    maximum_relative_error: float | None
    problem: str | None
    """Why they cannot be compared, or None."""


def compare(reference: Sequence[Array], found: Sequence[Array]) -> Closeness:
    """Compares outputs in order. Sizes of 1 do not count, since ncnn has no batch."""
    if len(reference) != len(found):
        return _problem(f"{len(found)} outputs, the definition has {len(reference)}")
    cosines, errors = [], []
    for position, (wanted, got) in enumerate(zip(reference, found, strict=True)):
        if _sizes(wanted) != _sizes(got):
            return _problem(f"output {position} is {got.shape}, the definition's {wanted.shape}")
        a = wanted.astype(np.float64).ravel()
        b = got.astype(np.float64).ravel()
        if not np.isfinite(a).all():
            return _problem(f"output {position} of the definition is not finite")
        if not np.isfinite(b).all():
            return _problem(f"output {position} is not finite")
        if a.size and a.min() == a.max():
            return _problem(f"output {position} of the definition is constant: proves nothing")
        norms = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
        cosines.append(float(a @ b) / max(norms, COSINE_FLOOR))
        errors.append(float(np.abs(a - b).max()) / max(float(np.abs(a).max()), COSINE_FLOOR))
    if not cosines:
        return _problem("no output")
    return Closeness(cosine=min(cosines), maximum_relative_error=max(errors), problem=None)


def refusal(closeness: Closeness, variant: Variant) -> str | None:
    """Why outputs this close are not accepted for a variant, or None."""
    if closeness.problem is not None:
        return closeness.problem
    limits = LIMITS[variant]
    cosine, error = closeness.cosine or 0.0, closeness.maximum_relative_error or 0.0
    if cosine < limits.minimum_cosine:
        return f"cosine {cosine:.6f} is below {limits.minimum_cosine} for {variant}"
    if limits.maximum_relative_error is not None and error > limits.maximum_relative_error:
        return f"relative error {error:.1e} is above {limits.maximum_relative_error} for {variant}"
    return None


def _sizes(array: Array) -> tuple[int, ...]:
    return tuple(size for size in array.shape if size != 1)


def _problem(text: str) -> Closeness:
    return Closeness(cosine=None, maximum_relative_error=None, problem=text)

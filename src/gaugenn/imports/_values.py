"""JSON and the like as typed values: what is of another type counts as what is not there."""

import json
import math
from collections.abc import Mapping, Sequence

from gaugenn.errors import FormatError
from gaugenn.imports import MAXIMUM_SAMPLES
from gaugenn.records import Aggregate, Quantile, Statistic

Object = Mapping[str, object]
TEXT_CHARACTERS = 300


def load_json(text: str) -> object:
    """A JSON document.

    Raises:
        FormatError: it is none, is nested too deeply, or holds a number that is none.
    """
    try:
        value: object = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"no JSON: {str(error)[:200]}") from error
    return value


def starts_json(text: str) -> bool:
    """Whether a text can be JSON."""
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


def child(value: object, *names: str) -> Object:
    """An object inside objects; an empty one where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> Sequence[object]:
    """A list; an empty one where it is none."""
    return value if isinstance(value, list) else ()


def text(value: object) -> str:
    """A text, shortened; "" where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value)[:TEXT_CHARACTERS]


def number(value: object, scale: float = 1.0) -> float | None:
    """A finite number in another unit; None where it is none. Texts of numbers count."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        scaled = float(value) * scale
    except OverflowError:
        return None
    return scaled if math.isfinite(scaled) else None


def count(value: object) -> int:
    """A number of things; 0 where it is none."""
    found = number(value)
    return int(found) if found is not None and 0 <= found < 2**53 else 0


def numbers(value: object, scale: float = 1.0) -> list[float]:
    """A list of numbers in another unit.

    Raises:
        FormatError: an element is none, or there are too many.
    """
    listed = items(value)
    if len(listed) > MAXIMUM_SAMPLES:
        raise FormatError(f"more than {MAXIMUM_SAMPLES} samples")
    found = [number(item, scale) for item in listed]
    whole = [item for item in found if item is not None]
    if len(whole) != len(found):
        raise FormatError("a sample is no number")
    return whole


def aggregate(
    *,
    mean_s: float | None,
    count: int = 0,
    minimum_s: float | None = None,
    maximum_s: float | None = None,
    standard_deviation_s: float | None = None,
    quantiles: Mapping[float, float | None] | None = None,
) -> Aggregate | None:
    """An aggregate out of what a file states: its value is the median, else the mean, else the 90th
    percentile; None where it states none of them.

    Args:
        mean_s: of all inferences.
        count: of inferences; 0 where it is not known.
        minimum_s: of them.
        maximum_s: of them.
        standard_deviation_s: of them.
        quantiles: share -> latency.
    """
    known = {share: value for share, value in (quantiles or {}).items() if value is not None}
    choices = (
        (Statistic.MEDIAN, known.get(0.5)),
        (Statistic.MEAN, mean_s),
        (Statistic.P90, known.get(0.9)),
    )
    for statistic, value in choices:
        if value is not None:
            return Aggregate(
                statistic=statistic,
                value_s=value,
                count=count or None,
                mean_s=mean_s,
                minimum_s=minimum_s,
                maximum_s=maximum_s,
                standard_deviation_s=standard_deviation_s,
                quantiles=tuple(Quantile(share=s, value_s=v) for s, v in sorted(known.items())),
            )
    return None


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")

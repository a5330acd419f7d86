"""Whether one experiment is faster than another, and what must be equal for the question to make sense.

A ratio is the second's latency over the first's: 1.05 is 5 % slower. Launches that took turns (block
by block, in random order) are paired, so that what drifted during the campaign cancels; others are
compared by ranks. A difference counts when it is significant and larger than a threshold that matters
in practice: with enough launches everything is significant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from gaugenn.analysis.statistics import CONFIDENCE, MINIMUM_LAUNCHES, Estimate, estimate
from gaugenn.errors import UsageError

THRESHOLD = 0.02
"""Smallest relative difference that matters, where nobody says otherwise."""


class Outcome(StrEnum):
    """What a comparison says of the second experiment."""

    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    """The whole interval lies within the threshold on both sides."""
    UNDECIDED = "undecided"


class Design(StrEnum):
    """What is compared with what."""

    PAIRED = "paired"
    """Launches of the same block: Student's t on the logarithms of their ratios."""
    RANKS = "ranks"
    """All launches: Mann-Whitney's test; the interval is Welch's on the logarithms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The second experiment over the first.

    Attributes:
        design: how it was found.
        ratio: of geometric means; above 1 the second is slower.
        low: lower end of the ratio's interval; None with too few launches.
        high: upper end.
        p_value: of no difference, two-sided, uncorrected; None with too few launches.
        first: launches of the first.
        second: launches of the second.
        pairs: blocks that both have; 0 unless paired.
    """

    design: Design
    ratio: float
    low: float | None
    high: float | None
    p_value: float | None
    first: int
    second: int
    pairs: int

    def outcome(
        self, threshold: float = THRESHOLD, p_value: float | None = None, level: float | None = None
    ) -> Outcome:
        """What follows.

        Args:
            threshold: relative difference that matters.
            p_value: corrected for other comparisons; the difference's own by default.
            level: largest p that is significant; 1 - `CONFIDENCE` by default.
        """
        level = 1 - CONFIDENCE if level is None else level
        found = self.p_value if p_value is None else p_value
        if found is None or self.low is None or self.high is None:
            return Outcome.UNDECIDED
        bound = float(np.log1p(threshold))
        if found <= level and abs(np.log(self.ratio)) > bound:
            return Outcome.SLOWER if self.ratio > 1 else Outcome.FASTER
        if -bound <= np.log(self.low) and np.log(self.high) <= bound:
            return Outcome.EQUIVALENT
        return Outcome.UNDECIDED


def compare_pairs(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compares launches that took turns.

    Args:
        first: median of each block's launch of the first experiment.
        second: of the second, in the same order of blocks.

    Raises:
        UsageError: no values, not equally many, or one that is no positive number.
    """
    if len(first) != len(second):
        raise UsageError(f"{len(first)} launches cannot be paired with {len(second)}")
    one, two = estimate(first), estimate(second)
    logs = np.log(np.asarray(second)) - np.log(np.asarray(first))
    n = len(logs)
    spread = float(logs.std(ddof=1)) if n > 1 else 0.0
    low, high, p_value = _student(float(logs.mean()), spread / float(np.sqrt(n)), n - 1)
    return Difference(
        design=Design.PAIRED,
        ratio=two.value / one.value,
        low=low if n >= MINIMUM_LAUNCHES else None,
        high=high if n >= MINIMUM_LAUNCHES else None,
        p_value=p_value if n >= MINIMUM_LAUNCHES else None,
        first=n,
        second=n,
        pairs=n,
    )


def compare_groups(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compares launches that were not made in turns. Not symmetric in time: drift is not cancelled.

    Three launches against three can never be significant: the smallest p of their ranks is 0.1.

    Raises:
        UsageError: no values, or one that is no positive number.
    """
    one, two = estimate(first), estimate(second)
    low = high = p_value = None
    if min(one.n, two.n) >= MINIMUM_LAUNCHES:
        from scipy.stats import mannwhitneyu

        p_value = float(mannwhitneyu(first, second, alternative="two-sided").pvalue)
        shares = [(e.variation or 0.0) ** 2 / e.n for e in (one, two)]
        total = sum(shares)
        # Welch-Satterthwaite. Source: https://doi.org/10.1093/biomet/34.1-2.28
        degrees = (
            total**2 / sum(s**2 / (e.n - 1) for s, e in zip(shares, (one, two), strict=True))
            if total > 0
            else one.n + two.n - 2
        )
        low, high, _ = _student(
            float(np.log(two.value / one.value)), float(np.sqrt(total)), degrees
        )
    return Difference(
        design=Design.RANKS,
        ratio=two.value / one.value,
        low=low,
        high=high,
        p_value=p_value,
        first=one.n,
        second=two.n,
        pairs=0,
    )


def compare_launches(
    first: Mapping[int, tuple[str, float]], second: Mapping[int, tuple[str, float]]
) -> Difference:
    """Compares launches on one device: in pairs where they took turns, else by ranks.

    Args:
        first: block -> (start as ISO 8601 in UTC, median) of each launch.
        second: of the other experiment.

    Raises:
        UsageError: see `compare_pairs` and `compare_groups`.
    """
    starts = ([(block, start) for block, (start, _) in side.items()] for side in (first, second))
    blocks = took_turns(*starts)
    if blocks:
        return compare_pairs([first[n][1] for n in blocks], [second[n][1] for n in blocks])
    return compare_groups([m for _, m in first.values()], [m for _, m in second.values()])


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """P-values corrected so that the chance of any false alarm among them stays at the level.

    Those that are None stay so and do not count.

    Source: https://www.jstor.org/stable/4615733
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[place] = largest
    return tuple(corrected)


def over_models(ratios: Sequence[float]) -> Estimate:
    """Geometric mean of one ratio a model; the interval is over models, the unit being the model.

    Raises:
        UsageError: no ratio.
    """
    return estimate(ratios)


def took_turns(first: Sequence[tuple[int, str]], second: Sequence[tuple[int, str]]) -> list[int]:
    """Blocks of which both experiments have a launch, if all of them ran one after the other.

    Args:
        first: (block, start as ISO 8601 in UTC) of each launch.
        second: of the other experiment.

    Returns:
        The blocks in order; none where fewer than `MINIMUM_LAUNCHES` are common or where one block's
        launches began after a later block's: those were not interleaved.
    """
    starts, others = dict(first), dict(second)
    common = sorted(starts.keys() & others.keys())
    ends = [sorted((starts[block], others[block])) for block in common]
    ordered = all(before[1] <= after[0] for before, after in pairwise(ends))
    return common if ordered and len(common) >= MINIMUM_LAUNCHES else []


def differing(
    first: Mapping[str, str], second: Mapping[str, str], compared: frozenset[str] = frozenset()
) -> dict[str, tuple[str, str]]:
    """Conditions that two experiments do not share.

    Args:
        first: condition -> value of one.
        second: of the other.
        compared: conditions that are what the comparison is about.

    Returns:
        Condition -> both values, for every other condition; a missing one reads `unknown`.
    """
    names = sorted((first.keys() | second.keys()) - compared)
    pairs = {name: (first.get(name, "unknown"), second.get(name, "unknown")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _student(centre: float, error: float, degrees: float) -> tuple[float, float, float]:
    """Interval of a ratio and the p-value of no difference, from the mean of logarithms."""
    from scipy.special import stdtr, stdtrit

    if degrees < 1:
        return 0.0, float("inf"), 1.0
    half = float(stdtrit(degrees, 0.5 + CONFIDENCE / 2)) * error
    if error > 0:
        p_value = 2 * float(stdtr(degrees, -abs(centre) / error))
    else:
        p_value = 1.0 if centre == 0 else 0.0
    return float(np.exp(centre - half)), float(np.exp(centre + half)), p_value

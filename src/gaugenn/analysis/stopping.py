"""When a job has been launched often enough.

The rule looks at what the result is stated with: the interval of the geometric mean over launches. It
is asked after each launch. Stopping at the first interval that happens to be narrow costs coverage
when it may happen early (nominal 95 %, about 90 % from 3 launches on, 93-95 % from 8 on), which
`python -m benchmarks.method` measures; hence `LAUNCHES_BEFORE_STOPPING`.

How a warm-up ends inside a launch is `engines._worker.WarmUp`: it has to run where the launch runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gaugenn.analysis.statistics import CONFIDENCE, estimate
from gaugenn.errors import UsageError

LAUNCHES_BEFORE_STOPPING = 8
"""Launches before a precision may stop a job."""
MAXIMUM_LAUNCHES = 40
"""Launches after which a job stops that is still wide; enough for 2 % where launches vary by 6 %."""


class Stop(StrEnum):
    """Why a job is not launched again."""

    PRECISE = "precise"
    """The interval is as narrow as asked."""
    LAUNCHES = "launches"
    """A fixed number of launches was asked for and made."""
    CI_WIDE = "ci_wide"
    """The most launches allowed were made and the interval is still wider than asked."""
    BUDGET = "budget"
    """The time is spent, or would be before another launch has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do after a launch.

    Attributes:
        stop: why the job is finished; None to launch it again.
        half_width: half the interval on the logarithms, about the relative uncertainty; None while
            there are too few launches for an interval.
    """

    stop: Stop | None
    half_width: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRule:
    """How long a job is launched.

    Attributes:
        precision: half-width asked for, as a share: 0.02 for 2 %; None for a fixed number of launches.
        minimum: launches before the precision may stop the job.
        maximum: launches after which it stops in any case.
        budget_s: wall time that it may take; None for no limit.
        confidence: of the interval.

    Raises:
        UsageError: a value out of range.
    """

    precision: float | None = None
    minimum: int = LAUNCHES_BEFORE_STOPPING
    maximum: int = MAXIMUM_LAUNCHES
    budget_s: float | None = None
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        """Refuses what cannot end or never begins."""
        if self.precision is not None and not 0 < self.precision < 1:
            raise UsageError(f"a precision is a share between 0 and 1, not {self.precision}")
        if not 1 <= self.minimum <= self.maximum:
            raise UsageError(
                f"at least {self.minimum} and at most {self.maximum} launches: expected 1 or more, "
                "and the minimum not above the maximum"
            )
        if self.budget_s is not None and not self.budget_s > 0:
            raise UsageError(f"a budget is a time above 0, not {self.budget_s} s")

    def decide(
        self,
        medians_s: Sequence[float],
        *,
        launches: int | None = None,
        spent_s: float = 0.0,
        next_s: float = 0.0,
    ) -> Decision:
        """Whether to launch again.

        Args:
            medians_s: median latency of each launch that ended well.
            launches: launches made, those that failed included; by default as many as medians.
            spent_s: of the budget.
            next_s: what another launch is expected to take.

        Raises:
            UsageError: a median that is no positive number.
        """
        made = len(medians_s) if launches is None else launches
        found = estimate(medians_s, self.confidence) if len(medians_s) else None
        half_width = None if found is None else found.half_width
        return Decision(
            stop=self._stop(len(medians_s), made, half_width, spent_s + next_s),
            half_width=half_width,
        )

    def _stop(self, good: int, made: int, half_width: float | None, then_s: float) -> Stop | None:
        wanted = self.precision if good >= self.minimum else None
        if wanted is not None and half_width is not None and half_width <= wanted:
            return Stop.PRECISE
        if made >= self.maximum:
            return Stop.LAUNCHES if self.precision is None else Stop.CI_WIDE
        if self.budget_s is not None and then_s > self.budget_s:
            return Stop.BUDGET
        return None

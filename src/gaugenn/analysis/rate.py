"""Inferences that were due at a fixed rate: how long each took from the moment it was due.

An inference that begins late because the one before was still running counts its waiting: a load does
not slow down because the device does. Leaving that out (*coordinated omission*) hides the very moments
that matter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gaugenn.errors import UsageError
from gaugenn.records import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderRate:
    """A launch under a fixed rate.

    Attributes:
        due: inferences that were due.
        served: those that were begun before the launch ended.
        missed: those that were not over when the next was due, the ones never begun included.
        miss_share: missed over due.
        service_s: median time in the inference itself.
        response_s: median time from due to over.
        response_p95_s: ninety-fifth percentile of that.
        response_p99_s: ninety-ninth.
        lateness_s: median time from due to begun.
        keeps_up: whether the waiting does not grow: the last tenth waits no longer than a period more
            than the first one.
    """

    due: int
    served: int
    missed: int
    miss_share: float
    service_s: float
    response_s: float
    response_p95_s: float
    response_p99_s: float
    lateness_s: float
    keeps_up: bool


def planned_inferences(job: Job) -> int:
    """Inferences that a launch of a job has to begin under its rate.

    Raises:
        UsageError: the job has no rate.
    """
    if job.rate_per_s is None:
        raise UsageError("a job without a rate plans no number of inferences")
    return max(job.steady_minimum_count, math.ceil(job.steady_minimum_s * job.rate_per_s))


def under_rate(
    due_s: Sequence[float],
    start_s: Sequence[float],
    latency_s: Sequence[float],
    *,
    rate_per_s: float,
    planned: int | None = None,
) -> UnderRate:
    """Sums up a launch under a fixed rate.

    Args:
        due_s: when each inference was due.
        start_s: when it began, on the same clock.
        latency_s: how long it took.
        rate_per_s: the rate.
        planned: inferences that should have been made; as many as there are by default.

    Raises:
        UsageError: no inference, lists that do not fit, or a rate that is none.
    """
    count = len(latency_s)
    if not count or len(due_s) != count or len(start_s) != count or not rate_per_s > 0:
        raise UsageError(
            f"{len(due_s)} due times, {len(start_s)} starts and {count} latencies at {rate_per_s}/s; "
            "expected as many of each, at least one, and a rate above 0"
        )
    due, start, service = (np.asarray(v, dtype=np.float64) for v in (due_s, start_s, latency_s))
    waited = start - due
    response = waited + service
    expected = max(count, planned or count)
    missed = int(np.count_nonzero(response > 1 / rate_per_s)) + expected - count
    tenth = max(1, count // 10)
    growth_s = float(np.median(waited[-tenth:]) - np.median(waited[:tenth]))
    p95, p99 = (float(p) for p in np.percentile(response, (95, 99)))
    return UnderRate(
        due=expected,
        served=count,
        missed=missed,
        miss_share=missed / expected,
        service_s=float(np.median(service)),
        response_s=float(np.median(response)),
        response_p95_s=p95,
        response_p99_s=p99,
        lateness_s=float(np.median(waited)),
        keeps_up=expected == count and growth_s <= 1 / rate_per_s,
    )

"""Energy out of traces of power: exact windows, gaps left out, idle power taken away.

Power between two samples is the straight line between them, and so is that at the ends of a window
(trapezoid). Where samples are missing there is no line: such a gap is left out and counted; the rest
stands for it only while it is short. A counter of energy is read by difference; what one update adds is
its uncertainty at each end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.analysis.statistics import CONFIDENCE
from gaugenn.errors import UsageError
from gaugenn.records import Trace, Window

GAP_PERIODS = 2.0
"""Samples that are further apart than that many periods have a gap between them."""
MAXIMUM_GAP_SHARE = 1e-3
"""Of a window, that the rest of it may stand for."""
FEWEST_UPDATES = 20
"""Of a counter, within a window: with fewer the update at each end is a tenth of it or more."""
BLOCK_S = 1.0
"""Neighbouring samples are not independent; means over such blocks nearly are."""
FEWEST_BLOCKS = 3
IDLE_MINIMUM_S = 30.0
"""Of each stretch of idle power."""
IDLE_DIFFERENCE = 0.1
IDLE_DIFFERENCE_W = 0.05
"""Idle before and after may differ by this share, or by this much, whichever is more."""
IDLE_VARIATION = 0.2
"""Standard deviation of the idle blocks over their mean, above which something else ran."""
_ROUNDING_S = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Integral:
    """Energy within a window.

    Attributes:
        energy_j: what the covered time drew, and the gaps in proportion where they are short.
        duration_s: length of the window.
        gap_s: time without samples within it.
        gaps: how many stretches that is.
        samples: samples or updates within it.
        edge_j: uncertainty of a counter's ends; 0 for power.
        reason: why the energy is not to be used, such as `meter_gaps`; None where it is.
    """

    energy_j: float
    duration_s: float
    gap_s: float
    gaps: int
    samples: int
    edge_j: float = 0.0
    reason: str | None = None

    @property
    def power_w(self) -> float:
        """Average power."""
        return self.energy_j / self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A value with its interval; no interval where there are too few blocks."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Energy of a stretch of work.

    Attributes:
        gross_j: all that was drawn.
        net_j: what is above idle; None where that cannot be told.
        baseline_w: idle power in the middle of the window, between that before and after.
        net_reason: why there is no net energy.
        integral: how the gross energy was found.
    """

    gross_j: Quantity
    net_j: Quantity | None
    baseline_w: float | None
    net_reason: str | None
    integral: Integral

    @property
    def reason(self) -> str | None:
        """Why the gross energy is not to be used; None where it is."""
        return self.integral.reason


def integrate(trace: Trace, window: Window) -> Integral:
    """Energy of a rail within a window on the trace's clock.

    Raises:
        UsageError: the trace does not cover the window.
    """
    _require_cover(trace, window)
    if trace.is_counter:
        return _difference(trace, window)
    t_s, watts = trace.t_s, trace.watts
    steps = np.diff(t_s)
    begin = np.clip(t_s[:-1], window.begin_s, window.end_s)
    end = np.clip(t_s[1:], window.begin_s, window.end_s)
    inside = end - begin
    is_gap = steps > GAP_PERIODS / trace.rate_hz * (1 + 1e-6)
    slope = np.diff(watts) / steps
    middle = watts[:-1] + slope * ((begin + end) / 2 - t_s[:-1])
    covered = np.where(is_gap, 0.0, inside)
    gap_s = float(inside[is_gap].sum())
    energy_j = float((middle * covered).sum())
    reason = _why_not(trace)
    share = gap_s / window.duration_s
    if share >= MAXIMUM_GAP_SHARE:
        reason = reason or "meter_gaps"
    elif gap_s:
        energy_j *= window.duration_s / (window.duration_s - gap_s)
    return Integral(
        energy_j=energy_j,
        duration_s=window.duration_s,
        gap_s=gap_s,
        gaps=int(np.count_nonzero(is_gap & (inside > 0))),
        samples=int(np.count_nonzero((t_s >= window.begin_s) & (t_s <= window.end_s))),
        reason=reason,
    )


def energy(
    trace: Trace,
    window: Window,
    before: Window | None = None,
    after: Window | None = None,
    *,
    idle_minimum_s: float = IDLE_MINIMUM_S,
    confidence: float = CONFIDENCE,
) -> Energy:
    """Gross and net energy of a stretch of work, each with an interval.

    Idle power over the window is the line between its means before and after, so a drift of it is taken
    away too. Intervals are Student's t on means of blocks of a second: they say how far power wandered
    meanwhile, not how exact the meter is. To compare launches, take one value of each launch.

    Args:
        trace: one rail.
        window: the work.
        before: idle before it.
        after: idle after it.
        idle_minimum_s: length that each idle stretch must have.
        confidence: of the intervals.

    Raises:
        UsageError: the trace does not cover one of the windows.
    """
    whole = integrate(trace, window)
    spread = _spread(trace, window)
    gross = _quantity(whole.energy_j, whole.edge_j, [(window.duration_s, spread)], confidence)
    reason: str | None = "idle_not_measured"
    baseline_w = net = None
    if before is not None and after is not None:
        reason, baseline_w, net = _net(
            trace, window, whole, spread, (before, after), idle_minimum_s, confidence
        )
    return Energy(
        gross_j=gross, net_j=net, baseline_w=baseline_w, net_reason=reason, integral=whole
    )


def _net(
    trace: Trace,
    window: Window,
    whole: Integral,
    spread: "_Spread | None",
    idle: tuple[Window, Window],
    idle_minimum_s: float,
    confidence: float,
) -> tuple[str | None, float | None, Quantity | None]:
    """Why not, idle power in the middle, and net energy."""
    if whole.reason is not None:
        return whole.reason, None, None
    if min(stretch.duration_s for stretch in idle) < idle_minimum_s - _ROUNDING_S:
        return "idle_too_short", None, None
    if idle[0].end_s > window.begin_s + _ROUNDING_S or idle[1].begin_s < window.end_s - _ROUNDING_S:
        return "idle_overlaps", None, None
    parts = [integrate(trace, stretch) for stretch in idle]
    found = next((part.reason for part in parts if part.reason is not None), None)
    spreads = [_spread(trace, stretch) for stretch in idle]
    first_w, last_w = (part.power_w for part in parts)
    centres = [(stretch.begin_s + stretch.end_s) / 2 for stretch in (idle[0], window, idle[1])]
    weight = (centres[1] - centres[0]) / (centres[2] - centres[0])
    baseline_w = (1 - weight) * first_w + weight * last_w
    if found is not None:
        return f"idle_{found}", None, None
    if abs(first_w - last_w) > max(IDLE_DIFFERENCE * abs(baseline_w), IDLE_DIFFERENCE_W):
        return "idles_differ", baseline_w, None
    if any(s is not None and s.deviation > IDLE_VARIATION * abs(s.mean) for s in spreads):
        return "idle_unsteady", baseline_w, None
    duration_s = window.duration_s
    terms = [
        (duration_s, spread),
        (duration_s * (1 - weight), spreads[0]),
        (duration_s * weight, spreads[1]),
    ]
    # A counter's step stands at both ends of the idle stretches, too, scaled to the window.
    edge_j = whole.edge_j + sum(
        share * duration_s / part.duration_s * part.edge_j
        for share, part in zip((1 - weight, weight), parts, strict=True)
    )
    net = _quantity(whole.energy_j - baseline_w * duration_s, edge_j, terms, confidence)
    if net.value <= 0 or (net.low is not None and net.low <= 0):
        return "net_not_positive", baseline_w, None
    return None, baseline_w, net


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """Means of a stretch's blocks."""

    n: int
    mean: float
    deviation: float


def block_means(trace: Trace, window: Window, block_s: float = BLOCK_S) -> npt.NDArray[np.float64]:
    """Average power of each whole block within a window, in watts; blocks with a gap are left out.

    Raises:
        UsageError: the trace does not cover the window.
    """
    _require_cover(trace, window)
    count = int(window.duration_s / block_s + 1e-9)
    if trace.is_counter:
        # A block that no update falls into would be a line between others.
        count = min(count, int(window.duration_s / (2 * _period_s(trace))))
    if not count:
        return np.empty(0, dtype=np.float64)
    block = window.duration_s / count
    edges = window.begin_s + np.arange(count + 1, dtype=np.float64) * block
    if trace.is_counter:
        means: npt.NDArray[np.float64] = np.diff(np.interp(edges, trace.t_s, trace.joules))
        return means / np.diff(edges)
    steps = np.diff(trace.t_s)
    missing = np.where(steps > GAP_PERIODS / trace.rate_hz * (1 + 1e-6), steps, 0.0)
    lost = np.interp(edges, trace.t_s, np.concatenate(([0.0], np.cumsum(missing))))
    whole = np.diff(lost) < _ROUNDING_S
    return np.asarray((np.diff(energy_until(trace, edges)) / np.diff(edges))[whole])


def energy_until(trace: Trace, moments_s: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Joules from a trace of power's first sample to each moment within it, gaps bridged."""
    t_s, watts = trace.t_s, trace.watts
    steps = np.diff(t_s)
    total = np.concatenate(([0.0], np.cumsum((watts[1:] + watts[:-1]) / 2 * steps)))
    at = np.clip(np.searchsorted(t_s, moments_s, side="right") - 1, 0, steps.size - 1)
    into = moments_s - t_s[at]
    slope = (watts[at + 1] - watts[at]) / steps[at]
    return np.asarray(total[at] + watts[at] * into + slope * into**2 / 2, dtype=np.float64)


def _spread(trace: Trace, window: Window) -> _Spread | None:
    means = block_means(trace, window)
    if means.size < FEWEST_BLOCKS:
        return None
    return _Spread(n=means.size, mean=float(means.mean()), deviation=float(means.std(ddof=1)))


def _quantity(
    value: float,
    edge_j: float,
    terms: Sequence[tuple[float, _Spread | None]],
    confidence: float,
) -> Quantity:
    """A sum of factor times mean of blocks, with the interval of that sum."""
    from scipy.special import stdtrit

    variance = 0.0
    freedom = np.inf
    for factor, spread in terms:
        if spread is None:
            return Quantity(value=value)
        variance += factor**2 * spread.deviation**2 / spread.n
        freedom = min(freedom, spread.n - 1)
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * float(np.sqrt(variance)) + edge_j
    return Quantity(value=value, low=value - half, high=value + half)


def _difference(trace: Trace, window: Window) -> Integral:
    t_s, joules = trace.t_s, trace.joules
    first, last = np.interp((window.begin_s, window.end_s), t_s, joules)
    steps = np.diff(joules)
    # The updates that enclose each end: the counter stood somewhere between them.
    ends = np.clip(
        np.searchsorted(t_s, (window.begin_s, window.end_s), side="right") - 1, 0, steps.size - 1
    )
    inside = int(np.count_nonzero((t_s >= window.begin_s) & (t_s <= window.end_s)))
    reason = _why_not(trace)
    if window.duration_s < FEWEST_UPDATES * _period_s(trace) * (1 - 1e-6):
        reason = reason or "counter_too_coarse"
    return Integral(
        energy_j=float(last - first),
        duration_s=window.duration_s,
        gap_s=0.0,
        gaps=0,
        samples=inside,
        edge_j=float(steps[ends].sum()) / 2,
        reason=reason,
    )


def _period_s(trace: Trace) -> float:
    """Time between updates of a counter: those that changed it."""
    changed = trace.t_s[1:][np.diff(trace.joules) > 0]
    if changed.size < 2:
        return float(trace.t_s[-1] - trace.t_s[0])
    return float(np.median(np.diff(changed)))


def _why_not(trace: Trace) -> str | None:
    if trace.restarts:
        return "meter_restart"
    return "meter_gaps" if "lossy" in trace.notes else None


def _require_cover(trace: Trace, window: Window) -> None:
    where = f"the trace {trace.rail!r} of {trace.source}"
    if trace.t_s.size < 2:
        raise UsageError(f"{where} has {trace.t_s.size} samples; expected two or more")
    begin_s, end_s = float(trace.t_s[0]), float(trace.t_s[-1])
    if window.begin_s < begin_s - _ROUNDING_S or window.end_s > end_s + _ROUNDING_S:
        raise UsageError(
            f"{where} reaches from {begin_s:.3f} to {end_s:.3f} s and does not cover the window from "
            f"{window.begin_s:.3f} to {window.end_s:.3f} s"
        )


def per_inference_j(phase: Quantity, inferences: int) -> Quantity:
    """Energy of one inference out of that of a phase.

    Raises:
        UsageError: no inference.
    """
    if inferences < 1:
        raise UsageError(f"{inferences} inferences in the phase; expected one or more")
    return scaled(phase, 1 / inferences)


def scaled(quantity: Quantity, factor: float) -> Quantity:
    """A quantity times a positive factor, its interval with it."""
    low, high = quantity.low, quantity.high
    return Quantity(
        value=quantity.value * factor,
        low=None if low is None else low * factor,
        high=None if high is None else high * factor,
    )


def efficiency_mflop_per_j(flops: float, inference_j: float) -> float:
    """Millions of floating-point operations for a joule; 1 MAC is 2 of them.

    Raises:
        UsageError: an argument that is not positive.
    """
    if not (flops > 0 and inference_j > 0):
        raise UsageError(f"{flops} operations for {inference_j} J; expected both above 0")
    return flops / inference_j / 1e6


def charge_mah(energy_j: float, volts: float) -> float:
    """Charge that an energy takes from a battery: `E / 3.6 / V`.

    Raises:
        UsageError: a voltage that is not positive.
    """
    if not volts > 0:
        raise UsageError(f"a battery of {volts} V; expected more than 0")
    return energy_j / 3.6 / volts


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCheck:
    """Two meters on one stretch of time.

    Attributes:
        ratio: the first's energy over the second's.
        agrees: whether the ratio is within what was allowed.
        reason: why they cannot be compared, or `meters_disagree`; None where they agree.
    """

    ratio: float | None
    agrees: bool
    reason: str | None


def cross_check(
    first: Integral, second: Integral, *, tolerance: float, part_of: bool = False
) -> CrossCheck:
    """Whether two meters tell the same of one window; which of them is right is not said.

    Args:
        first: of one meter.
        second: of the other, over the same time.
        tolerance: share by which they may differ.
        part_of: the first measures rails that are part of what the second measures, and so may be less
            by any amount, but not more.
    """
    reason = first.reason or second.reason
    if reason is not None:
        return CrossCheck(ratio=None, agrees=False, reason=reason)
    if abs(first.duration_s - second.duration_s) > 1e-3 * second.duration_s:
        return CrossCheck(ratio=None, agrees=False, reason="windows_differ")
    if second.energy_j <= 0:
        return CrossCheck(ratio=None, agrees=False, reason="no_energy")
    ratio = first.energy_j / second.energy_j
    agrees = ratio <= 1 + tolerance and (part_of or ratio >= 1 - tolerance)
    return CrossCheck(ratio=ratio, agrees=agrees, reason=None if agrees else "meters_disagree")

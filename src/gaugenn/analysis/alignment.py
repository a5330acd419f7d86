"""A meter's clock and a device's, joined by markers: bursts of load that the device makes and stamps.

A marker is a known pattern of on and off. Where it lies in the power is found by normalised
cross-correlation, to a fraction of a sample by the parabola through the peak and its neighbours. One
marker at the start and one at the end give the offset and the rate between the clocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gaugenn.analysis.energy import energy_until
from gaugenn.errors import UsageError
from gaugenn.records import Trace, Window

Reals = npt.NDArray[np.float64]

BURSTS_S: tuple[tuple[float, float], ...] = (
    (0.3017, 0.2016),
    (0.4517, 0.2517),
    (0.2016, 0.3),
)
"""Seconds on and off of a marker. Bursts of different lengths look like nothing that repeats, a loop of
inferences least of all; the pattern shifted by one burst does not look like itself. Their edges fall on
six different parts of a hundredth of a second, so that a slow meter sees each of them elsewhere."""
LEAD_S = 0.3
"""Quiet before and after the bursts that belongs to the pattern."""
MINIMUM_CORRELATION = 0.8
UNIQUE_MARGIN = 0.1
"""How much lower the next best place has to be."""
MAXIMUM_RESIDUAL_S = 0.005
MAXIMUM_RATE_DIFFERENCE = 500e-6
"""Between two clocks; quartzes differ by less than a fifth of that."""
GRID_HZ = 1000.0
"""Power is looked at in steps of at most a millisecond: faster meters are averaged down to that."""
LOWEST_RATE_HZ = 20.0
"""A meter that samples more slowly cannot show the marker's shortest burst."""
_MAXIMUM_GRID = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a marker lies in a trace.

    Attributes:
        begin_s: of its first burst, on the meter's clock; None where there is none.
        correlation: at the best place, from -1 to 1.
        next_best: correlation elsewhere.
        reason: why it is not to be used: `no_marker`, `marker_not_unique`, `meter_too_slow`,
            `marker_in_gap`.
    """

    begin_s: float | None
    correlation: float
    next_best: float
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Between two clocks: meter = offset + (1 + rate) x device.

    Attributes:
        offset_s: at the device's zero.
        rate: of the meter's clock over the device's, less 1; 50e-6 is 50 ppm.
        anchor_s: device's time of the first marker, about which the rate turns.
        uncertainty_s: of a moment between the markers.
        residual_s: how much further apart the markers lie in the power than on the device.
        correlation: of the less clear marker.
    """

    offset_s: float
    rate: float
    anchor_s: float
    uncertainty_s: float
    residual_s: float
    correlation: float

    def to_meter_s(self, device_s: float) -> float:
        """The meter's time of a moment of the device."""
        return self.offset_s + device_s + self.rate * (device_s - self.anchor_s)

    def window(self, device: Window) -> Window:
        """The meter's window of one of the device."""
        return Window(begin_s=self.to_meter_s(device.begin_s), end_s=self.to_meter_s(device.end_s))


def pattern_length_s(bursts_s: Sequence[tuple[float, float]] = BURSTS_S) -> float:
    """Time from the first burst to the end of the last pause."""
    return float(sum(on + off for on, off in bursts_s))


def find_marker(
    trace: Trace, within: Window, bursts_s: Sequence[tuple[float, float]] = BURSTS_S
) -> Found:
    """Looks for a marker within a stretch of a trace.

    Args:
        trace: power; a counter has no shape to look for.
        within: where its first burst may begin, on the meter's clock; cut to what the trace covers.
        bursts_s: seconds on and off.

    Raises:
        UsageError: the trace is a counter.
    """
    if trace.is_counter:
        raise UsageError(f"{trace.source}: a counter shows no marker; use a meter of power")
    if trace.rate_hz < LOWEST_RATE_HZ or trace.t_s.size < 2:
        return Found(begin_s=None, correlation=0.0, next_best=0.0, reason="meter_too_slow")
    step_s = 1 / min(GRID_HZ, trace.rate_hz)
    template = _template(bursts_s, step_s)
    begin_s = max(within.begin_s - LEAD_S, float(trace.t_s[0]))
    end_s = min(within.end_s + template.size * step_s, float(trace.t_s[-1]))
    count = int((end_s - begin_s) / step_s)
    if count > _MAXIMUM_GRID:
        raise UsageError(f"a marker is looked for over {end_s - begin_s:.0f} s; narrow the window")
    if count < template.size:
        return Found(begin_s=None, correlation=0.0, next_best=0.0, reason="no_marker")
    power = _means(trace, begin_s, step_s, count)
    scores = _correlation(power, template)
    best = int(np.argmax(scores))
    peak = float(scores[best])
    # Around the peak the pattern still overlaps itself.
    width = round(min(min(pair) for pair in bursts_s) / step_s)
    elsewhere = np.concatenate((scores[: max(0, best - width)], scores[best + width + 1 :]))
    next_best = float(elsewhere.max()) if elsewhere.size else -1.0
    place = best + _vertex(scores, best)
    found_s = begin_s + place * step_s + LEAD_S
    reason = None
    if peak < MINIMUM_CORRELATION:
        reason = "no_marker"
    elif next_best > peak - UNIQUE_MARGIN:
        reason = "marker_not_unique"
    elif (
        _longest_gap_s(trace, found_s - LEAD_S, found_s + pattern_length_s(bursts_s)) > 10 * step_s
    ):
        reason = "marker_in_gap"
    return Found(
        begin_s=found_s if reason is None else None,
        correlation=peak,
        next_best=next_best,
        reason=reason,
    )


def align(
    trace: Trace,
    stamps_s: tuple[float, float],
    *,
    expected_offset_s: float | None = None,
    slack_s: float = 5.0,
    bursts_s: Sequence[tuple[float, float]] = BURSTS_S,
    last_bursts_s: Sequence[tuple[float, float]] | None = None,
) -> tuple[Alignment | None, str | None]:
    """Joins the clocks by the markers at the start and the end.

    Args:
        trace: power on the meter's clock.
        stamps_s: when the device began each marker, on its clock.
        expected_offset_s: meter's clock minus device's, about; None where nothing is known.
        slack_s: how wrong that may be.
        bursts_s: seconds on and off.
        last_bursts_s: those of the second marker, where they are others.

    Returns:
        The alignment, or None and why: `no_sync` and what went wrong.

    Raises:
        UsageError: the stamps do not rise by more than a marker's length, or the trace is a counter.
    """
    apart_s = stamps_s[1] - stamps_s[0]
    if apart_s <= pattern_length_s(bursts_s):
        raise UsageError(f"markers {apart_s:.3f} s apart; expected more than a marker's length")
    if trace.t_s.size < 2:
        return None, "no_sync: the trace is empty"
    first_s, last_s = float(trace.t_s[0]), float(trace.t_s[-1])
    if expected_offset_s is None:
        # The second marker lies behind the first by what the device says, wherever that is.
        latest = last_s - apart_s * (1 - MAXIMUM_RATE_DIFFERENCE)
        if latest <= first_s:
            return None, "no_sync: the trace is shorter than the run"
        first_within = Window(begin_s=first_s, end_s=latest)
    else:
        about_s = stamps_s[0] + expected_offset_s
        first_within = Window(begin_s=about_s - slack_s, end_s=about_s + slack_s)
    first = find_marker(trace, first_within, bursts_s)
    if first.begin_s is None:
        return None, f"no_sync: start: {first.reason} (correlation {first.correlation:.2f})"
    about_s = first.begin_s + apart_s
    room_s = 0.5 + apart_s * MAXIMUM_RATE_DIFFERENCE
    second_within = Window(begin_s=about_s - room_s, end_s=about_s + room_s)
    second = find_marker(trace, second_within, last_bursts_s or bursts_s)
    if second.begin_s is None:
        return None, f"no_sync: end: {second.reason} (correlation {second.correlation:.2f})"
    shift_s = second.begin_s - first.begin_s - apart_s
    rate = shift_s / apart_s
    if abs(shift_s) > MAXIMUM_RESIDUAL_S + apart_s * MAXIMUM_RATE_DIFFERENCE:
        return None, f"no_sync: the markers are {shift_s:+.4f} s further apart than on the device"
    return (
        Alignment(
            offset_s=first.begin_s - stamps_s[0],
            rate=rate,
            anchor_s=stamps_s[0],
            uncertainty_s=1 / min(GRID_HZ, trace.rate_hz),
            residual_s=shift_s,
            correlation=min(first.correlation, second.correlation),
        ),
        None,
    )


def _template(bursts_s: Sequence[tuple[float, float]], step_s: float) -> Reals:
    """The pattern on the grid, with the quiet around it: each cell the share of time that is on."""
    edges = [LEAD_S]
    for on, off in bursts_s:
        edges += [edges[-1] + on, edges[-1] + on + off]
    count = round((edges[-1] + LEAD_S) / step_s)
    ends = np.asarray(edges)
    # Time that was on until each moment, by the edges' straight lines between.
    on_time = np.concatenate(([0.0], np.cumsum([v for on, _ in bursts_s for v in (on, 0.0)])))
    moments = np.arange(count + 1) * step_s
    return np.asarray(np.diff(np.interp(moments, ends, on_time)) / step_s, dtype=np.float64)


def _means(trace: Trace, begin_s: float, step_s: float, count: int) -> Reals:
    """Mean power in each cell of a grid: nothing is thrown away where the meter is faster."""
    edges = begin_s + np.arange(count + 1, dtype=np.float64) * step_s
    return np.asarray(np.diff(energy_until(trace, edges)) / step_s, dtype=np.float64)


def _correlation(power: Reals, template: Reals) -> Reals:
    """Normalised cross-correlation at each place where the template lies wholly inside.

    Source: https://doi.org/10.1117/12.421129 (sums over windows for the normalisation)
    """
    from scipy.signal import fftconvolve

    n = template.size
    shape = template - template.mean()
    centred = power - power.mean()
    product = fftconvolve(centred, shape[::-1], mode="valid")
    sums = np.concatenate(([0.0], np.cumsum(centred)))
    squares = np.concatenate(([0.0], np.cumsum(centred**2)))
    window_sums = sums[n:] - sums[:-n]
    variance = squares[n:] - squares[:-n] - window_sums**2 / n
    # A stretch as flat as rounding looks like nothing.
    floor = 1e-9 * max(float(centred @ centred), 1e-30)
    norm = np.sqrt(np.maximum(variance, floor) * float(shape @ shape))
    return np.asarray(product / norm, dtype=np.float64)


def _vertex(scores: Reals, best: int) -> float:
    """Where between its neighbours the peak's parabola has its top, in steps."""
    if not 0 < best < scores.size - 1:
        return 0.0
    left, middle, right = (float(scores[best + i]) for i in (-1, 0, 1))
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else min(0.5, max(-0.5, (left - right) / (2 * bend)))


def _longest_gap_s(trace: Trace, begin_s: float, end_s: float) -> float:
    inside = trace.t_s[(trace.t_s >= begin_s) & (trace.t_s <= end_s)]
    return float(np.diff(inside).max()) if inside.size > 1 else end_s - begin_s

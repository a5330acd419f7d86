"""Whether a device is cool enough for the next launch, or too hot to go on.

A launch begins when every temperature is back to what it was at the start of the campaign, plus a
margin, and no longer changes. What does not get there in time is launched all the same and marked
`hot_start`: dropping hot launches would drop the very devices that throttle. Above a limit nothing is
launched, and what runs is ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np

from gaugenn.errors import UsageError

MARGIN_C = 2.0
"""Above the start temperature, that counts as back to it, where nothing else is asked for."""


class Decision(StrEnum):
    """What to do now."""

    GO = "go"
    WAIT = "wait"
    GO_MARKED = "hot_start"
    """Launch, and mark it: waiting has not helped."""
    STOP = "too_hot"
    """End what runs and launch nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermalRule:
    """When to launch.

    Attributes:
        margin_c: above the start temperature, that counts as back to it.
        flat_c_per_minute: change that counts as none.
        flat_s: over this time.
        patience_s: how long to wait at most.
        kill_c: no sensor may be hotter.
    """

    margin_c: float = MARGIN_C
    flat_c_per_minute: float = 1.0
    flat_s: float = 20.0
    patience_s: float = 600.0
    kill_c: float = 95.0

    def __post_init__(self) -> None:
        """Refuses what would never launch or never stop.

        Raises:
            UsageError: which value.
        """
        for name in ("margin_c", "flat_c_per_minute", "flat_s", "patience_s", "kill_c"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; expected more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperatures:
    """All sensors at one moment.

    Attributes:
        t_s: when, on one clock.
        celsius: sensor -> temperature.
    """

    t_s: float
    celsius: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A decision and what it rests on.

    Attributes:
        decision: what to do.
        sensor: the one that decided; "" where none did.
        reason: why, for a person.
    """

    decision: Decision
    sensor: str
    reason: str


def thermal_gate(
    start: Mapping[str, float], history: Sequence[Temperatures], rule: ThermalRule
) -> Gate:
    """Decides on the next launch.

    Args:
        start: sensor -> temperature at the start of the campaign.
        history: readings since the last launch, oldest first.
        rule: the limits.

    Raises:
        UsageError: no reading, or times that fall.
    """
    if not history:
        raise UsageError("no temperature was read; expected one reading or more")
    if any(b.t_s < a.t_s for a, b in pairwise(history)):
        raise UsageError("readings of temperature are not in the order of their time")
    now = history[-1]
    hottest = max(now.celsius, key=lambda name: now.celsius[name], default="")
    if hottest and now.celsius[hottest] > rule.kill_c:
        return Gate(
            decision=Decision.STOP,
            sensor=hottest,
            reason=f"{hottest} is at {now.celsius[hottest]:.1f} C, above {rule.kill_c:g} C",
        )
    # A sensor that appeared or vanished meanwhile says nothing about the start.
    known = sorted(start.keys() & now.celsius.keys())
    if not known:
        return Gate(decision=Decision.GO, sensor="", reason="no sensor tells a temperature")
    waiting = _hot(start, now, known, rule) or _changing(history, known, rule)
    if waiting is None:
        return Gate(decision=Decision.GO, sensor="", reason="back to the start, and flat")
    if now.t_s - history[0].t_s >= rule.patience_s:
        return Gate(
            decision=Decision.GO_MARKED,
            sensor=waiting[0],
            reason=f"{waiting[1]} after {rule.patience_s:g} s",
        )
    return Gate(decision=Decision.WAIT, sensor=waiting[0], reason=waiting[1])


def _hot(
    start: Mapping[str, float], now: Temperatures, known: Sequence[str], rule: ThermalRule
) -> tuple[str, str] | None:
    sensor = max(known, key=lambda name: now.celsius[name] - start[name])
    above = now.celsius[sensor] - start[sensor]
    if above <= rule.margin_c:
        return None
    return sensor, f"{sensor} is {above:.1f} C above its start"


def _changing(
    history: Sequence[Temperatures], known: Sequence[str], rule: ThermalRule
) -> tuple[str, str] | None:
    now = history[-1]
    recent = [r for r in history if r.t_s >= now.t_s - rule.flat_s]
    if now.t_s - history[0].t_s < rule.flat_s or len(recent) < 3:
        return known[0], f"read for less than {rule.flat_s:g} s"
    for sensor in known:
        points = [(r.t_s, r.celsius[sensor]) for r in recent if sensor in r.celsius]
        t_s, celsius = np.asarray(points, dtype=np.float64).T
        centred = t_s - t_s.mean()
        spread = float(centred @ centred)
        slope = 60 * float(centred @ celsius) / spread if spread > 0 else 0.0
        if abs(slope) > rule.flat_c_per_minute:
            return sensor, f"{sensor} changes by {slope:+.1f} C/min"
    return None

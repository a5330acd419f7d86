"""How exact energy is on known waveforms, what gaps do to it, and how well clocks are aligned.

Bars: 0.1 % for the integral, 2 ms for the clocks. A case that must be refused has the value 1 where it
is, and 0 where it is not.

Usage: `python -m benchmarks.energy [--quick] [--json]`
"""

import argparse
import json
from collections.abc import Callable

import numpy as np

from gaugenn.analysis.alignment import BURSTS_S, align
from gaugenn.analysis.energy import integrate
from gaugenn.records import Clock, Trace, Window

BAR_PERCENT = 0.1
BAR_MS = 2.0
Row = tuple[str, float, str, float | None, bool]

WAVES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "constant": (lambda t: np.full_like(t, 2.0), lambda t: 2.0 * t),
    "ramp": (lambda t: 1 + t / 20, lambda t: t + t**2 / 40),
    "sine, 50 Hz": (
        lambda t: 2 + np.sin(2 * np.pi * 50 * t),
        lambda t: 2 * t - np.cos(2 * np.pi * 50 * t) / (2 * np.pi * 50),
    ),
    "square, 33 ms": (
        lambda t: np.where(t % 0.033 < 0.02, 3.0, 1.0),
        lambda t: t + 2 * (np.floor(t / 0.033) * 0.02 + np.minimum(t % 0.033, 0.02)),
    ),
}
"""Power, and its integral from 0."""


def sampled(
    power: Callable[[np.ndarray], np.ndarray], seconds: float, rate_hz: float, lost: float = 0.0
) -> Trace:
    """A meter's trace; packets of three samples are lost."""
    t_s = np.arange(int(seconds * rate_hz) + 1) / rate_hz
    random = np.random.default_rng(0)
    keep = np.repeat(random.random(t_s.size // 3 + 1) >= lost, 3)[: t_s.size]
    keep[[0, -1]] = True
    return Trace(rail="r", source="known", t_s=t_s[keep], watts=power(t_s[keep]), rate_hz=rate_hz)


def integrals(seconds: float) -> list[Row]:
    """Relative error of each waveform, without and with lost packets, at 5 kHz."""
    window = Window(begin_s=1.23456, end_s=seconds - 1.98765)
    rows: list[Row] = []
    for name, (power, integral) in WAVES.items():
        ends = integral(np.asarray([window.begin_s, window.end_s]))
        true = float(ends[1] - ends[0])
        for label, lost in (("", 0.0), (", 0.05 % lost", 5e-4)):
            found = integrate(sampled(power, seconds, 5000.0, lost), window)
            error = 100 * abs(found.energy_j / true - 1)
            good = error <= BAR_PERCENT and found.reason is None
            rows.append((f"integral of {name}{label}", error, "%", BAR_PERCENT, good))
    found = integrate(sampled(WAVES["constant"][0], seconds, 5000.0, 0.02), window)
    refused = float(found.reason == "meter_gaps")
    rows.append(("2 % of packets lost: refused", refused, "", 1.0, refused == 1.0))
    return rows


def marked(drift: float, noise: float, lost: float, markers: tuple[float, ...], seed: int) -> Trace:
    """Idle, markers, and inferences between them, on a meter 12.3 s ahead."""
    random = np.random.default_rng(seed)
    t_s = np.arange(90 * 5000) / 5000
    device_s = (t_s - 8) / (1 + drift) - 12.3
    watts = np.full(t_s.size, 1.0)
    work = (device_s > -2.3) & (device_s < 50)
    watts += np.where(work & (device_s % 0.05 < 0.03), 2.0, 0.0)
    for at in markers:
        for on, off in BURSTS_S:
            watts += np.where((device_s >= at) & (device_s < at + on), 2.0, 0.0)
            at += on + off
    watts += random.normal(0, noise, t_s.size)
    keep = np.repeat(random.random(t_s.size // 3 + 1) >= lost, 3)[: t_s.size]
    return Trace(
        rail="r",
        source="known",
        t_s=t_s[keep],
        watts=watts[keep],
        rate_hz=5000.0,
        clock=Clock.METER,
    )


def clocks(seeds: int) -> list[Row]:
    """Worst error over the seeds, and the cases that must be refused."""
    stamps = (-12.3, 57.7)
    rows: list[Row] = []
    for name, drift, noise, lost in (
        ("clean", 0.0, 0.0, 0.0),
        ("50 ppm", 50e-6, 0.0, 0.0),
        ("50 ppm, noise 0.5 W", 50e-6, 0.5, 0.0),
        ("50 ppm, noise 0.5 W, 0.05 % lost", 50e-6, 0.5, 5e-4),
    ):
        worst = 0.0
        for seed in range(seeds):
            found, _ = align(marked(drift, noise, lost, stamps, seed), stamps)
            errors = [
                float("inf")
                if found is None
                else abs(found.to_meter_s(at) - (8 + (at + 12.3) * (1 + drift)))
                for at in np.linspace(*stamps, 8)
            ]
            worst = max(worst, *errors)
        rows.append((f"clock error, {name}", 1e3 * worst, "ms", BAR_MS, 1e3 * worst <= BAR_MS))
    for name, markers in (
        ("missing", stamps[:1]),
        ("doubled", (stamps[0], stamps[0] + 4, stamps[1])),
    ):
        found, _ = align(marked(0.0, 0.2, 0.0, markers, 0), stamps)
        refused = float(found is None)
        rows.append((f"marker {name}: refused", refused, "", 1.0, refused == 1.0))
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter traces, fewer seeds")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    rows = integrals(20.0 if options.quick else 120.0) + clocks(2 if options.quick else 20)
    if options.json:
        keys = ("name", "value", "unit", "bar", "ok")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
        return
    for name, value, unit, bar, ok in rows:
        print(f"{name:48}{value:12.6f} {unit:3} bar {bar:g}  {'ok' if ok else 'MISSED'}")


if __name__ == "__main__":
    main()

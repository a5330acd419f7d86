"""How exact energy is, what gaps and skewed clocks do to it, and what the sampler on a device costs.

Bars: 0.1 % for the integral, 2 ms for the clocks, 1 % for the sampler. A case that must be refused has
the value 1 where it is, and 0 where it is not. The sampler's cost is measured twice: as the processor
time that it takes itself, in each shell that is here, and as the latency of one job in launches with
and without it that take turns on one core.

Usage: `python -m benchmarks.energy [--quick] [--json]`
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gaugenn.analysis.alignment import BURSTS_S, align
from gaugenn.analysis.energy import integrate
from gaugenn.analysis.statistics import estimate
from gaugenn.bench.campaign import host_programs
from gaugenn.bench.launch import Bench, LocalFile, launch
from gaugenn.devices import _around
from gaugenn.devices._around import Around
from gaugenn.devices._linux import TICKS_PER_S
from gaugenn.devices.host import HostDevice
from gaugenn.records import Clock, Job, JobRecord, Trace, Window

BAR_PERCENT = 0.1
BAR_MS = 2.0
BAR_SAMPLER_PERCENT = 1.0
PERIOD_S = 1.0
"""Of the sampler where nobody asks for another."""
FAST_S = 0.1
"""Of the sampler while its processor time is measured: the kernel counts that in steps of 10 ms."""
SHELLS = ("dash", "mksh", "bash", "busybox")
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


def planted(root: Path) -> None:
    """As many zones and cores as a phone has: this machine may have none."""
    for number in range(20):
        zone = root / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"zone-{number}\n")
        (zone / "temp").write_text("40000\n")
    for core in range(8):
        folder = root / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        for name in ("scaling_cur_freq", "scaling_max_freq"):
            (folder / name).write_text("1800000\n")


def sampler_share(shell: str, seconds: float) -> float:
    """Processor time of the sampler, its `sleep` included, over the time of one core, in per cent."""
    with tempfile.TemporaryDirectory() as here:
        root = Path(here) / "root"
        planted(root)
        around = Around(sample_every_s=FAST_S, root=str(root))
        words = around.command(str(_around.SCRIPT), "k", ["sleep", "1000"])[1:]
        argv = ["busybox", "sh", *words] if shell == "busybox" else [shell, *words]
        process = subprocess.Popen(argv, cwd=here, start_new_session=True)
        try:
            time.sleep(seconds)
            (sampler,) = [
                int(word)
                for word in Path(f"/proc/{process.pid}/task/{process.pid}/children")
                .read_text()
                .split()
            ]
            fields = Path(f"/proc/{sampler}/stat").read_text().rpartition(")")[2].split()
            ticks = sum(int(field) for field in fields[11:15])
            samples = (Path(here) / "around").read_text().count("\n@ ")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return 100 * ticks / TICKS_PER_S / max(1, samples) / PERIOD_S


def sampler_slowdown(pairs: int, seconds: float) -> tuple[float, float | None, float | None]:
    """Latency with the sampler over that without, less 1, in per cent, with its interval."""
    job = Job(
        model_sha256="0" * 64,
        format="",
        engine="null",
        engine_version="1",
        device="host",
        affinity="0",
        steady_minimum_count=100,
        steady_minimum_s=seconds,
        maximum_samples=1_000_000,
    )
    record = JobRecord(job_sha256=job.job_sha256, job=job, launches=pairs)
    ratios = []
    with tempfile.TemporaryDirectory() as here, HostDevice() as device:
        path = Path(here) / "model"
        path.write_text("none\n")
        environment, programs = device.info(), host_programs([record])
        for number in range(pairs):
            medians = {}
            order = (PERIOD_S, 0.0) if number % 2 else (0.0, PERIOD_S)
            for period_s in order:
                bench = Bench(
                    device=device,
                    environment=environment,
                    programs=programs,
                    files=lambda _: [LocalFile(name="model.null", path=path)],
                    libraries={},
                    around=Around(sample_every_s=period_s),
                )
                (run,) = launch(bench, record, number, 0, None)
                if run.timings is None:
                    raise SystemExit(f"a launch failed: {run.reason}")
                medians[period_s] = statistics.fmean(run.timings.steady_s)
            ratios.append(medians[PERIOD_S] / medians[0.0])
    found = estimate(ratios)
    ends = [None if end is None else 100 * (end - 1) for end in (found.low, found.high)]
    return 100 * (found.value - 1), ends[0], ends[1]


def sampler(quick: bool) -> list[Row]:
    """What the sampler costs at its usual period."""
    rows: list[Row] = []
    for shell in SHELLS:
        if shutil.which(shell):
            share = sampler_share(shell, 5.0 if quick else 20.0)
            good = share <= BAR_SAMPLER_PERCENT
            name = f"sampler once a second in {shell}, of a core"
            rows.append((name, share, "%", BAR_SAMPLER_PERCENT, good))
    value, low, high = sampler_slowdown(*((4, 2.0) if quick else (20, 5.0)))
    rows.append(
        (
            "mean latency with it over without, less 1",
            value,
            "%",
            BAR_SAMPLER_PERCENT,
            value <= BAR_SAMPLER_PERCENT,
        )
    )
    if low is not None and high is not None:
        rows.append(("its 95 % interval, low", low, "%", None, True))
        rows.append(("its 95 % interval, high", high, "%", None, True))
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter traces, fewer seeds")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    rows = integrals(20.0 if options.quick else 120.0) + clocks(2 if options.quick else 20)
    rows += sampler(options.quick)
    if options.json:
        keys = ("name", "value", "unit", "bar", "ok")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], indent=1))
        return
    for name, value, unit, bar, ok in rows:
        told = "" if bar is None else f"bar {bar:g}  {'ok' if ok else 'MISSED'}"
        print(f"{name:48}{value:12.6f} {unit:3} {told}".rstrip())


if __name__ == "__main__":
    main()

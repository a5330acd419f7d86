"""How far the method's numbers can be trusted, on simulated devices whose truth is known.

Every campaign runs through `gaugenn.bench.campaign` on the simulated device, each with a seed of its
own; only time is virtual. Defaults of the device: launches vary by 3 %, inferences inside one by 2 %
with an autocorrelation of 0.8 and 3 % outliers. The truth is the median inference on a launch of the
middle level.

**Coverage.** How often an interval that says 95 % holds the truth: ours (geometric mean of launch
medians), the bootstrap over pooled inferences, and mean +- standard deviation or standard errors.
**Effort.** Launches until the interval is +-2 %, beside 20 launches of 50 inferences whatever happens.
**Comparison.** How often `compare` calls a true change of 0, 2, 5, 10 % slower, beside a threshold on
means; also on a device that wanders and on one where another program comes and goes.

Usage: `python -m benchmarks.method [--json] [--quick] [--plots docs/figures]`
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gaugenn.analysis.comparison import Outcome, compare_groups, compare_pairs
from gaugenn.analysis.statistics import Estimate, estimate
from gaugenn.analysis.stopping import LAUNCHES_BEFORE_STOPPING, MAXIMUM_LAUNCHES
from gaugenn.bench.campaign import campaign
from gaugenn.bench.devices import device_programs, open_device
from gaugenn.bench.launch import LocalFile
from gaugenn.devices.simulated import read_conditions
from gaugenn.engines.simulated import true_latency_s
from gaugenn.records import Job, JobRecord

MODEL = "c0ffee" + "0" * 58
PRECISION = 0.02
SAMPLES = 50
VARIATIONS = (0.01, 0.02, 0.03, 0.05)
CHANGES = (0.0, 0.02, 0.05, 0.10)
THRESHOLD = 0.02
LAUNCH_COUNTS = (3, 5, 8, 10, 15, 20)
RESAMPLES = 200
DEVICES = {
    "calm": "simulated",
    "wandering": "simulated:wander=0.05",
    "busy": "simulated:busy=0.2,busy_share=0.4,busy_period_s=30",
}

Launches = list[np.ndarray]
Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A number that is printed."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None

    @property
    def ok(self) -> bool | None:
        """Whether it is inside its bar; None where it has none."""
        if self.low is None and self.high is None:
            return None
        return (self.low is None or self.value >= self.low) and (
            self.high is None or self.value <= self.high
        )

    @property
    def bar(self) -> str | None:
        """The bar as text."""
        if self.ok is None:
            return None
        ends = ("" if end is None else f"{end:g}" for end in (self.low, self.high))
        return " to ".join(ends)


def record(version: str = "1", launches: int = 20, precision: float | None = None) -> JobRecord:
    """The job of every campaign."""
    job = Job(
        model_sha256=MODEL,
        format="onnx",
        engine="simulated",
        engine_version=version,
        device="simulated",
        warmup_minimum_s=0.0,
        warmup_maximum_s=1.0,
        steady_minimum_count=SAMPLES,
        steady_minimum_s=0.0,
    )
    return JobRecord(
        job_sha256=job.job_sha256,
        job=job,
        launches=launches,
        launches_maximum=None if precision is None else MAXIMUM_LAUNCHES,
        precision=precision,
    )


class Bench:
    """Runs campaigns on simulated devices."""

    def __init__(self, folder: Path) -> None:
        self._file = LocalFile(name="m.onnx", path=folder / "m.onnx")
        self._file.path.touch()

    def run(self, device_name: str, seed: int, *records: JobRecord) -> list[Launches]:
        """Steady samples of each launch of each job."""
        found: dict[str, Launches] = {r.job_sha256: [] for r in records}
        with open_device(device_name, seed=seed) as device:
            for runs in campaign(
                records,
                device=device,
                environment=device.info(),
                programs=device_programs(device, device_name, records)[0],
                files=lambda _: [self._file],
                seed=seed,
            ):
                timings = runs[0].timings
                assert timings is not None, runs[0].reason
                found[runs[0].job_sha256].append(np.asarray(timings.steady_s))
        return list(found.values())


def truth_s(device_name: str) -> float:
    """The median inference on a launch of the middle level, outliers included."""
    c = read_conditions(device_name)
    random = np.random.default_rng(0)
    factors = np.exp(random.normal(0, c.sample_variation, 2_000_000))
    disturbed = random.random(factors.size) < c.outliers
    factors *= 1 + disturbed * random.exponential(c.outlier_excess, factors.size)
    return true_latency_s(MODEL[:16]) * float(np.median(factors))


def ours(launches: Launches) -> Interval:
    """Geometric mean of launch medians."""
    found = estimate([float(np.median(samples)) for samples in launches])
    return None if found.low is None or found.high is None else (found.low, found.high)


def pooled_bootstrap(launches: Launches) -> Interval:
    """Percentiles of the median of resampled inferences, as if they were independent."""
    pool = np.concatenate(launches)
    random = np.random.default_rng(pool.size)
    drawn = pool[random.integers(0, pool.size, (RESAMPLES, pool.size))]
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return float(low), float(high)


def mean_and_deviation(launches: Launches) -> Interval:
    """Mean +- standard deviation of all inferences, as tools print it."""
    pool = np.concatenate(launches)
    return float(pool.mean() - pool.std()), float(pool.mean() + pool.std())


def mean_and_error(launches: Launches) -> Interval:
    """Mean +- 1.96 standard errors of all inferences."""
    pool = np.concatenate(launches)
    half = 1.96 * pool.std() / np.sqrt(pool.size)
    return float(pool.mean() - half), float(pool.mean() + half)


METHODS: dict[str, Callable[[Launches], Interval]] = {
    "launches": ours,
    "pooled bootstrap": pooled_bootstrap,
    "mean +- standard deviation": mean_and_deviation,
    "mean +- 1.96 standard errors": mean_and_error,
}


def coverage(intervals: Iterable[Interval], truth: float) -> float:
    """Share of intervals that hold the truth."""
    return float(np.mean([i is not None and i[0] <= truth <= i[1] for i in intervals]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A number that is drawn."""

    series: str
    x: float
    y: float
    panel: str = ""


def measure_coverage(bench: Bench, campaigns: int) -> tuple[list[Row], list[Point]]:
    """Coverage with adaptive stopping at each variation between launches, and by number of launches."""
    truth = truth_s(DEVICES["calm"])
    adaptive = record(launches=LAUNCHES_BEFORE_STOPPING, precision=PRECISION)
    rows = []
    for variation in VARIATIONS:
        device = f"simulated:launch_variation={variation}"
        found = [bench.run(device, seed, adaptive)[0] for seed in range(campaigns)]
        for name, interval in METHODS.items():
            low, high = (0.93, 0.97) if name == "launches" else (None, None)
            share = coverage(map(interval, found), truth)
            about = f"coverage, adaptive, launches vary by {variation:.0%}: {name}"
            rows.append(Row(name=about, value=share, unit="", low=low, high=high))
    points: list[Point] = []
    fixed = [bench.run(DEVICES["calm"], 10**6 + s, record())[0] for s in range(campaigns)]
    for count in LAUNCH_COUNTS:
        for name, interval in METHODS.items():
            share = coverage((interval(launches[:count]) for launches in fixed), truth)
            points.append(Point(series=name, x=count, y=share))
            rows.append(Row(name=f"coverage, {count} launches: {name}", value=share, unit=""))
    return rows, points


def measure_effort(bench: Bench, campaigns: int) -> tuple[list[Row], list[Point]]:
    """Launches until +-2 %, beside a fixed 20 x 50."""
    rows: list[Row] = []
    points: list[Point] = []
    for variation in VARIATIONS:
        device = f"simulated:launch_variation={variation}"
        adaptive = record(launches=LAUNCHES_BEFORE_STOPPING, precision=PRECISION)
        counts, reached, fixed_reached = [], [], []
        for seed in range(campaigns):
            launches = bench.run(device, seed, adaptive)[0]
            counts.append(len(launches))
            reached.append(_half_width(launches) <= PRECISION)
            fixed_reached.append(
                _half_width(bench.run(device, 10**6 + seed, record())[0]) <= PRECISION
            )
        about = f"launches vary by {variation:.0%}"
        rows += [
            Row(name=f"{about}: launches, median", value=float(np.median(counts)), unit="launches"),
            Row(name=f"{about}: +-2 % reached", value=float(np.mean(reached)), unit=""),
            Row(
                name=f"{about}: +-2 % reached by 20 x 50",
                value=float(np.mean(fixed_reached)),
                unit="",
            ),
        ]
        points += [
            Point(series="until +-2 %", x=variation, y=float(np.median(counts))),
            Point(series="fixed 20 x 50", x=variation, y=20.0),
        ]
    return rows, points


def _half_width(launches: Launches) -> float:
    found: Estimate = estimate([float(np.median(samples)) for samples in launches])
    return float("inf") if found.half_width is None else found.half_width


def measure_comparison(bench: Bench, campaigns: int) -> tuple[list[Row], list[Point]]:
    """How often a true change is called slower."""
    rows: list[Row] = []
    points: list[Point] = []
    for kind, device in DEVICES.items():
        for change in CHANGES:
            calls: dict[str, list[bool]] = {}
            for trial in range(campaigns):
                for name, called in _calls(bench, device, change, trial).items():
                    calls.setdefault(name, []).append(called)
            for name, called in calls.items():
                share = float(np.mean(called))
                # A true change of nothing that is called slower is a false alarm.
                high = 0.05 if change == 0 and name == "compare, paired" else None
                about = f"{kind} device, true change {change:.0%}"
                rows.append(Row(name=f"{about}: {name}", value=share, unit="", high=high))
                points.append(Point(series=name, x=change, y=share, panel=kind))
    return rows, points


def _calls(bench: Bench, device: str, change: float, trial: int) -> dict[str, bool]:
    """What each method calls slower, on the same launches."""
    sides = (record("1", 16), record(f"{1 + change:g}" if change else "1.0", 16))
    first, second = bench.run(device, trial, *sides)
    medians = [[float(np.median(samples)) for samples in side] for side in (first, second)]
    old, new = ([side[part] for side in medians] for part in (slice(8), slice(8, 16)))
    paired = compare_pairs(*old).outcome(THRESHOLD) is Outcome.SLOWER
    again = compare_pairs(*new).outcome(THRESHOLD) is Outcome.SLOWER
    pools = [np.concatenate(side[:8]).mean() for side in (first, second)]
    return {
        "compare, paired": paired,
        "compare, paired, confirmed by a re-run": paired and again,
        "compare, ranks": compare_groups(*old).outcome(THRESHOLD) is Outcome.SLOWER,
        "means of 8 launches, threshold 2 %": bool(pools[1] > (1 + THRESHOLD) * pools[0]),
        "means of 1 launch, threshold 2 %": bool(
            second[0].mean() > (1 + THRESHOLD) * first[0].mean()
        ),
    }


def draw(points: Sequence[Point], path: Path, titles: tuple[str, str], *, percent: str) -> None:
    """Writes a chart as SVG.

    Args:
        points: to draw.
        path: of the file.
        titles: of the axes.
        percent: which axes are shares: `x`, `y` or both.
    """
    import altair as alt
    import vl_convert

    shares = [alt.Axis(format="%") if axis in percent else alt.Axis() for axis in "xy"]
    values = [{"series": p.series, "x": p.x, "y": p.y, "panel": p.panel} for p in points]
    lines = (
        alt.Chart(alt.Data(values=values), width=320, height=220)
        .mark_line(point=True)
        .encode(
            x=alt.X("x:Q", title=titles[0], axis=shares[0]),
            y=alt.Y("y:Q", title=titles[1], axis=shares[1], scale=alt.Scale(zero=True)),
            color=alt.Color(
                "series:N",
                title=None,
                sort=None,
                legend=alt.Legend(orient="bottom", columns=2, labelLimit=400),
            ),
        )
    )
    panels = list(dict.fromkeys(p.panel for p in points))
    chart = lines if panels == [""] else lines.facet(alt.Column("panel:N", title=None, sort=panels))
    source = {**chart.to_dict(), "background": "white"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(vl_convert.vegalite_to_svg(source, allowed_base_urls=[]) + "\n")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer campaigns, within a minute")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="also draw, as SVG")
    options = parser.parse_args()
    campaigns, trials = (100, 10) if options.quick else (1000, 150)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        covered, coverage_points = measure_coverage(bench, campaigns)
        effort, effort_points = measure_effort(bench, campaigns // 10)
        compared, comparison_points = measure_comparison(bench, trials)
    rows = [*covered, *effort, *compared]
    if options.quick:
        # So few campaigns cannot tell 91 % from 95 %.
        rows = [replace(row, low=None, high=None) for row in rows]
    if options.plots is not None:
        names = ("launches", "intervals of 95 % that hold the truth")
        draw(coverage_points, options.plots / "method-coverage.svg", names, percent="y")
        names = ("variation between launches", "launches, median")
        draw(effort_points, options.plots / "method-effort.svg", names, percent="x")
        names = ("true change", "called slower")
        draw(comparison_points, options.plots / "method-comparison.svg", names, percent="xy")
    if options.json:
        print(
            json.dumps(
                [
                    {"name": r.name, "value": r.value, "unit": r.unit, "bar": r.bar, "ok": r.ok}
                    for r in rows
                ]
            )
        )
        return
    print(f"{campaigns} campaigns, {trials} comparisons, {time.monotonic() - begin:.0f} s")
    for row in rows:
        bar = "" if row.bar is None else f"  bar {row.bar} {'ok' if row.ok else 'MISSED'}"
        print(f"{row.name:70}{row.value:8.3f} {row.unit}{bar}")


if __name__ == "__main__":
    main()

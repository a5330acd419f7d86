"""Whether a comparison stays right while another program comes and goes, and whether we are told.

Two engines are compared on one network and this host twice: once as it is, and once while a busy loop
on their core starts and stops every few seconds. Launches take turns in both campaigns. What must hold:

- every disturbed result has a verdict that names the other load;
- the paired ratio of the disturbed campaign agrees with that of the first one: their intervals meet;
- so does what follows from it: not `faster` in one and `slower` in the other.

Beside it stands what a tool would say that takes each engine in one process, one after the other, and
prints means. A host that is busy already disturbs the first campaign too; then its verdicts say so,
and the load average before and after each campaign, which is printed, tells how much.

Usage: `python -m benchmarks.disturbance [--quick] [--json] [FIRST SECOND]`, where FIRST and SECOND are
`MODEL@ENGINE` with models out of samples/.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gaugenn import api
from gaugenn.analysis.comparison import Difference, Outcome, compare_pairs
from gaugenn.analysis.verdict import verdicts
from gaugenn.records import Environment, JobRecord, ModelRecord, Run, RunStatus
from gaugenn.store import Study

SAMPLES = Path(__file__).parents[1] / "samples"
DEFAULT = ("characters.onnx@onnxruntime", "characters.onnx@openvino")
"""One network, two libraries; the second is installed by `gaugenn engines install openvino`."""
CORE = 0
LOAD_REASONS = frozenset({"background_load"})


def busy(core: int, seed: int) -> None:
    """Computes and rests in turns, for ever."""
    os.sched_setaffinity(0, {core})
    draw = random.Random(seed)
    while True:
        end = time.monotonic() + draw.uniform(2, 5)
        while time.monotonic() < end:
            pass
        time.sleep(draw.uniform(1, 3))


@contextmanager
def disturbed(core: int) -> Iterator[None]:
    """Runs the busy loop meanwhile."""
    process = multiprocessing.get_context("spawn").Process(target=busy, args=(core, 0), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def run_campaign(folder: Path, variants: tuple[str, str], launches: int) -> Study:
    """Both variants in one campaign, pinned to one core."""
    study = api.scan(sorted(SAMPLES.glob("*.apk")), folder).study
    experiments = tuple(
        api.Experiment(models=(model,), engines=(engine,), threads=("1a1",))
        for model, _, engine in (variant.partition("@") for variant in variants)
    )
    api.bench(study, api.BenchSettings(launches=launches, experiments=experiments))
    return Study(study)


def ratio(study: Study, variants: tuple[str, str]) -> tuple[Difference, float]:
    """The paired difference of two variants, and the ratio of means of one launch of each."""
    medians: list[dict[int, float]] = []
    means: list[float] = []
    runs = sorted(study.rows(Run), key=lambda run: run.launch)
    for record in ordered(study, variants):
        good = [
            run
            for run in runs
            if run.job_sha256 == record.job_sha256
            and run.status is RunStatus.OK
            and run.timings is not None
        ]
        found = {r.launch: r.timings.steady_s for r in good if r.timings is not None}
        medians.append({launch: statistics.median(s) for launch, s in found.items()})
        # One after the other: the first engine's first launch, the second one's last.
        means.append(statistics.fmean(found[(min, max)[len(means)](found)]))
    both = sorted(medians[0].keys() & medians[1].keys())
    paired = compare_pairs([medians[0][n] for n in both], [medians[1][n] for n in both])
    return paired, means[1] / means[0]


def ordered(study: Study, variants: tuple[str, str]) -> list[JobRecord]:
    """The jobs of the variants, in their order."""
    jobs = study.rows(JobRecord)
    engines = [variant.partition("@")[2].partition("==")[0] for variant in variants]
    return [next(j for j in jobs if j.job.engine == engine) for engine in engines]


def told(study: Study) -> list[bool]:
    """Whether the verdict on each result names another load."""
    judged = verdicts(
        study.rows(JobRecord), study.rows(Run), study.rows(Environment), study.rows(ModelRecord)
    )
    return [bool(LOAD_REASONS & set(verdict.reasons)) for verdict in judged.values()]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="*", default=DEFAULT, metavar="MODEL@ENGINE")
    parser.add_argument("--quick", action="store_true", help="6 launches of each instead of 15")
    parser.add_argument("--json", action="store_true", help="print a JSON list")
    options = parser.parse_args()
    if len(options.variants) != 2:
        parser.error("give two variants")
    variants = (options.variants[0], options.variants[1])
    launches = 6 if options.quick else 15
    with tempfile.TemporaryDirectory() as folder:
        loads = [os.getloadavg()[0]]
        calm = run_campaign(Path(folder) / "calm", variants, launches)
        loads.append(os.getloadavg()[0])
        with disturbed(CORE):
            loaded = run_campaign(Path(folder) / "loaded", variants, launches)
        loads.append(os.getloadavg()[0])
        first, first_means = ratio(calm, variants)
        second, second_means = ratio(loaded, variants)
        named, calm_named = told(loaded), told(calm)
    if first.low is None or first.high is None or second.low is None or second.high is None:
        parser.exit(1, "too few launches ended well for an interval; run it again\n")
    meet = first.low <= second.high and second.low <= first.high
    opposite = {first.outcome(), second.outcome()} == {Outcome.FASTER, Outcome.SLOWER}
    rows: list[tuple[str, float, str, float | None, bool | None]] = [
        ("load average, at the beginning", loads[0], "", None, None),
        ("load average, between the campaigns", loads[1], "", None, None),
        ("load average, at the end", loads[2], "", None, None),
        ("ratio, host as it is", first.ratio, "", None, None),
        ("its interval, low", first.low, "", None, None),
        ("its interval, high", first.high, "", None, None),
        ("ratio, disturbed", second.ratio, "", None, None),
        ("its interval, low", second.low, "", None, None),
        ("its interval, high", second.high, "", None, None),
        ("intervals meet", float(meet), "", 1, meet),
        ("opposite conclusions", float(opposite), "", 0, not opposite),
        ("disturbed results whose verdict names it", sum(named), "of 2", 2, all(named)),
        ("results of the host as it is that do", sum(calm_named), "of 2", None, None),
        ("ratio of single means, host as it is", first_means, "", None, None),
        ("ratio of single means, disturbed", second_means, "", None, None),
    ]
    if options.json:
        keys = ("name", "value", "unit", "bar", "ok")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
        return
    print(f"{variants[1]} over {variants[0]}, {launches} launches of each")
    for name, value, unit, bar, ok in rows:
        verdict = "" if ok is None else f"bar {bar:g}  {'ok' if ok else 'MISSED'}"
        print(f"{name:44}{value:10.4g} {unit:5} {verdict}".rstrip())


if __name__ == "__main__":
    main()

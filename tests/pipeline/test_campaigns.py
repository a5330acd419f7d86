"""Campaigns in a study: planned, foreseen, killed, gone on with, and kept apart from results."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.pipeline import packages
from tests.pipeline.test_study import _ask, _command, _environment, _run, _runs

from gaugenn import api
from gaugenn.errors import UsageError
from gaugenn.records import Run
from gaugenn.store import Study

PLAN = """
seed = 3
control = true

[launches]
count = 3

[[experiment]]
engines = ["null"]
threads = [1, 2]
preset = "smoke"

[[experiment]]
models = ["one.onnx"]
engines = ["null"]
preset = "smoke"
with = "two.onnx@null"
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name, seed in (("one.onnx", 1), ("two.onnx", 2)):
        (tmp_path / name).write_bytes(packages.onnx_model(seed))
    return api.scan(sorted(tmp_path.glob("*.onnx")), tmp_path / "s", workers=1).study


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def test_a_campaign_killed_again_and_again_makes_every_launch_once_in_the_order_foreseen(
    study: Path, plan: Path
) -> None:
    foreseen = api.foresee(study, api.read_plan(plan))
    expected = [(launch.job_sha256, launch.block) for launch in foreseen.launches]
    assert len(expected) == len(set(expected)) == 3 * (4 + 1 + 1)
    command = _command("bench", study, "--plan", plan, "--quiet")
    generator = random.Random(0)
    kills = 0
    for _ in range(3):
        with subprocess.Popen(
            command, env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            wanted = _runs(study) + generator.randint(1, 3)
            while process.poll() is None and _runs(study) < wanted:
                time.sleep(generator.uniform(0, 0.01))
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
    assert kills == 3
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    runs = sorted(Study(study).rows(Run), key=lambda run: run.started_at)
    beside = {
        job for (job,) in _ask(study, "SELECT job_sha256 FROM jobs WHERE job.companion_of <> ''")
    }
    made = [(run.job_sha256, run.launch) for run in runs if run.job_sha256 not in beside]
    assert made == expected
    assert sorted(r.launch for r in runs if r.job_sha256 in beside) == [0, 1, 2]
    assert {run.status.value for run in runs} == {"ok"}
    assert api.foresee(study, api.read_plan(plan)).launches == ()


def test_what_is_no_plain_experiment_is_kept_apart_from_results(study: Path, plan: Path) -> None:
    text = PLAN.replace("count = 3", "count = 1").replace("threads = [1, 2]", "")
    plan.write_text(text + '[[experiment]]\nmodels=["two.onnx"]\nengines=["null"]\nrate="500/s"\n')
    api.bench(study, api.read_plan(plan))
    kinds = _ask(
        study,
        "SELECT control, companion <> '', companion_of <> '', rate_per_s, launches_ok"
        " FROM experiments ORDER BY ALL",
    )
    assert kinds == [
        (False, False, False, 500.0, 1),
        (False, False, False, None, 1),
        (False, False, False, None, 1),
        (False, False, True, None, 1),
        (False, True, False, None, 1),
        (True, False, False, None, 1),
    ]
    assert _ask(study, "SELECT count(*) FROM results") == [(2,)]
    assert _ask(study, "SELECT count(*) FROM launches") == [(2,)]
    ((due, starts),) = _ask(
        study, "SELECT count(due_s), count(start_s) FROM samples WHERE due_s IS NOT NULL"
    )
    assert due == starts == 150


def test_the_conditions_of_a_launch_are_stored_with_it(study: Path) -> None:
    api.bench(study, api.BenchSettings(engines=("null",), models=("one.onnx",), preset="smoke"))
    (run,) = Study(study).rows(Run)
    assert {"boot_id", "uptime_s", "load_average", "cpu_busy_s"} <= {r.key for r in run.before}
    assert [r.key for r in run.before] == [r.key for r in run.after]
    assert (run.position, run.clock_offset_s, run.page_cache) == (0, 0.0, "warm")
    assert "PATH" in {variable.name for variable in run.variables}
    assert run.cpu_s is not None
    assert run.timings is not None
    names = [stamp.name for stamp in run.timings.stamps]
    assert names == ["start", "load", "prepare", "feed", "first", "warmup", "steady"]
    ends = [run.timings.stamps[0].begin_s]
    for stamp in run.timings.stamps:
        assert ends[-1] <= stamp.begin_s <= stamp.end_s
        ends.append(stamp.end_s)
    steady = run.timings.stamps[-1]
    assert all(steady.begin_s <= s <= steady.end_s for s in run.timings.steady_start_s)


def test_a_dry_run_launches_nothing_and_estimates_from_what_was_launched(study: Path) -> None:
    options = ("--engine", "null", "--preset", "smoke", "--dry-run", "--json")
    before = json.loads(_run("bench", study, *options, "--launches", 2).stdout)
    assert _runs(study) == 0
    assert [launch["block"] for launch in before["launches"]] == [0, 0, 1, 1]
    assert before["low_s"] < before["high_s"]
    api.bench(study, api.BenchSettings(engines=("null",), preset="smoke"))
    after = json.loads(_run("bench", study, *options, "--launches", 2).stdout)
    assert [launch["block"] for launch in after["launches"]] == [1, 1]
    assert 0 < after["low_s"] == after["high_s"] < before["high_s"]
    shown = _run("bench", study, *options[:-1], "--precision", "2%", "--minimum-launches", 3)
    assert "one.onnx" in shown.stdout
    assert "4 launches, at most 78" in shown.stderr


def test_an_adaptive_campaign_on_a_device_of_known_truth_ends_when_it_is_precise(
    study: Path,
) -> None:
    settings = api.BenchSettings(
        engines=("simulated",),
        devices=("simulated:launch_variation=0.02",),
        models=("one.onnx",),
        precision=0.02,
        launches_minimum=5,
    )
    api.bench(study, settings)
    ((count, ok),) = _ask(study, "SELECT launches_tried, launches_ok FROM results")
    assert 5 <= int(str(count)) < 40
    assert count == ok


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"models": ("nothing",)}, "no model nothing"),
        ({"devices": ("fridge",)}, "no device 'fridge'; there are: host"),
        ({"beside": "*.onnx"}, "must name one model of the study; 2 models"),
        ({"beside": "three"}, "must name one model of the study; there is none"),
        ({"threads": ("1a9999",)}, "1a9999: host has"),
        ({"threads": ("9999",)}, "9999 threads: host has"),
        ({"preset": "fast"}, "no preset 'fast'"),
        ({"rate_per_s": 1e9}, "rate of"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error_and_plans_nothing(
    study: Path, asked: dict[str, object], message: str
) -> None:
    settings = api.BenchSettings(engines=("null",), **asked)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        api.bench(study, settings)
    assert _ask(study, "SELECT * FROM all_jobs") == []


def test_options_cannot_stand_beside_a_plan(study: Path, plan: Path) -> None:
    done = _run("bench", study, "--plan", plan, "--launches", 3, "--rate", "5/s")
    assert done.returncode == 2
    assert "--launches, --rate: with --plan" in done.stderr

"""Long runs and fixed rates in a study, on a device whose heat and speed are known."""

from pathlib import Path

import pytest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.analysis.sustained import Rank


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "one.onnx").write_bytes(packages.onnx_model())
    return api.scan([tmp_path / "one.onnx"], tmp_path / "s", workers=1).study


def test_a_device_that_gets_hot_shows_when_it_throttled_and_where_it_settled(study: Path) -> None:
    settings = api.BenchSettings(
        engines=("simulated",),
        devices=("simulated:throttle=0.4",),
        sustain_s=360.0,
    )
    api.bench(study, settings)
    (launch,) = api.sustained_launches(study)
    assert (launch.model, launch.engine, launch.launch) == ("one.onnx", "simulated==1", 0)
    assert launch.rank == Rank(first_minute=1, end=1)
    assert launch.found.duration_s >= 360
    assert launch.found.degradation > 0.1
    assert launch.found.throttled_after_s is not None
    assert 60 <= launch.found.throttled_after_s < 360
    assert len(launch.found.windows) >= 12


def test_a_rate_that_a_device_cannot_keep_misses_its_deadlines(study: Path) -> None:
    for rate in (2.0, 5000.0):
        api.bench(
            study,
            api.BenchSettings(
                engines=("simulated",),
                devices=("simulated",),
                rate_per_s=rate,
                launches=1,
            ),
        )
    calm, overrun = sorted(api.rate_launches(study), key=lambda launch: launch.rate_per_s)
    assert (calm.rate_per_s, overrun.rate_per_s) == (2.0, 5000.0)
    assert calm.found.missed == 0
    assert overrun.found.miss_share > 0.9
    assert overrun.found.response_s > 2 * overrun.found.service_s
    assert api.sustained_launches(study) == []


PLAN = """
[launches]
count = {launches}

[[experiment]]
models = "one.onnx"
engines = "simulated"
devices = "simulated"

[[experiment]]
models = "one.onnx"
engines = "simulated"
devices = "simulated"
with = "one.onnx@simulated==3"
"""


def test_side_by_side_is_told_against_the_same_model_alone_in_turns(study: Path) -> None:
    plan = study.parent / "plan.toml"
    plan.write_text(PLAN.format(launches=6))
    api.bench(study, api.read_plan(plan))
    both = {row.engine: row for row in api.side_by_side(study)}
    measured, companion = both["simulated==1"], both["simulated==3"]
    assert (measured.model, measured.beside, measured.beside_engine) == (
        "one.onnx",
        "one.onnx",
        "simulated==3",
    )
    assert measured.launches == 6
    assert measured.slowdown is not None
    assert measured.slowdown.pairs == 6
    assert measured.slowdown.low is not None
    assert measured.slowdown.high is not None
    # Simulated programs do not disturb each other: no slow-down is the truth.
    assert measured.slowdown.low < 1.0 < measured.slowdown.high
    assert companion.beside_engine == "simulated==1"
    assert companion.alone_sha256 is None
    assert companion.slowdown is None

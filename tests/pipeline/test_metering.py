"""Launches on the host with meters around them: traces are rows, energy is derived from them."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest
from tests.pipeline import packages

from gaugenn import api
from gaugenn.cli import main
from gaugenn.errors import StoreError, UsageError
from gaugenn.pipeline.metering import assigned
from gaugenn.records import Trace, TraceRecord
from gaugenn.store import Study, put_trace, read_trace

SMOKE = api.BenchSettings(engines=("null",), preset="smoke", launches=1)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "one.onnx").write_bytes(packages.onnx_model())
    return api.scan([tmp_path / "one.onnx"], tmp_path / "s", workers=1).study


def asked(study: Path, sql: str) -> list[dict[str, object]]:
    return api.query(study, sql).to_pylist()


def test_a_measured_launch_has_a_trace_and_the_energy_of_each_phase(study: Path) -> None:
    api.bench(study, SMOKE, meters=["simulated:high=2,rate=10000"], idle_s=0.0)
    (trace,) = asked(study, "SELECT * FROM traces")
    assert (trace["rail"], trace["source"]) == ("simulated", "simulated constant")
    phases = asked(study, "SELECT * FROM energies WHERE phase IN ('first', 'steady')")
    assert {row["phase"] for row in phases} == {"first", "steady"}
    for row in phases:
        assert row["reason"] is None
        assert row["power_w"] == pytest.approx(2.0)
        assert row["gross_j"] == pytest.approx(2.0 * row["duration_s"])  # type: ignore[operator]
        assert row["net_reason"] == "idle_not_measured"
    (told,) = asked(
        study,
        "SELECT len(timings.steady_s) * timings.inferences_per_sample AS inferences FROM runs",
    )
    assert told["inferences"] == next(r["inferences"] for r in phases if r["phase"] == "steady")
    blob = Study(study).blobs.path(str(trace["blob_sha256"]))
    with duckdb.connect() as connection:
        found = connection.execute("SELECT max(watts) FROM read_parquet(?)", [str(blob)])
        assert found.fetchone() == (2.0,)


def test_idle_power_is_measured_around_each_launch(study: Path) -> None:
    api.bench(study, SMOKE, meters=["simulated:rate=1000"], idle_s=0.2)
    (trace,) = asked(study, "SELECT * FROM traces")
    length = trace["idle_before_end_s"] - trace["idle_before_begin_s"]  # type: ignore[operator]
    assert length == pytest.approx(0.2, abs=0.15)
    (steady,) = asked(study, "SELECT net_reason FROM energies WHERE phase = 'steady'")
    assert steady["net_reason"] == "idle_too_short"


def test_a_recording_that_is_too_short_is_said_and_not_stretched(
    study: Path, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("t_s,main\n0,1\n0.001,1\n0.002,1\n")
    api.bench(study, SMOKE, meters=[f"replay:file={tmp_path / 't.csv'}"], idle_s=0.0)
    (steady,) = asked(study, "SELECT reason, gross_j FROM energies WHERE phase = 'steady'")
    assert str(steady["reason"]).startswith("not_covered: the trace 'main'")
    assert steady["gross_j"] is None


def test_a_meter_that_fails_costs_its_trace_and_not_the_launch(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "9"), ("energy_uj", "1")):
        (zone / name).write_text(text)
    from gaugenn.power.rapl import Rapl

    start: Callable[[Rapl], None] = Rapl.start

    def vanish(self: Rapl) -> None:
        start(self)
        (zone / "energy_uj").unlink()

    monkeypatch.setattr(Rapl, "start", vanish)
    api.bench(study, SMOKE, meters=[f"rapl:root={tmp_path}"], idle_s=0.0)
    assert asked(study, "SELECT status FROM runs") == [{"status": "ok"}]
    (failure,) = asked(study, "SELECT * FROM failures WHERE stage = 'meter'")
    assert "cannot be read any more" in str(failure["message"])
    assert asked(study, "SELECT * FROM energies") == []


def test_a_meter_is_refused_where_time_is_not_this_machines(study: Path) -> None:
    settings = api.BenchSettings(engines=("simulated",), devices=("simulated",), preset="smoke")
    with pytest.raises(UsageError, match="the meter simulated cannot measure simulated"):
        api.bench(study, settings, meters=["simulated"])
    with pytest.raises(UsageError, match="no plugin 'wattmeter'"):
        api.bench(study, SMOKE, meters=["wattmeter"])
    assert asked(study, "SELECT * FROM runs") == []


def test_a_meter_is_told_which_device_it_measures() -> None:
    devices = ["host", "pi@raspberry", "10.0.0.7:5555"]
    found = assigned(["replay:file=a@b.csv@pi@raspberry", "rapl", "fuel_gauge"], devices)
    assert found == {
        "host": ["rapl", "fuel_gauge"],
        "pi@raspberry": ["replay:file=a@b.csv", "fuel_gauge"],
        "10.0.0.7:5555": ["fuel_gauge"],
    }
    assert assigned(["monsoon:voltage=4"], ["R5"]) == {"R5": ["monsoon:voltage=4"]}
    with pytest.raises(UsageError, match=r"which device does the meter hwmon measure\? .*@DEVICE"):
        assigned(["hwmon"], devices)
    with pytest.raises(UsageError, match="the meter rapl cannot measure R5"):
        assigned(["rapl@R5"], ["R5", "host"])


def test_two_meters_on_a_launch_are_compared_and_give_energy_of_an_inference(
    study: Path, tmp_path: Path
) -> None:
    lines = "".join(f"{n / 100:.2f},2.2\n" for n in range(30_000))
    (tmp_path / "t.csv").write_text(f"t_s,main_w\n{lines}")
    settings = api.BenchSettings(engines=("null",), preset="smoke", launches=3)
    meters = ["simulated:high=2,rate=10000", f"replay:file={tmp_path / 't.csv'}"]
    api.bench(study, settings, meters=meters, idle_s=0.0)
    checks = asked(study, "SELECT * FROM meter_checks WHERE phase = 'steady'")
    assert len(checks) == 3
    for row in checks:
        assert (row["first"], row["second"]) == ("replay t.csv", "simulated constant")
        assert row["ratio"] == pytest.approx(1.1)
        assert (row["agrees"], row["reason"]) == (False, "meters_disagree")
    rows = asked(study, "SELECT * FROM inference_energies ORDER BY source")
    assert [(row["launches"], row["power_w"]) for row in rows] == [
        (3, pytest.approx(2.2)),
        (3, pytest.approx(2.0)),
    ]
    (model,) = asked(study, "SELECT flops FROM models")
    assert rows[1]["mflop_per_j"] == pytest.approx(
        model["flops"] / rows[1]["gross_j"] / 1e6  # type: ignore[operator]
    )


def test_scenarios_follow_from_measured_energy(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = api.BenchSettings(engines=("null",), preset="smoke", launches=3)
    api.bench(study, settings, meters=["simulated:high=2,rate=10000"], idle_s=0.0)
    options = ("--every", "--battery", "1000", "--voltage", "4", "--json")
    assert main(["scenarios", str(study), *options]) == 0
    rows = {row["scenario"]["name"]: row for row in json.loads(capsys.readouterr().out)}
    typing = rows["typing"]["found"]
    assert rows["typing"]["rail"] == "simulated constant: simulated"
    assert rows["typing"]["launches"] == 3
    assert typing["inferences"] == 275
    assert typing["real_time"] is True
    charge = typing["charge_mah"]
    (mean,) = asked(
        study,
        "SELECT exp(avg(ln(gross_j / inferences))) AS j FROM energies WHERE phase = 'steady'",
    )
    assert charge["value"] == pytest.approx(275 * mean["j"] / 3.6 / 4)  # type: ignore[operator]
    assert charge["low"] < charge["value"] < charge["high"]
    assert typing["share"]["value"] == pytest.approx(charge["value"] / 1000)
    assert typing["net_charge_mah"] is None
    assert rows["sound-recognition"]["found"] is None
    assert main(["scenarios", str(study), "--every"]) == 0
    assert "input length unknown" in capsys.readouterr().out


def test_without_a_meter_scenarios_still_say_what_keeps_up(study: Path) -> None:
    api.bench(study, SMOKE)
    rows = {row.scenario.name: row for row in api.scenarios(study, every=True)}
    found = rows["video-segmentation"].found
    assert found is not None
    assert (found.charge_mah, found.real_time) == (None, True)


def test_a_trace_whose_blob_was_changed_is_refused(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    t_s = np.arange(5.0)
    made = Trace(rail="r", t_s=t_s, joules=t_s, source="s", rate_hz=1.0)
    row = put_trace(study.blobs, made, job_sha256="0" * 64, launch=0)
    again = read_trace(study.blobs, row)
    assert again.is_counter
    assert list(again.joules) == list(t_s)
    study.write([row])
    assert study.rows(TraceRecord) == [row]
    path = study.blobs.path(row.blob_sha256)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="was changed"):
        read_trace(study.blobs, row)

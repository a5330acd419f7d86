"""Meters of a phone in campaigns: read through it, or joined by the markers that it makes."""

import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from gaugenn import api
from gaugenn.devices import Device, _around
from gaugenn.pipeline import measure, metering
from gaugenn.power import MeterOptions, PowerMeter
from gaugenn.records import Clock, Moment, Trace
from tests.devices.box import Box
from tests.pipeline import packages


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "one.onnx").write_bytes(packages.onnx_model(1))
    return api.scan([tmp_path / "one.onnx"], tmp_path / "s", workers=1).study


def asked(box: Box, sustain_s: float, untethered: str = "") -> api.BenchSettings:
    return api.BenchSettings(
        engines=("null",),
        devices=(box.serial,),
        preset="smoke",
        launches=1,
        sustain_s=sustain_s,
        rate_per_s=20.0,
        untethered=untethered,
    )


def test_meters_of_a_phone_are_read_through_it_and_its_idle_stretches_are_its_own(
    study: Path, box: Box
) -> None:
    files = {
        "power_supply/battery/current_now": "-500000",
        "power_supply/battery/voltage_now": "4000000",
        "power_supply/battery/status": "Discharging",
        "hwmon/hwmon0/name": "ina3221",
        "hwmon/hwmon0/in1_label": "VDD_CPU",
        "hwmon/hwmon0/in1_input": "5000",
        "hwmon/hwmon0/curr1_input": "300",
    }
    for name, text in files.items():
        path = box.folder / "sys/class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    settings = asked(box, sustain_s=3.0)
    api.bench(study, settings, meters=["fuel_gauge:rate=4", "hwmon:rate=4"], idle_s=0.5)
    rows = api.query(
        study, "SELECT * FROM energies WHERE phase = 'steady' ORDER BY source"
    ).to_pylist()
    assert [(row["source"], row["rail"]) for row in rows] == [
        ("fuel_gauge battery", "battery"),
        ("hwmon", "ina3221 VDD_CPU"),
    ]
    for row, watts in zip(rows, (2.0, 1.5), strict=True):
        assert row["power_w"] == pytest.approx(watts)
        assert 0 < row["sync_uncertainty_s"] < 1
        assert row["net_reason"] == "idle_too_short"  # measured, but not for long
    (check,) = api.query(study, "SELECT * FROM meter_checks WHERE phase = 'steady'").to_pylist()
    assert (check["first"], check["agrees"], check["ratio"]) == ("hwmon", True, pytest.approx(0.75))
    (run,) = api.query(study, "SELECT moments, clock_offset_s FROM runs").to_pylist()
    assert [moment["name"] for moment in run["moments"]] == ["idle_before", "idle_after"]


class OwnClock(PowerMeter):
    """Power that follows what the device did, as a meter sees it whose clock is ahead and too fast."""

    clock = Clock.METER
    moments: ClassVar[list[Moment]] = []
    ahead_s, rate = 1234.5, 40e-6

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        del options, device

    rails = ("main",)
    rate_hz = 1000.0

    def start(self) -> None:
        self.begin_s = time.clock_gettime(time.CLOCK_BOOTTIME)

    def stop(self) -> tuple[Trace, ...]:
        end_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        boot_s = np.arange(self.begin_s, end_s, 1e-3)
        watts = np.full(boot_s.size, 2.5)
        for moment in self.moments:
            on = moment.name.startswith("marker")
            inside = (boot_s >= moment.begin_s) & (boot_s < moment.end_s)
            watts[inside] = 4.0 if on else 1.0
        for name in ("marker_before", "marker_after"):
            bursts = [m for m in self.moments if m.name == name]
            quiet = (boot_s >= bursts[0].begin_s - 0.4) & (boot_s < bursts[-1].end_s + 0.4)
            watts[quiet & (watts == 2.5)] = 1.0
        t_s = (boot_s - self.begin_s) * (1 + self.rate) + self.ahead_s
        return (
            Trace(
                rail="main",
                t_s=t_s,
                watts=watts,
                source="monsoon 1",
                rate_hz=1000.0,
                clock=Clock.METER,
            ),
        )


@pytest.mark.parametrize("untethered", ["", "none"])
def test_a_meter_with_a_clock_of_its_own_is_joined_by_markers_that_the_phone_makes(
    study: Path, box: Box, monkeypatch: pytest.MonkeyPatch, untethered: str
) -> None:
    read = _around.read

    def noted(*arguments: object) -> _around.Surroundings:
        found = read(*arguments)  # type: ignore[arg-type]
        OwnClock.moments[:] = found.moments
        return found

    monkeypatch.setattr(_around, "SETTLE_S", 0.5)
    monkeypatch.setattr(_around, "read", noted)
    monkeypatch.setattr(metering, "meter_kind", lambda _: OwnClock)
    monkeypatch.setattr(measure, "open_meter", lambda *_: OwnClock(MeterOptions("m", {}), None))
    settings = asked(box, sustain_s=2.0, untethered=untethered)
    api.bench(study, settings, meters=["monsoon"], idle_s=0.5)
    (row,) = api.query(study, "SELECT * FROM energies WHERE phase = 'steady'").to_pylist()
    assert (row["reason"], row["net_reason"]) == (None, "idle_too_short")
    assert row["power_w"] == pytest.approx(2.5, rel=1e-3)
    assert row["sync_uncertainty_s"] == pytest.approx(1e-3)
    apart_s = OwnClock.moments[-3].begin_s - OwnClock.moments[0].begin_s
    assert row["sync_residual_s"] == pytest.approx(apart_s * OwnClock.rate, abs=2e-3)

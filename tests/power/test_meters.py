"""Every meter against a file tree, a file or a bus of known content."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tests.power import fake_monsoon
from tests.power.fake_monsoon import FakeBackend, packet, sample

from gaugenn import plugins
from gaugenn.devices.host import HostDevice
from gaugenn.errors import DeviceError, FormatError, UsageError
from gaugenn.power import PowerMeter, open_meter
from gaugenn.power.monsoon import Decoder
from gaugenn.records import Clock, Trace


def put(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")
    return path


@pytest.fixture
def host() -> Iterator[HostDevice]:
    with HostDevice() as device:
        yield device


def measured(meter: PowerMeter, during: float = 0.05) -> dict[str, Trace]:
    meter.start()
    time.sleep(during)
    return {trace.rail: trace for trace in meter.stop()}


@pytest.mark.parametrize("name", plugins.names("gaugenn.power"))
def test_an_option_that_a_meter_does_not_have_is_refused(name: str, host: HostDevice) -> None:
    with pytest.raises(UsageError, match=rf"{name} has no option nonsense; there are"):
        open_meter(f"{name}:nonsense=1,file=x", host) if name == "replay" else open_meter(
            f"{name}:nonsense=1", host
        )


def test_an_unknown_meter_and_a_bad_option_say_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"there are: fuel_gauge, hwmon, monsoon"):
        open_meter("wattmeter")
    with pytest.raises(UsageError, match="rate=-1; expected a number from"):
        open_meter("rapl:rate=-1")
    with pytest.raises(UsageError, match="write it like key=value"):
        open_meter("rapl:fast")
    with pytest.raises(UsageError, match="reads through the device"):
        open_meter("odpm")


def test_rapl_goes_on_where_its_counter_begins_anew(tmp_path: Path) -> None:
    zone = "sys/class/powercap/intel-rapl:0"
    put(tmp_path, f"{zone}/name", "package-0")
    put(tmp_path, f"{zone}/max_energy_range_uj", "1000000")
    counter = put(tmp_path, f"{zone}/energy_uj", "900000")
    with open_meter(f"rapl:root={tmp_path},rate=200") as meter:
        assert meter.rails == ("0 package-0",)
        meter.start()
        for energy in ("100000", "300000"):
            # As in the kernel, a reader finds a whole number at any time.
            new = put(tmp_path, "new", energy)
            new.replace(counter)
            time.sleep(0.05)
        (trace,) = meter.stop()
    assert trace.is_counter
    assert trace.joules[-1] - trace.joules[0] == pytest.approx(0.4)


def test_rapl_says_why_it_is_absent(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"no energy counters in .*virtual machine"),
        open_meter(f"rapl:root={tmp_path}"),
    ):
        pass
    put(tmp_path, "sys/class/powercap/intel-rapl:0/name", "package-0")
    with (
        pytest.raises(UsageError, match="to root only"),
        open_meter(f"rapl:root={tmp_path}"),
    ):
        pass


def test_hwmon_takes_power_or_current_times_voltage_and_the_labels(tmp_path: Path) -> None:
    for name, text in {
        "hwmon0/name": "ina3221",
        "hwmon0/in1_label": "VDD_GPU",
        "hwmon0/in1_input": "5000",
        "hwmon0/curr1_input": "400",
        "hwmon0/in2_label": "VDD_CPU",
        "hwmon0/curr2_input": "100",
        "hwmon1/name": "ina219",
        "hwmon1/power1_input": "1250000",
        "hwmon1/curr1_input": "1",
        "hwmon1/in1_input": "1",
        "hwmon2/name": "coretemp",
        "hwmon2/temp1_input": "40000",
    }.items():
        put(tmp_path, f"sys/class/hwmon/{name}", text)
    with open_meter(f"hwmon:root={tmp_path}") as meter:
        # A current without its voltage is no power.
        assert meter.rails == ("ina219 1", "ina3221 VDD_GPU")
        traces = measured(meter)
    assert traces["ina3221 VDD_GPU"].watts == pytest.approx(2.0)
    assert traces["ina219 1"].watts == pytest.approx(1.25)
    with (
        pytest.raises(UsageError, match="chips there: ina3221, ina219, coretemp"),
        open_meter(f"hwmon:root={tmp_path},chip=ina226"),
    ):
        pass


def test_a_chip_that_disappears_is_an_error_and_no_zero(tmp_path: Path) -> None:
    put(tmp_path, "sys/class/hwmon/hwmon0/name", "ina219")
    power = put(tmp_path, "sys/class/hwmon/hwmon0/power1_input", "5")
    with open_meter(f"hwmon:root={tmp_path},rate=200") as meter:
        meter.start()
        power.unlink()
        time.sleep(0.05)
        with pytest.raises(DeviceError, match="cannot be read any more"):
            meter.stop()


def gauge(root: Path, **files: str) -> None:
    for name, text in files.items():
        put(root, f"sys/class/power_supply/battery/{name}", text)


def test_the_fuel_gauge_is_read_through_the_device(tmp_path: Path, host: HostDevice) -> None:
    gauge(
        tmp_path,
        status="Discharging",
        current_now="-500000",
        voltage_now="4000000",
        charge_counter="3000000",
    )
    with open_meter(f"fuel_gauge:root={tmp_path}", host) as meter:
        assert meter.rails == ("battery", "battery charge")
        meter.start()
        gauge(tmp_path, charge_counter="2999000")
        traces = {trace.rail: trace for trace in meter.stop()}
    assert traces["battery"].watts == pytest.approx(2.0)
    # 1 mAh at 4 V.
    assert traces["battery charge"].joules[-1] == pytest.approx(14.4)


def test_a_gauge_of_another_vendor_has_another_sign_and_unit(
    tmp_path: Path, host: HostDevice
) -> None:
    gauge(tmp_path, current_now="500", voltage_now="4000000")
    name = f"fuel_gauge:root={tmp_path},unit=mA,discharge=positive"
    with open_meter(name, host) as meter:
        assert measured(meter)["battery"].watts == pytest.approx(2.0)


def test_a_battery_that_charges_is_not_measured(tmp_path: Path, host: HostDevice) -> None:
    gauge(tmp_path, status="Charging", current_now="1", voltage_now="1")
    with (
        pytest.raises(DeviceError, match="is charging; cut power"),
        open_meter(f"fuel_gauge:root={tmp_path}", host),
    ):
        pass
    gauge(tmp_path, status="Discharging", charge_counter="100")
    with open_meter(f"fuel_gauge:root={tmp_path}", host) as meter:
        meter.start()
        gauge(tmp_path, charge_counter="101")
        with pytest.raises(DeviceError, match="charge rose"):
            meter.stop()


def test_rails_of_a_phone_carry_its_own_stamps(tmp_path: Path, host: HostDevice) -> None:
    def rails(t_ms: int, big: int) -> None:
        put(
            tmp_path,
            "sys/bus/iio/devices/iio:device0/energy_value",
            f"t={t_ms}\nCH0(T={t_ms})[S10M_VDD_TPU], 5\nCH3(T={t_ms})[S2M_VDD_CPUCL2], {big}",
        )

    rails(349_894, 30_203_502)
    with open_meter(f"odpm:root={tmp_path}", host) as meter:
        assert meter.rails == ("S10M_VDD_TPU", "S2M_VDD_CPUCL2")
        meter.start()
        rails(350_894, 32_203_502)
        trace = {trace.rail: trace for trace in meter.stop()}["S2M_VDD_CPUCL2"]
    assert trace.clock is Clock.DEVICE_BOOT
    assert trace.t_s == pytest.approx([349.894, 350.894])
    assert np.diff(trace.joules) == pytest.approx([2.0])


def test_a_recording_is_played_from_the_start(tmp_path: Path) -> None:
    put(tmp_path, "trace.csv", "t_s,cpu_w,gpu\n10,1,2\n10.5,3,4\n11,5,6")
    with open_meter(f"replay:file={tmp_path / 'trace.csv'}") as meter:
        assert (meter.rails, meter.rate_hz) == (("cpu", "gpu"), 2.0)
        before = time.monotonic()
        traces = measured(meter, 0.0)
    assert list(traces["gpu"].watts) == [2, 4, 6]
    assert traces["cpu"].t_s - traces["cpu"].t_s[0] == pytest.approx([0, 0.5, 1.0])
    assert traces["cpu"].t_s[0] == pytest.approx(before, abs=1.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "first line must name"),
        ("a,b\n1,2", "first line must name"),
        ("t_s,a,a\n1,2,3", "first line must name"),
        ("t_s,a\n1,2", "1 samples"),
        ("t_s,a\n1,2\n1,3", "time does not rise at sample 1"),
        ("t_s,a\n1,2\n2,nan", "line 3: expected 2 finite"),
        ("t_s,a\n1,2\n2", "line 3: expected 2 finite"),
        ("t_s,a\n1,2\n2,x", "line 3: could not convert"),
    ],
)
def test_a_bad_recording_is_refused_with_its_line(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with (
        pytest.raises(FormatError, match=complaint),
        open_meter(f"replay:file={tmp_path / 't.csv'}"),
    ):
        pass


def test_a_simulated_meter_loses_what_it_is_told_to() -> None:
    with open_meter("simulated:shape=square,low=1,high=3,rate=10000,lost=0.1") as meter:
        trace = measured(meter)["simulated"]
    assert set(trace.watts) <= {1.0, 3.0}
    assert trace.lost_samples / (trace.t_s.size + trace.lost_samples) == pytest.approx(
        0.1, abs=0.05
    )


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    backend = FakeBackend()
    monkeypatch.setattr("usb.backend.libusb1.get_backend", lambda *_, **__: backend)
    return backend


def test_a_monsoon_measures_by_the_number_of_the_sample(bus: FakeBackend) -> None:
    with open_meter("monsoon:voltage=3.85") as meter:
        trace = measured(meter, 0.2)["main"]
        assert bus.volts_set == pytest.approx([3.85], abs=1e-5)
    assert trace.clock is Clock.METER
    assert trace.watts == pytest.approx(0.5 * 3.85, rel=1e-3)
    assert np.diff(trace.t_s) == pytest.approx(1 / 5000)
    assert trace.lost_samples == 0
    assert bus.volts_set[-1] == 0, "the output is off afterwards"


def test_a_monsoon_in_its_coarse_range_measures_too(bus: FakeBackend) -> None:
    bus.milliamperes = 3000.0
    with open_meter("monsoon") as meter:
        trace = measured(meter)["main"]
    assert trace.watts == pytest.approx(3.0 * 3.85, rel=1e-3)


def test_samples_that_a_monsoon_dropped_are_gaps_and_counted(bus: FakeBackend) -> None:
    bus.drop_every = 50
    with open_meter("monsoon") as meter:
        trace = measured(meter, 0.3)["main"]
    assert trace.lost_samples >= 2
    assert "lossy" in trace.notes
    assert np.sum(np.diff(trace.t_s) > 1.5 / 5000) == trace.lost_samples


def test_an_error_of_the_bus_is_never_a_silent_restart(bus: FakeBackend) -> None:
    bus.fail_after = 100
    with open_meter("monsoon") as meter:
        meter.start()
        time.sleep(0.3)
        with pytest.raises(DeviceError, match="bus failed while it sampled"):
            meter.stop()
    assert bus.starts == 1
    assert bus.volts_set[-1] == 0


def test_a_monsoon_that_is_not_there_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty(FakeBackend):
        def enumerate_devices(self) -> Iterator[int]:
            return iter(())

    monkeypatch.setattr("usb.backend.libusb1.get_backend", lambda *_, **__: Empty())
    with pytest.raises(UsageError, match="no Monsoon on the USB"), open_meter("monsoon"):
        pass


SCALES = SimpleNamespace(
    mainFineScale=float(fake_monsoon.FINE_SCALE),
    mainCoarseScale=float(fake_monsoon.COARSE_SCALE),
    mainFineZeroOffset=float(fake_monsoon.OFFSET),
    mainCoarseZeroOffset=float(fake_monsoon.OFFSET),
    firmwareVersion=32,
    serialNumber=1234,
)


def test_the_count_of_dropped_samples_turns_over() -> None:
    decoder = Decoder(SCALES)
    for dropped in [0] * 5 + [65_535, 1]:
        decoder.add(packet([sample(k, 100, 4) for k in (0x10, 0x30, 0)], dropped))
    assert decoder.lost == 65_535 + 2


@pytest.mark.parametrize("data", [b"", b"\0" * 63, b"\0\0\0\xff" + b"\0" * 60])
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(DeviceError, match="not understood"):
        Decoder(SCALES).add(data)


@pytest.mark.parametrize(
    ("t_s", "watts", "complaint"),
    [
        ([0, 1], [1], "2 moments and 1 values"),
        ([0, 0], [1, 1], "does not rise at sample 1"),
        ([0, 1], [1, float("inf")], "not finite"),
    ],
)
def test_a_trace_that_cannot_be_integrated_is_refused(
    t_s: list[float], watts: list[float], complaint: str
) -> None:
    with pytest.raises(FormatError, match=complaint):
        Trace(
            rail="r",
            t_s=np.asarray(t_s, dtype=np.float64),
            watts=np.asarray(watts, dtype=np.float64),
            source="s",
            rate_hz=1.0,
        )

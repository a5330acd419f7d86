"""A study's launches as a Perfetto trace, read with Perfetto's own definition of the form."""

from pathlib import Path

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as perfetto
from tests.pipeline import packages

from gaugenn import api
from gaugenn.cli import main
from gaugenn.errors import UsageError

BEGIN, END, COUNTER = 1, 2, 4


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("perfetto")
    (folder / "one.onnx").write_bytes(packages.onnx_model())
    made = api.scan([folder / "one.onnx"], folder / "s", workers=1).study
    settings = api.BenchSettings(engines=("null",), preset="smoke", launches=2, sample_every_s=0.1)
    meters = ["simulated:high=2,rate=5000,shape=constant"]
    api.bench(made, settings, meters=meters, idle_s=0.0)
    return made


def test_phases_inferences_samples_and_power_stand_on_the_devices_clock(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.perfetto-trace"
    assert main(["trace", str(study), "--to", str(path), "--launch", "1"]) == 0
    assert capsys.readouterr().out == f"{path}: 1 launch\n"
    trace = perfetto.Trace.FromString(path.read_bytes())
    tracks = {
        p.track_descriptor.uuid: p.track_descriptor
        for p in trace.packet
        if p.HasField("track_descriptor")
    }
    events = [p for p in trace.packet if p.HasField("track_event")]
    assert {event.track_event.track_uuid for event in events} <= tracks.keys()
    (root,) = [t for t in tracks.values() if not t.parent_uuid]
    assert root.name == "one.onnx on null 1, host, launch 1"
    (run,) = api.query(study, "SELECT timings, moments FROM runs WHERE launch = 1").to_pylist()
    timings = run["timings"]
    begins = {
        p.track_event.name: p.timestamp
        for p in events
        if p.track_event.track_uuid == root.uuid and p.track_event.type == BEGIN
    }
    for stamp in timings["stamps"]:
        at_ns = (timings["clock_boottime_s"] + stamp["begin_s"]) * 1e9
        assert begins[stamp["name"]] == pytest.approx(at_ns, abs=1000)
    (inferences,) = [t for t in tracks.values() if t.name == "inferences"]
    assert inferences.parent_uuid == root.uuid
    of_them = [p.track_event for p in events if p.track_event.track_uuid == inferences.uuid]
    wanted = len(timings["steady_s"]) + len(timings["warmup_s"])
    assert [e.type for e in of_them].count(BEGIN) == wanted
    assert [e.type for e in of_them].count(END) == wanted
    (power,) = [t for t in tracks.values() if t.name == "simulated constant: simulated"]
    assert power.counter.unit_name == "W"
    watts = [p for p in events if p.track_event.track_uuid == power.uuid]
    assert {p.track_event.type for p in watts} == {COUNTER}
    assert {p.track_event.double_counter_value for p in watts} == {2.0}
    # The meter ran around the launch, a fifth of its samples is kept.
    assert watts[0].timestamp < min(begins.values()) < watts[-1].timestamp
    assert watts[1].timestamp - watts[0].timestamp == pytest.approx(1e6, abs=10)
    (load,) = [t for t in tracks.values() if t.name == "load_average"]
    assert any(p.track_event.track_uuid == load.uuid for p in events)
    assert {p.trusted_packet_sequence_id for p in trace.packet} == {1}


def test_all_launches_stand_beside_each_other_and_none_is_an_error(
    study: Path, tmp_path: Path
) -> None:
    path = tmp_path / "all.perfetto-trace"
    assert api.perfetto(study, path) == 2
    trace = perfetto.Trace.FromString(path.read_bytes())
    roots = [
        p.track_descriptor
        for p in trace.packet
        if p.HasField("track_descriptor") and not p.track_descriptor.parent_uuid
    ]
    assert [root.name[-8:] for root in roots] == ["launch 0", "launch 1"]
    assert len({root.uuid for root in roots}) == 2
    with pytest.raises(UsageError, match="no such launch"):
        api.perfetto(study, path, job="0" * 12)

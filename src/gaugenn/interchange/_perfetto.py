"""Launches as a Perfetto trace: phases, inferences, what the sampler read, and power, on one time line.

The times are those of the device's clock that also counts sleep, so a launch beside another one stands
beside it. Each launch is a track with its phases; below it lie its inferences, a counter for each value
of the sampler and one for each rail of power.

Source: https://perfetto.dev/docs/reference/trace-packet-proto (numbers of fields)
Source: https://perfetto.dev/docs/reference/synthetic-track-event (tracks, slices and counters)
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gaugenn.analysis.launch_energy import synchronised
from gaugenn.errors import GaugennError
from gaugenn.records import (
    DeviceSample,
    Job,
    JobRecord,
    Run,
    RunStatus,
    Timings,
    Trace,
    TraceRecord,
)
from gaugenn.records._environment import KEYS

MAXIMUM_RATE_HZ = 1000.0
"""Power of faster meters is averaged down to it: nobody sees more, and a file stays small."""
_SEQUENCE = 1
_BEGIN, _END, _COUNTER = 1, 2, 4


def perfetto_trace(
    jobs: Sequence[JobRecord],
    runs: Sequence[Run],
    names: Mapping[str, str],
    samples: Sequence[DeviceSample],
    traces: Sequence[TraceRecord],
    read: Callable[[TraceRecord], Trace],
) -> Iterator[bytes]:
    """The file, packet by packet.

    Args:
        jobs: of the launches.
        runs: launches; those without the device's clock are left out.
        names: of models, by digest.
        samples: of the sampler on devices.
        traces: of meters.
        read: a trace out of its row.
    """
    of_job = {record.job_sha256: record.job for record in jobs}
    uuids = iter(range(1, 1 << 62))
    for run in runs:
        timings, job = run.timings, of_job.get(run.job_sha256)
        if run.status is not RunStatus.OK or timings is None or job is None:
            continue
        if timings.clock_boottime_s is None:
            continue
        here = (run.job_sha256, run.launch)
        yield from _launch(
            run,
            timings,
            _title(job, names, run),
            uuids,
            [s for s in samples if (s.job_sha256, s.launch) == here],
            [t for t in traces if (t.job_sha256, t.launch) == here],
            read,
        )


def _launch(
    run: Run,
    timings: Timings,
    title: str,
    uuids: Iterator[int],
    samples: Sequence[DeviceSample],
    traces: Sequence[TraceRecord],
    read: Callable[[TraceRecord], Trace],
) -> Iterator[bytes]:
    assert timings.clock_boottime_s is not None  # noqa: S101 - the caller looked
    zero_s = timings.clock_boottime_s
    root = next(uuids)
    yield _track(root, title)
    yield from _slices(
        root, [(s.name, zero_s + s.begin_s, zero_s + s.end_s) for s in timings.stamps]
    )
    yield from _slices(root, [(m.name, m.begin_s, m.end_s) for m in run.moments])
    single = next(uuids)
    yield _track(single, "inferences", root)
    for name, starts, latencies in (
        ("warm-up", timings.warmup_start_s, timings.warmup_s),
        ("inference", timings.steady_start_s, timings.steady_s),
    ):
        each = timings.inferences_per_sample if name == "inference" else 1
        begins = [zero_s + start for start in starts]
        ends = [b + each * latency for b, latency in zip(begins, latencies, strict=False)]
        yield from _slices(single, [(name, b, e) for b, e in zip(begins, ends, strict=False)])
    series: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for sample in samples:
        for reading in sample.readings:
            if reading.number is not None:
                points = series.setdefault((reading.key, reading.instance), [])
                points.append((sample.boottime_s, reading.number))
    for (key, instance), points in series.items():
        unit = KEYS[key].unit if key in KEYS else ""
        yield from _counter(next(uuids), f"{key} {instance}".strip(), unit, root, points)
    for record in traces:
        for rail, points in _power(run, timings, record, read):
            yield from _counter(next(uuids), rail, "W", root, points)


def _power(
    run: Run, timings: Timings, record: TraceRecord, read: Callable[[TraceRecord], Trace]
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """A rail's power on the device's clock; nothing where the clocks cannot be joined."""
    try:
        trace = read(record)
    except GaugennError:
        return
    sync, _ = synchronised(run, timings, record, trace)
    if sync is None or sync.boot_zero_s is None or trace.t_s.size < 2:
        return
    t_s, watts = (trace.t_s, trace.watts)
    if trace.is_counter:
        t_s, watts = trace.t_s[1:], np.diff(trace.joules) / np.diff(trace.t_s)
    factor = max(1, int(trace.rate_hz / MAXIMUM_RATE_HZ))
    boot_s = (_averaged(t_s, factor) - sync.boot_zero_s) / (1 + sync.rate)
    points = zip(boot_s.tolist(), _averaged(watts, factor).tolist(), strict=True)
    yield f"{record.source}: {record.rail}", list(points)


def _averaged(values: npt.NDArray[np.float64], factor: int) -> npt.NDArray[np.float64]:
    whole = values[: values.size - values.size % factor]
    return np.asarray(whole.reshape(-1, factor).mean(axis=1), dtype=np.float64)


def _title(job: Job, names: Mapping[str, str], run: Run) -> str:
    model = names.get(job.model_sha256, job.model_sha256[:12])
    return f"{model} on {job.engine} {job.engine_version}, {job.device}, launch {run.launch}"


def _slices(track: int, slices: Sequence[tuple[str, float, float]]) -> Iterator[bytes]:
    for name, begin_s, end_s in sorted(slices, key=lambda s: s[1]):
        event = _number(9, _BEGIN) + _number(11, track) + _text(23, name)
        yield _packet(begin_s, _bytes(11, event))
        yield _packet(end_s, _bytes(11, _number(9, _END) + _number(11, track)))


def _counter(
    track: int, name: str, unit: str, parent: int, points: Sequence[tuple[float, float]]
) -> Iterator[bytes]:
    yield _track(track, name, parent, counter=_bytes(8, _text(6, unit) if unit else b""))
    for at_s, value in points:
        event = _number(9, _COUNTER) + _number(11, track) + _double(44, value)
        yield _packet(at_s, _bytes(11, event))


def _track(track: int, name: str, parent: int = 0, counter: bytes = b"") -> bytes:
    above = _number(5, parent) if parent else b""
    descriptor = _bytes(60, _number(1, track) + _text(2, name) + above + counter)
    return _bytes(1, descriptor + _number(10, _SEQUENCE))


def _packet(at_s: float, event: bytes) -> bytes:
    return _bytes(1, _number(8, max(0, round(at_s * 1e9))) + event + _number(10, _SEQUENCE))


def _varint(value: int) -> bytes:
    """Source: https://protobuf.dev/programming-guides/encoding/"""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode("utf-8", "replace"))


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)

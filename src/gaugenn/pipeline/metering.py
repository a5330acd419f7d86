"""Meters around the launches of a campaign: idle, the launch, idle again, and the rows of it."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gaugenn.bench.devices import is_remote
from gaugenn.bench.settings import SAMPLE_EVERY_S
from gaugenn.devices._around import Around
from gaugenn.errors import GaugennError, UsageError
from gaugenn.pipeline._failures import as_failure
from gaugenn.power import PowerMeter, meter_kind
from gaugenn.records import Clock, Failure, Run, RunStatus, TraceRecord
from gaugenn.store import Study, put_trace

SETTLE_S = 1.0
"""After a launch, before idle power counts: its memory is still being given back."""
MAXIMUM_IDLE_S = 3600.0


class Metering:
    """Measures one launch after the other with the same meters.

    Args:
        study: where traces go.
        meters: entered by the caller.
        idle_s: measured before and after each launch.
        waits: idle power is measured while this process waits; otherwise the device itself rests and
            says when, see `devices._around`.

    Raises:
        UsageError: an idle time out of range.
    """

    def __init__(
        self, study: Study, meters: Sequence[PowerMeter], idle_s: float, *, waits: bool = True
    ) -> None:
        if not 0 <= idle_s <= MAXIMUM_IDLE_S:
            raise UsageError(f"{idle_s} s of idle; expected 0 to {MAXIMUM_IDLE_S:g}")
        self._study, self._meters = study, meters
        self._idle_s = idle_s if waits else 0.0
        self._running: list[PowerMeter] = []
        self._errors: list[GaugennError] = []
        self._idle_before: tuple[float, float] | None = None

    def begin(self) -> None:
        """Starts the meters and waits out the idle time. What fails is told by `end`."""
        self._running, self._errors = [], []
        for meter in self._meters:
            try:
                meter.start()
                self._running.append(meter)
            except GaugennError as error:
                self._errors.append(error)
        self._idle_before = self._idle()

    def end(self, run: Run) -> list[TraceRecord | Failure]:
        """Waits out the idle time after a launch, and stops the meters.

        A launch that was lost is made again under the same number, so its traces are not kept.

        Raises:
            StorageFullError: no room for a trace.
        """
        lost = run.status is RunStatus.LOST
        if self._idle_s and self._running and not lost:
            time.sleep(SETTLE_S)
        idle_after = None if lost else self._idle()
        rows: list[TraceRecord | Failure] = []
        for meter in self._running:
            try:
                traces = meter.stop()
            except GaugennError as error:
                self._errors.append(error)
                continue
            for trace in () if lost else traces:
                row = put_trace(
                    self._study.blobs, trace, job_sha256=run.job_sha256, launch=run.launch
                )
                rows.append(_with_idle(row, self._idle_before, idle_after))
        self._running = []
        subject = f"{run.job_sha256} {run.launch}"
        return [*rows, *(as_failure("meter", subject, error) for error in self._errors)]

    def _idle(self) -> tuple[float, float] | None:
        if not self._idle_s or not self._running:
            return None
        begin_s = time.monotonic()
        time.sleep(self._idle_s)
        return begin_s, time.monotonic()


def assigned(meters: Sequence[str], devices: Iterable[str]) -> dict[str, list[str]]:
    """Which device each meter measures: `METER@DEVICE`, else the only one that it can be.

    Args:
        meters: as a user names them.
        devices: names of those of a campaign; a simulated one's time is not the world's.

    Returns:
        The meters of each device, without its name.

    Raises:
        UsageError: there is no such meter; it cannot measure that device; or several devices could
            be meant.
    """
    devices = list(devices)
    found: dict[str, list[str]] = {name: [] for name in devices}
    for text in meters:
        named = [name for name in devices if text.endswith(f"@{name}")]
        device = max(named, key=len, default=None)
        meter = text if device is None else text[: -len(device) - 1]
        kind = meter_kind(meter)
        able = [
            name
            for name in devices
            if (name == "host" or is_remote(name)) and not (kind.host_only and name != "host")
        ]
        if device is None and len(able) > 1 and not kind.needs_device:
            raise UsageError(
                f"which device does the meter {meter} measure? write {meter}@DEVICE, "
                f"with one of {', '.join(able)}"
            )
        wanted = able if device is None else [device]
        if not wanted or not set(wanted) <= set(able):
            where = device or ", ".join(devices)
            raise UsageError(f"the meter {meter} cannot measure {where}")
        for name in wanted:
            found[name].append(meter)
    return found


def around_launches(
    settings: Around, meters: Sequence[PowerMeter], idle_s: float, *, here: bool
) -> Around:
    """What the device does around its launches so that these meters can be read.

    Args:
        settings: what it does without meters.
        meters: of this device.
        idle_s: of rest before and after.
        here: the device is this machine, whose idle stretches this process can wait out.
    """
    marked = any(meter.clock is Clock.METER for meter in meters)
    if not meters or (here and not marked):
        return settings
    every_s = settings.sample_every_s
    if marked and here and not every_s:
        every_s = SAMPLE_EVERY_S  # which also ends a launch whose gaugenn has died
    return replace(settings, idle_s=idle_s, marked=marked, clocked=True, sample_every_s=every_s)


def _with_idle(
    row: TraceRecord, before: tuple[float, float] | None, after: tuple[float, float] | None
) -> TraceRecord:
    # The waits are stamped by this host; a trace on another clock has no idle until it is aligned.
    if row.clock is not Clock.HOST or before is None or after is None:
        return row
    return replace(
        row,
        idle_before_begin_s=before[0],
        idle_before_end_s=before[1],
        idle_after_begin_s=after[0],
        idle_after_end_s=after[1],
    )

"""Meters around the launches of a campaign: idle, the launch, idle again, and the rows of it."""

import time
from collections.abc import Sequence
from dataclasses import replace

from gaugenn.errors import GaugennError, UsageError
from gaugenn.pipeline._failures import as_failure
from gaugenn.power import PowerMeter
from gaugenn.records import Clock, Failure, Run, TraceRecord
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

    Raises:
        UsageError: an idle time out of range.
    """

    def __init__(self, study: Study, meters: Sequence[PowerMeter], idle_s: float) -> None:
        if not 0 <= idle_s <= MAXIMUM_IDLE_S:
            raise UsageError(f"{idle_s} s of idle; expected 0 to {MAXIMUM_IDLE_S:g}")
        self._study, self._meters, self._idle_s = study, meters, idle_s
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

        Raises:
            StorageFullError: no room for a trace.
        """
        if self._idle_s and self._running:
            time.sleep(SETTLE_S)
        idle_after = self._idle()
        rows: list[TraceRecord | Failure] = []
        for meter in self._running:
            try:
                traces = meter.stop()
            except GaugennError as error:
                self._errors.append(error)
                continue
            for trace in traces:
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

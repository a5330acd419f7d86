"""Meters that are read again and again by a thread: files of this machine, or a device's."""

import threading
import time
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from gaugenn.devices import Device
from gaugenn.errors import DeviceError, GaugennError, UsageError
from gaugenn.power import MeterOptions, PowerMeter
from gaugenn.records import Trace

JOIN_S = 30.0
"""How long a reading that hangs is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One rail at one moment.

    Attributes:
        rail: its name.
        value: watts, or a counter's joules.
        t_s: when, on the meter's clock; None for the moment of reading.
        is_counter: the value counts.
    """

    rail: str
    value: float
    t_s: float | None = None
    is_counter: bool = False


class PollingMeter(PowerMeter):
    """Reads all rails at a rate. A subclass says how, and what they are."""

    notes: tuple[str, ...] = ()
    _default_rate_hz = 10.0
    _highest_rate_hz = 1000.0

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        del device
        self._rate_hz = options.number(
            "rate", self._default_rate_hz, low=0.01, high=self._highest_rate_hz
        )
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._samples: list[tuple[float, Sequence[Sample]]] = []
        self._error: GaugennError | None = None
        self._rails: tuple[str, ...] = ()

    @property
    def rails(self) -> tuple[str, ...]:
        """Names, sorted."""
        return self._rails

    @property
    def rate_hz(self) -> float:
        """How often it is read."""
        return self._rate_hz

    @property
    @abstractmethod
    def source(self) -> str:
        """The meter with what distinguishes it from another."""

    @abstractmethod
    def read(self) -> Sequence[Sample]:
        """All rails once.

        Raises:
            DeviceError: the reading failed.
        """

    def __enter__(self) -> Self:
        self._rails = tuple(sorted({sample.rail for sample in self.read()}))
        if not self._rails:
            raise UsageError(f"{self.source} has no rail that can be read")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._halt()

    def start(self) -> None:
        if self._thread is not None:
            raise UsageError(f"{self.source} samples already")
        self._samples, self._error = [], None
        self._stop.clear()
        self._samples.append(self._once())
        self._thread = threading.Thread(target=self._go, name="meter", daemon=True)
        self._thread.start()

    def stop(self) -> tuple[Trace, ...]:
        if self._thread is None:
            raise UsageError(f"{self.source} was not started")
        self._halt()
        if self._error is not None:
            raise self._error
        self._samples.append(self._once())
        return tuple(self._trace(rail) for rail in self._rails)

    def _halt(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stop.set()
        thread.join(JOIN_S)
        if thread.is_alive():
            raise DeviceError(f"{self.source}: a reading did not end within {JOIN_S:g} s")

    def _once(self) -> tuple[float, Sequence[Sample]]:
        before = time.monotonic()
        found = self.read()
        # In the middle of the round trip: as early or late as it can be wrong, no more.
        return (before + time.monotonic()) / 2, found

    def _go(self) -> None:
        begin = time.monotonic()
        tick = 0
        while True:
            tick += 1
            if self._stop.wait(max(0.0, begin + tick / self._rate_hz - time.monotonic())):
                return
            # A late reading is a gap, never a burst that catches up.
            tick = max(tick, int((time.monotonic() - begin) * self._rate_hz))
            try:
                self._samples.append(self._once())
            except GaugennError as error:
                self._error = error
                return

    def _trace(self, rail: str) -> Trace:
        of_rail = [(m, s) for m, samples in self._samples for s in samples if s.rail == rail]
        points = [(moment if s.t_s is None else s.t_s, s.value) for moment, s in of_rail]
        is_counter = any(s.is_counter for _, s in of_rail)
        # A counter with stamps of its own is read more often than it is updated.
        kept = [p for i, p in enumerate(points) if i == 0 or p[0] > points[i - 1][0]]
        t_s, values = np.asarray(kept, dtype=np.float64).reshape(-1, 2).T.copy()
        empty = np.empty(0, dtype=np.float64)
        return Trace(
            rail=rail,
            t_s=t_s,
            watts=empty if is_counter else values,
            joules=values if is_counter else empty,
            source=self.source,
            rate_hz=self._rate_hz,
            clock=self.clock,
            notes=self.notes,
        )

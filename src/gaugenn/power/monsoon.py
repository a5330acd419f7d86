"""Monsoon power monitors (HVPM), by the package `Monsoon` of PyPI: `pip install 'gaugenn[monsoon]'`.

The package finds the meter, sets it and reads packets. Time, lost samples, calibration and errors are
kept here, since its own sampling loop stamps packets by the host's clock and begins anew, without
saying so, after an error of the bus.

Source: https://github.com/msoon/PyMonsoon (layout of packets, scales, order of channels)
"""

import importlib
import sys
import threading
import time
from collections import deque
from contextlib import redirect_stdout
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gaugenn.devices import Device
from gaugenn.errors import DeviceError, MissingToolError, UsageError
from gaugenn.power import MeterOptions, PowerMeter
from gaugenn.records import Clock, Trace
from gaugenn.records._energy import MAXIMUM_SAMPLES, Reals

RATE_HZ = 5000.0
"""Samples in a second of every model."""
PACKET_BYTES = 64
SAMPLES_PER_PACKET = 3
_HEADER_BYTES = 4
_SAMPLE_BYTES = 18
_COUNTER_RANGE = 1 << 16
MAXIMUM_LOST_SHARE = 1e-3
"""More lost samples than that make a trace that gives no energy."""
FINE_LIMIT = 64_000
"""The fine range's reading from which the coarse one stands."""
VOLTS_PER_STEP = 62.5e-6 * 4
"""Of the main channel."""
KEPT_CALIBRATIONS = 5
_KIND_BITS = 0x30
_MEASUREMENT, _ZERO, _REFERENCE = 0x00, 0x10, 0x30
_WARM_UP_S = 10.0
_JOIN_S = 5.0


class _Status(Protocol):
    mainFineScale: float  # noqa: N815 - the package's names
    mainCoarseScale: float  # noqa: N815
    mainFineZeroOffset: float  # noqa: N815
    mainCoarseZeroOffset: float  # noqa: N815
    firmwareVersion: int  # noqa: N815
    serialNumber: int  # noqa: N815


class Decoder:
    """Packets into power, with the number of each sample.

    Pure: it knows no bus. Samples carry numbers from 0; a number that the meter says it dropped is
    left out, and so is one that was a calibration, which takes the place of a measurement.
    """

    def __init__(self, status: _Status) -> None:
        self._fine = (status.mainFineScale / 1000, status.mainFineZeroOffset)
        self._coarse = (status.mainCoarseScale, status.mainCoarseZeroOffset)
        self._zero: deque[tuple[int, int]] = deque(maxlen=KEPT_CALIBRATIONS)
        self._reference: deque[tuple[int, int]] = deque(maxlen=KEPT_CALIBRATIONS)
        self._dropped: int | None = None
        self._next = 0
        self.lost = 0
        self.numbers: list[npt.NDArray[np.int64]] = []
        self.watts: list[Reals] = []

    @property
    def is_calibrated(self) -> bool:
        """Whether zero and reference were seen often enough."""
        return len(self._zero) == len(self._reference) == KEPT_CALIBRATIONS

    def add(self, packet: bytes) -> None:
        """Takes one packet in.

        Raises:
            DeviceError: it is none.
        """
        if len(packet) != PACKET_BYTES or packet[3] > SAMPLES_PER_PACKET:
            raise DeviceError(f"monsoon: a packet of {len(packet)} bytes is not understood")
        dropped = int.from_bytes(packet[:2], "little")
        if self._dropped is not None:
            gap = (dropped - self._dropped) % _COUNTER_RANGE
            self.lost += gap
            self._next += gap
        self._dropped = dropped
        count = packet[3]
        words = np.frombuffer(packet, ">u2", count * _SAMPLE_BYTES // 2, _HEADER_BYTES)
        samples = words.reshape(count, _SAMPLE_BYTES // 2).astype(np.float64)
        kinds = words.reshape(count, _SAMPLE_BYTES // 2)[:, 8] & _KIND_BITS
        for sample, kind in zip(samples, kinds, strict=True):
            if kind == _ZERO:
                self._zero.append((int(sample[0]), int(sample[1])))
            elif kind == _REFERENCE:
                self._reference.append((int(sample[0]), int(sample[1])))
        measured = kinds == _MEASUREMENT
        if self.is_calibrated and measured.any():
            self.numbers.append(self._next + np.flatnonzero(measured))
            self.watts.append(self._power(samples[measured]))
        self._next += count

    def _power(self, samples: Reals) -> Reals:
        """Main current (in mA, of the fine range while that is not at its end) times voltage."""
        zeros = np.mean(self._zero, axis=0)
        references = np.mean(self._reference, axis=0)
        currents = []
        for column, (scale, offset) in enumerate((self._coarse, self._fine)):
            zero = offset + zeros[column]
            span = references[column] - zero
            currents.append((samples[:, column] - zero) * (scale / span if span else 0.0))
        milliamperes = np.where(samples[:, 1] < FINE_LIMIT, currents[1], currents[0])
        watts: Reals = milliamperes * 1e-3 * samples[:, 6] * VOLTS_PER_STEP
        return watts


class MonsoonMeter(PowerMeter):
    """The main channel, which supplies the device in place of its battery.

    Options: `voltage` in volts (that of the battery); `current_limit` in amperes; `serial`.
    The output is switched off when the meter is let go of, however that comes about.
    """

    clock = Clock.METER

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        del device
        self._volts = options.number("voltage", 3.85, low=0.8, high=13.5)
        self._amperes = options.number("current_limit", 4.0, low=0.1, high=15.0)
        self._serial = options.text("serial", "")
        self._meter: Any = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._calibrated = threading.Event()
        self._decoder: Decoder | None = None
        self._error: DeviceError | None = None

    @property
    def rails(self) -> tuple[str, ...]:
        """The main channel."""
        return ("main",)

    @property
    def rate_hz(self) -> float:
        """Fixed."""
        return RATE_HZ

    def __enter__(self) -> "MonsoonMeter":
        try:
            package = importlib.import_module("Monsoon.HVPM")
            protocol = importlib.import_module("Monsoon.pmapi").USB_protocol()
        except ImportError as error:
            raise MissingToolError(
                "the meter monsoon", "the package Monsoon", "pip install 'gaugenn[monsoon]'"
            ) from error
        try:
            # The package reports by printing; that must not end up in a result.
            with redirect_stdout(sys.stderr):
                self._set_up(package.Monsoon(), protocol)
        except (OSError, ValueError) as error:
            raise DeviceError(f"monsoon: {error}") from error
        return self

    def _set_up(self, meter: Any, protocol: Any) -> None:  # noqa: ANN401 - the package has no types
        done = False
        try:
            meter.setup_usb(int(self._serial) if self._serial else None, protocol)
            if protocol.DEVICE is None:
                raise UsageError(
                    "there is no Monsoon on the USB, or it may not be opened (udev rule)"
                )
            self._meter = meter
            meter.stopSampling()
            meter.setUSBPassthroughMode(0)
            meter.setPowerUpCurrentLimit(self._amperes)
            meter.setRunTimeCurrentLimit(self._amperes)
            meter.setVout(self._volts)
            done = True
        finally:
            if not done:
                self._off()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._halt()
        finally:
            self._off()

    def start(self) -> None:
        if self._meter is None or self._thread is not None:
            raise UsageError("monsoon: enter the meter first, and start it once")
        try:
            self._meter.StartSampling()
        except (OSError, ValueError) as error:
            raise DeviceError(f"monsoon: {error}") from error
        self._decoder, self._error = Decoder(self._meter.statusPacket), None
        self._stop.clear()
        self._calibrated.clear()
        self._thread = threading.Thread(target=self._go, name="monsoon", daemon=True)
        self._thread.start()
        if not self._calibrated.wait(_WARM_UP_S) or self._error is not None:
            self._halt()
            raise self._error or DeviceError("monsoon: no calibration within 10 s")

    def stop(self) -> tuple[Trace, ...]:
        if self._thread is None or self._decoder is None:
            raise UsageError("monsoon: it was not started")
        self._halt()
        if self._error is not None:
            raise self._error
        decoder = self._decoder
        numbers = np.concatenate(decoder.numbers or [np.empty(0, np.int64)])
        watts = np.concatenate(decoder.watts or [np.empty(0, np.float64)])
        lossy = decoder.lost > MAXIMUM_LOST_SHARE * max(1, watts.size + decoder.lost)
        status = self._meter.statusPacket
        return (
            Trace(
                rail="main",
                t_s=numbers / RATE_HZ,
                watts=watts,
                source=f"monsoon {status.serialNumber}",
                rate_hz=RATE_HZ,
                clock=Clock.METER,
                lost_samples=decoder.lost,
                notes=(f"firmware {status.firmwareVersion}", *(("lossy",) if lossy else ())),
            ),
        )

    def _go(self) -> None:
        decoder = self._decoder
        assert decoder is not None  # noqa: S101 - made by `start`
        taken = 0
        while not self._stop.is_set():
            try:
                data = bytes(self._meter.BulkRead())
                # Never read on after an error: what the meter did meanwhile is not known.
                for at in range(0, len(data) - len(data) % PACKET_BYTES, PACKET_BYTES):
                    decoder.add(data[at : at + PACKET_BYTES])
                    taken += SAMPLES_PER_PACKET
                if taken > MAXIMUM_SAMPLES:
                    raise DeviceError(f"monsoon: more than {MAXIMUM_SAMPLES} samples")
            except OSError as error:
                self._error = DeviceError(f"monsoon: the bus failed while it sampled: {error}")
            except DeviceError as error:
                self._error = error
            if decoder.is_calibrated or self._error is not None:
                self._calibrated.set()
            if self._error is not None:
                return

    def _halt(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stop.set()
        thread.join(_JOIN_S)
        try:
            self._meter.stopSampling()
        except (OSError, ValueError) as error:
            self._error = self._error or DeviceError(f"monsoon: {error}")

    def _off(self) -> None:
        meter, self._meter = self._meter, None
        if meter is None:
            return
        for attempt in range(3):
            try:
                meter.stopSampling()
                meter.setVout(0)
                meter.closeDevice()
            except (OSError, ValueError) as error:
                if attempt == 2:
                    raise DeviceError(
                        f"monsoon: the output could NOT be switched off, do it by hand: {error}"
                    ) from error
                time.sleep(0.1)
            else:
                return

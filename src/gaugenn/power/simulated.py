"""A meter with known truth: a waveform of power, with the faults that real meters have."""

import time
from types import TracebackType

import numpy as np

from gaugenn.devices import Device
from gaugenn.errors import UsageError
from gaugenn.power import MeterOptions, PowerMeter
from gaugenn.records import Trace
from gaugenn.records._energy import Reals

SHAPES = ("constant", "square", "sine", "ramp")


class SimulatedMeter(PowerMeter):
    """Samples a waveform between start and stop, without waiting for it.

    Options: `shape` (constant, square, sine, ramp), `low` and `high` in watts, `period` in s, `rate` in
    Hz, `noise` (standard deviation in watts), `lost` (share of samples), `seed`.
    """

    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        del device
        self._shape = options.text("shape", "constant")
        if self._shape not in SHAPES:
            raise UsageError(f"no waveform {self._shape!r}; there are: {', '.join(SHAPES)}")
        self._low = options.number("low", 1.0, low=0, high=1e4)
        self._high = options.number("high", 3.0, low=0, high=1e4)
        self._period_s = options.number("period", 1.0, low=1e-4, high=1e6)
        self._rate_hz = options.number("rate", 1000.0, low=0.1, high=1e5)
        self._noise = options.number("noise", 0.0, low=0, high=1e4)
        self._lost = options.number("lost", 0.0, low=0, high=0.9)
        self._seed = int(options.number("seed", 0, low=0, high=2**31))
        self._begin_s: float | None = None

    @property
    def rails(self) -> tuple[str, ...]:
        """One."""
        return ("simulated",)

    @property
    def rate_hz(self) -> float:
        """As asked for."""
        return self._rate_hz

    def start(self) -> None:
        if self._begin_s is not None:
            raise UsageError("the simulated meter samples already")
        self._begin_s = time.monotonic()

    def stop(self) -> tuple[Trace, ...]:
        if self._begin_s is None:
            raise UsageError("the simulated meter was not started")
        begin_s, self._begin_s = self._begin_s, None
        return (self.trace(begin_s, time.monotonic()),)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._begin_s = None

    def watts(self, t_s: Reals) -> Reals:
        """The true power at moments after the start."""
        phase = np.mod(t_s / self._period_s, 1.0)
        if self._shape == "square":
            share = (phase < 0.5).astype(np.float64)
        elif self._shape == "sine":
            share = 0.5 - 0.5 * np.cos(2 * np.pi * phase)
        elif self._shape == "ramp":
            share = phase
        else:
            return np.full(t_s.shape, self._high)
        return self._low + (self._high - self._low) * share

    def trace(self, begin_s: float, end_s: float) -> Trace:
        """What it would measure from one moment of the host's monotonic clock to another."""
        count = int((end_s - begin_s) * self._rate_hz) + 1
        t_s = np.arange(count, dtype=np.float64) / self._rate_hz
        watts = self.watts(t_s)
        random = np.random.default_rng(self._seed)
        if self._noise:
            watts = watts + random.normal(0.0, self._noise, count)
        keep = random.random(count) >= self._lost
        return Trace(
            rail="simulated",
            t_s=begin_s + t_s[keep],
            watts=watts[keep],
            source=f"simulated {self._shape}",
            rate_hz=self._rate_hz,
            lost_samples=int(count - keep.sum()),
        )

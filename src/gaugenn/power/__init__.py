"""Meters of power and energy: one file a meter.

A meter is named with its options: `rapl`, `replay:file=trace.csv`, `hwmon:rate=20,root=/`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import ClassVar, Self

from gaugenn import plugins
from gaugenn.devices import Device
from gaugenn.errors import UsageError
from gaugenn.records import Clock, Trace

_LONGEST_TEXT = 4096


class MeterOptions:
    """Options of a meter as text; what is left unread at the end is refused."""

    def __init__(self, meter: str, values: Mapping[str, str]) -> None:
        self._meter = meter
        self._values = dict(values)
        self._read: set[str] = set()

    def text(self, key: str, default: str | None = None) -> str:
        """A text.

        Raises:
            UsageError: it is not given and has no default.
        """
        self._read.add(key)
        if key in self._values:
            return self._values[key]
        if default is None:
            raise UsageError(f"the meter {self._meter} needs {key}; write {self._meter}:{key}=...")
        return default

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """A number from `low` to `high`.

        Raises:
            UsageError: it is none, or out of range.
        """
        text = self.text(key, repr(default))
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise UsageError(
                f"the meter {self._meter} has {key}={text}; expected a number from {low:g} to {high:g}"
            )
        return value

    def finish(self) -> None:
        """Refuses options that the meter does not have.

        Raises:
            UsageError: which, and what there is.
        """
        odd = sorted(self._values.keys() - self._read)
        if odd:
            raise UsageError(
                f"the meter {self._meter} has no option {', '.join(odd)}; "
                f"there are: {', '.join(sorted(self._read)) or 'none'}"
            )


class PowerMeter(ABC):
    """Measures power on rails. A context manager: entering takes hold of the meter.

    Attributes:
        needs_device: it reads through the device that is measured, and so needs one.
        host_only: it measures the machine that gaugenn runs on, and no other.
        clock: what stamps its samples.
    """

    needs_device: ClassVar[bool] = False
    host_only: ClassVar[bool] = False
    clock: ClassVar[Clock] = Clock.HOST

    @abstractmethod
    def __init__(self, options: MeterOptions, device: Device | None) -> None:
        """Reads the options and touches nothing yet.

        Raises:
            UsageError: an option cannot be used, or the meter needs a device and there is none.
        """

    @property
    @abstractmethod
    def rails(self) -> tuple[str, ...]:
        """What it measures; known once it was entered."""

    @property
    @abstractmethod
    def rate_hz(self) -> float:
        """Nominal samples in a second."""

    @abstractmethod
    def start(self) -> None:
        """Begins to sample.

        Raises:
            DeviceError: the meter does not answer.
            UsageError: it samples already.
        """

    @abstractmethod
    def stop(self) -> tuple[Trace, ...]:
        """Ends sampling.

        Returns:
            A trace for each rail.

        Raises:
            DeviceError: the meter was lost meanwhile.
            UsageError: it was not started.
        """

    def __enter__(self) -> Self:
        """Takes hold of the meter.

        Raises:
            DeviceError: it does not answer.
            UsageError: there is none here; the message says what was looked for.
        """
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Lets go of the meter; ends sampling without a trace where it still samples."""


def open_meter(text: str, device: Device | None = None) -> PowerMeter:
    """A meter by the name that a user gives; enter it to take hold of it.

    Args:
        text: `NAME` or `NAME:KEY=VALUE,KEY=VALUE`.
        device: what is measured; for meters that read through it.

    Raises:
        UsageError: there is no such meter, or it has no such option.
    """
    if len(text) > _LONGEST_TEXT:
        raise UsageError(f"a meter's name of {len(text)} characters; at most {_LONGEST_TEXT}")
    name, _, rest = text.partition(":")
    kind = meter_kind(text)
    options = MeterOptions(name, dict(_pairs(name, rest)))
    if kind.needs_device and device is None:
        raise UsageError(f"the meter {name} reads through the device that is measured; name one")
    meter = kind(options, device)
    options.finish()
    return meter


def meter_kind(text: str) -> type[PowerMeter]:
    """What kind of meter a name stands for.

    Raises:
        UsageError: there is no such meter.
    """
    return plugins.load("gaugenn.power", text.partition(":")[0], PowerMeter)  # type: ignore[type-abstract]


def _pairs(name: str, text: str) -> Iterator[tuple[str, str]]:
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{item!r} is no option of the meter {name}; write it like key=value")
        yield key.strip(), value.strip()

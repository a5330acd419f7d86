"""Before each launch of a campaign: waits until the device is as cool as when the campaign began."""

from dataclasses import dataclass

from gaugenn.analysis.thermal_gate import Decision, Temperatures, ThermalRule, thermal_gate
from gaugenn.devices import Device
from gaugenn.errors import DeviceError
from gaugenn.records import ThermalStart

POLL_S = 5.0
"""Between two looks at the sensors."""
_KEYS = ("temperature_c", "battery_temperature_c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """How a launch passed the gate.

    Attributes:
        start: cool, hot, or nobody knows.
        reason: what that rests on.
        waited_s: on the device's clock.
    """

    start: ThermalStart
    reason: str
    waited_s: float


class Gate:
    """The gate of one device for one campaign.

    The first look at the sensors is the start that later launches wait to get back to.

    Args:
        rule: when to launch.
    """

    def __init__(self, rule: ThermalRule) -> None:
        self._rule = rule
        self._start: dict[str, float] | None = None

    def wait(self, device: Device) -> Passed:
        """Waits for the next launch.

        Raises:
            DeviceError: the link was lost, or the device stays above the limit.
        """
        begin_s = device.now_s()
        history: list[Temperatures] = []
        while True:
            history.append(Temperatures(t_s=device.now_s(), celsius=temperatures(device)))
            if self._start is None:
                self._start = dict(history[0].celsius)
            waited_s = history[-1].t_s - begin_s
            gate = thermal_gate(self._start, history, self._rule)
            if gate.decision in (Decision.GO, Decision.GO_MARKED):
                start = ThermalStart.COOL if history[-1].celsius else ThermalStart.NO_SENSOR
                if gate.decision is Decision.GO_MARKED:
                    start = ThermalStart.HOT
                return Passed(start=start, reason=gate.reason, waited_s=waited_s)
            if gate.decision is Decision.STOP and waited_s >= self._rule.patience_s:
                raise DeviceError(f"too hot to launch anything: {gate.reason} for {waited_s:.0f} s")
            device.rest(POLL_S)


def temperatures(device: Device) -> dict[str, float]:
    """Every sensor of a device, in degrees Celsius; the battery's under the name `battery`.

    Raises:
        DeviceError: the link was lost.
    """
    return {
        reading.instance or "battery": reading.number
        for reading in device.conditions()
        if reading.key in _KEYS and reading.number is not None
    }

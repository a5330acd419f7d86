"""Back to the start and flat, or marked; too hot is never launched."""

from collections.abc import Callable

import pytest

from gaugenn.analysis.thermal_gate import Decision, Temperatures, ThermalRule, thermal_gate
from gaugenn.errors import UsageError

START = {"cpu": 40.0, "battery": 30.0}
RULE = ThermalRule(margin_c=2, flat_c_per_minute=1, flat_s=20, patience_s=120, kill_c=90)


def readings(cpu: Callable[[float], float], seconds: int) -> list[Temperatures]:
    return [
        Temperatures(t_s=1000.0 + t, celsius={"cpu": cpu(t), "battery": 30.0})
        for t in range(0, seconds + 1, 5)
    ]


@pytest.mark.parametrize(
    ("cpu", "seconds", "decision", "reason"),
    [
        (lambda _: 41.0, 30, Decision.GO, "back to the start"),
        (lambda _: 43.0, 30, Decision.WAIT, "cpu is 3.0 C above"),
        (lambda t: 41.0 - 0.05 * t, 30, Decision.WAIT, "cpu changes by -3.0 C/min"),
        (lambda _: 41.0, 15, Decision.WAIT, "less than 20 s"),
        (lambda _: 43.0, 120, Decision.GO_MARKED, "above its start after 120 s"),
        (lambda _: 91.0, 0, Decision.STOP, "above 90 C"),
        (lambda _: 91.0, 200, Decision.STOP, "above 90 C"),
    ],
)
def test_the_gate_decides(
    cpu: Callable[[float], float], seconds: int, decision: Decision, reason: str
) -> None:
    found = thermal_gate(START, readings(cpu, seconds), RULE)
    assert found.decision is decision
    assert reason in found.reason


def test_a_device_without_sensors_is_launched_and_says_so() -> None:
    found = thermal_gate({}, [Temperatures(t_s=0, celsius={})], RULE)
    assert (found.decision, found.reason) == (Decision.GO, "no sensor tells a temperature")


def test_a_sensor_that_was_not_there_at_the_start_still_stops_the_device() -> None:
    found = thermal_gate(START, [Temperatures(t_s=0, celsius={"skin": 99.0})], RULE)
    assert (found.decision, found.sensor) == (Decision.STOP, "skin")


def test_bad_readings_and_rules_are_refused() -> None:
    with pytest.raises(UsageError, match="no temperature was read"):
        thermal_gate(START, [], RULE)
    with pytest.raises(UsageError, match="order of their time"):
        thermal_gate(START, list(reversed(readings(lambda _: 41.0, 30))), RULE)
    with pytest.raises(UsageError, match="patience_s is 0"):
        ThermalRule(patience_s=0)

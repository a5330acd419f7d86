"""Threads on the biggest cores, whatever a device calls them."""

import dataclasses

import pytest
from tests.bench.test_campaign import Scripted

from gaugenn.bench.placement import Placement, affinity, cores_by_size, parse_placement
from gaugenn.errors import UsageError
from gaugenn.records import Environment, Reading


def phone(cores: int, *readings: Reading) -> Environment:
    return dataclasses.replace(Scripted().info(), logical_cores=cores, readings=readings)


def capacity(*values: int) -> tuple[Reading, ...]:
    return tuple(
        Reading(key="core_capacity", instance=f"cpu{n}", number=v) for n, v in enumerate(values)
    )


BIG_LITTLE = phone(8, *capacity(250, 250, 250, 250, 700, 700, 700, 1024))


@pytest.mark.parametrize(
    ("notation", "expected"),
    [
        ("1", Placement(threads=1)),
        (" 4 ", Placement(threads=4)),
        ("4a2", Placement(threads=4, cores=2)),
    ],
)
def test_the_notation(notation: str, expected: Placement) -> None:
    assert parse_placement(notation) == expected


@pytest.mark.parametrize("notation", ["", "0", "4a", "a2", "4a0", "4 2", "-1", "1" * 5000, "٤"])
def test_what_is_no_notation_is_a_usage_error(notation: str) -> None:
    with pytest.raises(UsageError, match="like 4a2"):
        parse_placement(notation)


@pytest.mark.parametrize(
    ("notation", "cpus"), [("4", ""), ("1a1", "7"), ("4a2", "4,7"), ("4a5", "0,4,5,6,7")]
)
def test_the_biggest_cores_are_taken(notation: str, cpus: str) -> None:
    assert affinity(parse_placement(notation), BIG_LITTLE) == cpus


def test_frequencies_stand_in_where_capacities_are_not_told() -> None:
    readings = tuple(
        Reading(key="core_maximum_frequency_hz", instance=f"cpu{n}", number=hertz)
        for n, hertz in enumerate((2e9, 3e9, 2e9))
    )
    assert cores_by_size(phone(3, *readings)) == (1, 0, 2)


def test_cores_that_are_not_described_are_taken_in_their_order() -> None:
    assert affinity(parse_placement("2a2"), phone(4)) == "0,1"


def test_the_second_cpu_of_a_physical_core_comes_last() -> None:
    siblings = tuple(
        Reading(key="core_siblings", instance=f"cpu{n}", text=text)
        for n, text in enumerate(("0-1", "0-1", "2,4", "3", "2,4"))
    )
    assert cores_by_size(phone(5, *siblings)) == (0, 2, 3, 1, 4)


def test_more_cores_than_there_are_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="2a9: scripted has 8 cores"):
        affinity(parse_placement("2a9"), BIG_LITTLE)

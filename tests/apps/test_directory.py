"""The list of a zip's members costs little memory, however many there are."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from gaugenn.apps.directory import Directory
from gaugenn.apps.limits import Account, Limits

Make = Callable[..., bytes]
Parts = Any
MANY = 20_000  # more than are held as objects


@pytest.fixture(scope="module")
def many(make_zip: Make, part: Parts) -> bytes:
    names = [b"assets/%d.bin" % (i % (MANY - 1)) for i in range(MANY)]  # the last is a duplicate
    return make_zip([part(name=name, data=name, deflated=False) for name in names])


def _directory(data: bytes, **limits: int) -> Directory:
    return Directory(memoryview(data), Account(limits=Limits(**limits)))


@pytest.mark.parametrize("cut", [False, True], ids=["central", "local"])
def test_a_large_directory_gives_the_same_entries_by_order_number_and_name(
    many: bytes, cut: bool
) -> None:
    directory = _directory(many[: many.index(b"PK\x01\x02")] if cut else many)
    entries = list(directory)
    assert len(directory) == len(entries) == MANY
    assert [entry.name for entry in entries[:2]] == ["assets/0.bin", "assets/1.bin"]
    assert directory[7] == entries[7]
    assert directory[-1] == entries[-1]
    assert directory[3:5] == entries[3:5]
    assert directory.find("assets/19.bin") == entries[19]
    assert directory.find("assets/0.bin") == entries[0]
    assert directory.find("nothing") is None
    assert "duplicate-names" in directory.account.notes


def test_a_large_directory_takes_tens_of_bytes_a_member(many: bytes) -> None:
    _directory(many)
    tracemalloc.start()
    directory = _directory(many)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(directory) == MANY
    assert held < 32 * MANY
    assert peak < 80 * MANY


def test_the_members_that_a_package_may_have_follow_from_its_size() -> None:
    limits = Limits(members=1000, members_free=10, bytes_per_member=64)
    assert Account(limits=limits).room == 1000
    assert Account(limits=limits, size_bytes=640).room == 20
    assert Account(limits=limits, size_bytes=1 << 30).room == 1000
    assert Account(limits=limits, size_bytes=640, members=30).room == 0

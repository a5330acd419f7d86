"""Every trick a package can play with its zip, and the limits that hold."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.apps.archive import Archive, is_zip
from gaugenn.apps.limits import Account, Limits
from gaugenn.errors import LimitError, PackageError

TEXT = b"model bytes, model bytes, model bytes " * 40
NOISE = np.random.default_rng(1).bytes(3000)


def _open(data: bytes, **limits: int) -> Archive:
    return Archive(memoryview(data), Account(limits=Limits(**limits)))


def _all(archive: Archive) -> dict[str, bytes]:
    return {entry.name: bytes(archive.read(entry)) for entry in archive.entries}


Make = Callable[..., bytes]
Parts = Any  # the Part class of conftest


def test_stored_and_deflated_members_are_read(make_zip: Make, part: Parts) -> None:
    data = make_zip([part(name=b"a", data=TEXT), part(name=b"b", data=NOISE, deflated=False)])
    archive = _open(data)
    assert _all(archive) == {"a": TEXT, "b": NOISE}
    assert archive.account.notes == {}


def test_a_stored_member_is_a_view_and_not_a_copy(make_zip: Make, part: Parts) -> None:
    data = memoryview(make_zip([part(name=b"a", data=NOISE, deflated=False)]))
    archive = Archive(data)
    assert archive.read(archive.entries[0]).obj is data.obj


def test_an_encryption_flag_over_plain_data_is_ignored(make_zip: Make, part: Parts) -> None:
    archive = _open(make_zip([part(name=b"a", data=TEXT, flags=1)]))
    assert _all(archive) == {"a": TEXT}
    assert "fake-encryption-flag" in archive.account.notes


def test_really_encrypted_data_says_so(make_zip: Make, part: Parts) -> None:
    sealed = part(name=b"a", data=NOISE, deflated=False, flags=1, crc=zlib.crc32(TEXT))
    archive = _open(make_zip([sealed, part(name=b"b", data=TEXT)]))
    with pytest.raises(PackageError, match="a: encrypted"):
        archive.read(archive.entries[0])
    assert bytes(archive.read(archive.entries[1])) == TEXT


def test_a_member_before_the_start_of_a_beheaded_archive_is_unreadable(
    make_zip: Make, part: Parts
) -> None:
    whole = make_zip([part(name=b"a", data=TEXT, zip64=True), part(name=b"b", data=TEXT)])
    archive = _open(whole[10:])
    lost, kept = archive.entries
    for read in (lambda: archive.read(lost), lambda: archive.head(lost, 16)):
        with pytest.raises(PackageError, match="local header at -10"):
            read()
    assert bytes(archive.read(kept)) == TEXT


def test_recovered_headers_whose_names_overlap_cost_no_more_than_the_file() -> None:
    header = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 1 << 31, 0, 60_000, 0)
    data = header * 10_000 + bytes(60_000)
    archive = _open(data)
    assert sum(len(entry.name) for entry in archive.entries) <= 4 * len(data)
    assert "limit-members" in archive.account.notes


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("method", [1, 12, 99, 0x4141])
def test_an_unknown_compression_method_is_decided_by_the_crc(
    make_zip: Make, part: Parts, deflated: bool, method: int
) -> None:
    archive = _open(make_zip([part(name=b"a", data=TEXT, deflated=deflated, method=method)]))
    assert archive.head(archive.entries[0], 10) == TEXT[:10]
    assert _all(archive) == {"a": TEXT}
    assert "odd-compression-method" in archive.account.notes


@pytest.mark.parametrize(("central", "local"), [(0, 8), (8, 0)])
@pytest.mark.parametrize("deflated", [True, False])
def test_central_and_local_methods_that_disagree_are_both_tried(
    make_zip: Make, part: Parts, central: int, local: int, deflated: bool
) -> None:
    odd = part(name=b"a", data=TEXT, deflated=deflated, method=central, local_method=local)
    assert _all(_open(make_zip([odd]))) == {"a": TEXT}


def test_a_wrong_size_in_the_directory_falls_back_to_the_local_one(
    make_zip: Make, part: Parts
) -> None:
    for size in (1, len(TEXT) + 5):
        assert _all(_open(make_zip([part(name=b"a", data=TEXT, size=size)]))) == {"a": TEXT}


def test_a_wrong_crc_is_an_error_of_that_member_alone(make_zip: Make, part: Parts) -> None:
    archive = _open(make_zip([part(name=b"a", data=TEXT, crc=5), part(name=b"b", data=TEXT)]))
    with pytest.raises(PackageError, match=r"a: cannot be read: CRC is .*, the directory says"):
        archive.read(archive.entries[0])
    assert bytes(archive.read(archive.entries[1])) == TEXT


def test_a_truncated_directory_keeps_its_readable_part_and_recovers_the_rest(
    make_zip: Make, part: Parts
) -> None:
    data = make_zip([part(name=name, data=TEXT) for name in (b"a", b"b", b"c")])
    start = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", start + 1)
    cut = data[: second + 20] + data[data.index(b"PK\x05\x06") :]
    archive = _open(cut)
    assert _all(archive) == {"a": TEXT, "b": TEXT, "c": TEXT}
    assert list(archive.account.notes) == [
        "central-directory-truncated",
        "recovered-from-local-headers",
    ]


def test_garbage_between_directory_and_end_does_not_matter(make_zip: Make, part: Parts) -> None:
    assert _all(_open(make_zip([part(name=b"a", data=TEXT)], gap=b"x" * 77))) == {"a": TEXT}


@pytest.mark.parametrize("prefix", [b"\0\0", b"#!/bin/sh\nexec\n", NOISE])
def test_bytes_before_the_archive_shift_every_offset(
    make_zip: Make, part: Parts, prefix: bytes
) -> None:
    archive = _open(make_zip([part(name=b"a", data=TEXT)], prefix=prefix))
    assert _all(archive) == {"a": TEXT}
    assert "prefixed-bytes" in archive.account.notes


@pytest.mark.parametrize("descriptor", [False, True])
@pytest.mark.parametrize("deflated", [False, True])
def test_without_a_directory_members_are_found_by_their_local_headers(
    make_zip: Make, part: Parts, descriptor: bool, deflated: bool
) -> None:
    parts = [
        part(name=name, data=TEXT, descriptor=descriptor, deflated=deflated)
        for name in (b"a", b"b")
    ]
    data = make_zip(parts, end=False)
    archive = _open(data[: data.index(b"PK\x01\x02")])
    assert _all(archive) == {"a": TEXT, "b": TEXT}
    assert list(archive.account.notes) == ["recovered-from-local-headers"]


def test_a_cut_member_is_listed_and_its_error_says_the_package_is_cut(
    make_zip: Make, part: Parts
) -> None:
    data = make_zip([part(name=b"a", data=TEXT), part(name=b"b", data=NOISE)], end=False)
    archive = _open(data[: data.index(b"PK\x01\x02") - 100])
    assert [entry.name for entry in archive.entries] == ["a", "b"]
    assert bytes(archive.read(archive.entries[0])) == TEXT
    with pytest.raises(PackageError, match=r"b: cannot be read: data ends at .* cut off"):
        archive.read(archive.entries[1])
    assert archive.head(archive.entries[1], 64) == NOISE[:64]


def test_the_longest_comment_and_false_ends_in_it_are_seen_through(
    make_zip: Make, part: Parts
) -> None:
    false_end = b"PK\x05\x06" + b"\0" * 18
    comment = (false_end * 3000)[:65535]
    assert _all(_open(make_zip([part(name=b"a", data=TEXT)], comment=comment))) == {"a": TEXT}


def test_of_two_ends_that_both_fit_the_last_counts_as_on_android(
    make_zip: Make, part: Parts
) -> None:
    shown = make_zip([part(name=b"shown", data=TEXT)])
    hidden = make_zip([part(name=b"hidden", data=TEXT)], comment=shown)
    assert _all(_open(hidden)) == {"shown": TEXT}
    empty = make_zip([part(name=b"members", data=TEXT)], comment=make_zip([]))
    assert _all(_open(empty)) == {"members": TEXT}


def test_duplicate_names_are_both_kept(make_zip: Make, part: Parts) -> None:
    archive = _open(make_zip([part(name=b"a", data=TEXT), part(name=b"a", data=NOISE)]))
    assert [bytes(archive.read(entry)) for entry in archive.entries] == [TEXT, NOISE]
    assert "duplicate-names" in archive.account.notes
    first = archive.find("a")
    assert first is not None
    assert bytes(archive.read(first)) == TEXT


def test_zip64_sizes_offsets_and_ends_are_read(make_zip: Make, part: Parts) -> None:
    for wide_end in (False, True):
        data = make_zip(
            [part(name=b"a", data=TEXT, zip64=True), part(name=b"b", data=NOISE)],
            zip64_end=wide_end,
        )
        assert _all(_open(data)) == {"a": TEXT, "b": NOISE}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a\rb", "a\\rb"),
        (b"a\0b", "a\\x00b"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        ("模型.tflite".encode(), "模型.tflite"),
        (b"caf\x82", "café"),
        (b"../../etc/passwd", "../../etc/passwd"),
        (b"/absolute", "/absolute"),
    ],
)
def test_names_are_text_and_control_characters_are_escaped(
    make_zip: Make, part: Parts, name: bytes, shown: str
) -> None:
    assert _all(_open(make_zip([part(name=name, data=TEXT)]))) == {shown: TEXT}


def test_a_local_header_longer_than_the_central_one_moves_the_data(
    make_zip: Make, part: Parts
) -> None:
    padded = part(name=b"a", data=TEXT, deflated=False, local_extra=b"\0" * 61)
    assert _all(_open(make_zip([padded]))) == {"a": TEXT}


def test_an_empty_zip_has_no_members_and_a_note(make_zip: Make) -> None:
    archive = _open(make_zip([]))
    assert not archive.entries
    assert "empty" in archive.account.notes


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 5000, b"PK\x05\x06", b"PK\x03\x04" * 9])
def test_what_is_no_zip_is_a_package_error(data: bytes) -> None:
    with pytest.raises(PackageError, match="expected a zip archive"):
        _open(data)


def test_a_bomb_is_refused_and_the_rest_goes_on(make_zip: Make, part: Parts) -> None:
    bomb = part(name=b"bomb", data=bytes(1_000_000))
    archive = _open(make_zip([bomb, part(name=b"b", data=TEXT)]), ratio_free_bytes=10_000)
    with pytest.raises(LimitError, match=r"bomb: 1000000 bytes out of .* over 200 to 1"):
        archive.read(archive.entries[0])
    assert archive.head(archive.entries[0], 8) == bytes(8)
    assert bytes(archive.read(archive.entries[1])) == TEXT
    assert "limit-ratio" in archive.account.notes


def test_a_bomb_that_understates_its_size_is_stopped_while_it_inflates(
    make_zip: Make, part: Parts
) -> None:
    bomb = part(name=b"bomb", data=bytes(1 << 24), size=10, local_size=10)
    archive = _open(make_zip([bomb]), ratio_free_bytes=10_000)
    with pytest.raises(LimitError, match="a bomb"):
        archive.read(archive.entries[0])


def test_a_bomb_in_a_package_without_directory_is_stopped_while_it_is_measured(
    make_zip: Make, part: Parts
) -> None:
    bomb = part(name=b"bomb", data=bytes(1 << 24), descriptor=True)
    data = make_zip([part(name=b"a", data=TEXT), bomb], end=False)
    archive = _open(data[: data.index(b"PK\x01\x02")], ratio_free_bytes=10_000)
    assert _all(archive) == {"a": TEXT}
    assert archive.account.inflated_bytes < 1 << 23


def test_a_member_that_claims_a_huge_size_costs_no_memory(make_zip: Make, part: Parts) -> None:
    liar = part(name=b"a", data=TEXT, size=0xFFFFFFF0, local_size=0xFFFFFFF0)
    archive = _open(make_zip([liar]))
    with pytest.raises(LimitError):
        archive.read(archive.entries[0])


def test_the_allowance_counts_all_members_together(make_zip: Make, part: Parts) -> None:
    data = make_zip([part(name=b"%d" % i, data=TEXT) for i in range(10)])
    archive = _open(data, package_bytes=3 * len(TEXT))
    for entry in archive.entries[:3]:
        archive.read(entry)
    with pytest.raises(LimitError, match="inflated in all"):
        archive.read(archive.entries[3])


def test_members_beyond_the_limit_are_left_out_with_a_note(make_zip: Make, part: Parts) -> None:
    data = make_zip([part(name=b"%d" % i, data=b"x") for i in range(10)])
    archive = _open(data, members=4)
    assert len(archive.entries) == 4
    assert "limit-members" in archive.account.notes


def test_heads_of_large_members_are_inflated_only_as_far_as_asked(
    make_zip: Make, part: Parts
) -> None:
    long = np.random.default_rng(2).bytes(200_000) + bytes(200_000)
    archive = _open(make_zip([part(name=b"a", data=long)]))
    assert archive.head(archive.entries[0], 4096) == long[:4096]
    assert archive.account.inflated_bytes == 4096


def test_a_zip_is_recognised_at_the_start_and_after_a_few_nuls() -> None:
    assert is_zip(b"PK\x03\x04rest")
    assert is_zip(b"\0\0PK\x03\x04rest")
    assert is_zip(b"PK\x05\x06" + b"\0" * 18)
    assert not is_zip(b"\x1c\0\0\0TFL3" + b"PK\x03\x04")
    assert not is_zip(b"\0" * 5 + b"PK\x03\x04")
    assert not is_zip(b"")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_gives_members_or_a_package_error(data: st.DataObject) -> None:
    base = _sample()
    raw = bytearray(base)
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        archive = _open(bytes(raw), package_bytes=1 << 22, member_bytes=1 << 20)
    except (PackageError, LimitError):
        return
    for entry in archive.entries:
        for read in (lambda e: archive.head(e, 64), archive.read):
            try:
                assert len(read(entry)) <= 1 << 20
            except (PackageError, LimitError):
                continue


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_members_or_a_package_error(raw: bytes) -> None:
    for data in (raw, b"PK\x03\x04" + raw, raw + b"PK\x05\x06" + raw):
        try:
            archive = _open(data, package_bytes=1 << 22)
        except (PackageError, LimitError):
            continue
        for entry in archive.entries:
            try:
                archive.read(entry)
            except (PackageError, LimitError):
                continue


_SAMPLE: list[bytes] = []


def _sample() -> bytes:
    return _SAMPLE[0]


@pytest.fixture(autouse=True, scope="module")
def _make_sample(make_zip: Make, part: Parts) -> None:
    _SAMPLE.append(
        make_zip(
            [
                part(name=b"a", data=TEXT, descriptor=True),
                part(name=b"b/c", data=NOISE[:100], deflated=False),
                part(name=b"d", data=TEXT[:90], zip64=True),
            ],
            comment=b"note",
        )
    )

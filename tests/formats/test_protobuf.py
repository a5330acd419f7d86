"""The wire walker reads what an encoder writes, and refuses everything else."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.errors import FormatError
from gaugenn.formats import _protobuf
from gaugenn.formats._protobuf import (
    DEPTH_LIMIT,
    Message,
    Schema,
    decode_varints,
    head_fields,
    read_message,
)
from tests.formats._protobuf_builder import block, number, varint

OUTER = Schema(
    "Outer", number=1, text=2, inner=3, single=4, double=5, numbers=6, singles=7, doubles=8
)
INNER = Schema("Inner", number=1, text=2, inner=3)

INT64 = st.integers(-(2**63), 2**63 - 1)


def read(data: bytes, schema: Schema = OUTER) -> Message:
    return read_message(memoryview(data), schema)


@given(
    integer=INT64,
    text=st.text(),
    single=st.floats(width=32, allow_nan=False),
    double=st.floats(allow_nan=False),
    numbers=st.lists(INT64, max_size=80),
    singles=st.lists(st.floats(width=32, allow_nan=False)),
    packed=st.booleans(),
)
def test_what_an_encoder_writes_is_read_back(
    integer: int,
    text: str,
    single: float,
    double: float,
    numbers: list[int],
    singles: list[float],
    packed: bool,
) -> None:
    data = number(1, integer) + block(2, text.encode()) + block(3, number(1, 7))
    data += varint(4 << 3 | 5) + struct.pack("<f", single)
    data += varint(5 << 3 | 1) + struct.pack("<d", double)
    if packed:
        data += block(6, b"".join(map(varint, numbers)))
        data += block(7, struct.pack(f"<{len(singles)}f", *singles))
    else:
        data += b"".join(number(6, each) for each in numbers)
        data += b"".join(varint(7 << 3 | 5) + struct.pack("<f", each) for each in singles)
    message = read(data)
    assert message.integer("number") == integer
    assert message.text("text") == text
    inner = message.message("inner", INNER)
    assert inner is not None
    assert inner.integer("number") == 7
    assert message.float32("single") == single
    assert message.float64("double") == double
    assert message.integers("numbers") == tuple(numbers)
    assert message.varints("numbers").count == len(numbers)
    assert message.varints("numbers").array().view(np.int64).tolist() == numbers
    assert message.float32s("singles") == tuple(singles)


@given(st.binary(max_size=200))
@settings(max_examples=500)
def test_any_bytes_are_a_message_or_a_format_error(data: bytes) -> None:
    try:
        message = read(data)
        for name in ("number", "numbers"):
            message.integer(name)
            message.integers(name)
        message.text("text")
        message.float32s("singles")
        message.fixed("doubles", 8)
        for inner in message.messages("inner", INNER):
            inner.text("text")
    except FormatError:
        pass


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_head_is_walked_to_its_end_or_is_a_format_error(head: bytes) -> None:
    try:
        fields = list(head_fields(head))
    except FormatError:
        return
    assert all(field.whole for field in fields[:-1])


@given(st.lists(st.integers(0, 2**64 - 1), max_size=200))
def test_packed_numbers_decode_alike_in_short_and_long_runs(values: list[int]) -> None:
    data = memoryview(b"".join(map(varint, values)))
    assert decode_varints(data).tolist() == values


def test_every_cut_is_a_format_error_that_counts_the_missing_bytes() -> None:
    data = number(1, 300) + block(2, b"text" * 10) + varint(4 << 3 | 5) + bytes(4)
    ends = {0, 3, 45, 50}
    for length in range(len(data)):
        if length in ends:
            read(data[:length])
            continue
        with pytest.raises(FormatError, match=r"runs past the end of the file: \d+ bytes or more"):
            read(data[:length])
    with pytest.raises(FormatError, match=r"Outer: the field text at byte 3 .* 17 bytes"):
        read(data[:28])


def test_an_inner_message_that_is_too_long_is_told_with_its_path() -> None:
    data = block(3, block(3, b"") + block(3, b"\x12\x05abc")) + number(1, 1)
    outer = next(read(data).messages("inner", INNER))
    with pytest.raises(
        FormatError, match=r"Outer\.inner\[0\]\.inner\[1\]: the field text at byte 6 "
    ):
        list(outer.messages("inner", INNER))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x01", "starts no field"),
        (b"\x0c", "wire type 4"),
        (b"\x0e", "wire type 6"),
        (b"\x08" + b"\xff" * 11, "more than 10 bytes"),
        (b"\x12" + b"\xff" * 9 + b"\x01", "missing"),
        (b"\x0b\x08\x01\x14", "ends a group that is not open"),
        (b"\x0b\x08\x01", "missing"),
        (b"\x0b\x0f\x0c", "unknown wire type"),
        (b"\x0b" * 200, "groups nest too deep"),
    ],
)
def test_bytes_that_are_no_message_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(data)


def test_groups_and_unknown_fields_are_stepped_over() -> None:
    group = b"\xf3\x01" + number(9, 5) + block(10, b"xy") + b"\x5d" + bytes(4) + b"\xf4\x01"
    message = read(group + number(90, 1) + block(91, b"abc") + number(1, 5))
    assert message.integer("number") == 5
    assert not message.has("text")


def test_a_field_of_another_wire_type_counts_as_absent() -> None:
    message = read(block(1, b"abc") + number(2, 5))
    assert message.integer("number", 42) == 42
    assert message.text("text") == ""
    assert message.has("text")
    assert message.view("text") is None


def test_the_last_of_repeated_singular_fields_wins_and_messages_merge() -> None:
    message = read(number(1, 1) + number(1, 2) + block(3, number(1, 3)) + block(3, block(2, b"x")))
    assert message.integer("number") == 2
    inner = message.message("inner", INNER)
    assert inner is not None
    assert (inner.integer("number"), inner.text("text")) == (3, "x")


def test_views_share_the_file_and_packed_numbers_in_one_piece_do_too() -> None:
    data = bytearray(block(2, b"text") + block(7, bytes(8)))
    message = read_message(memoryview(data).toreadonly(), OUTER)
    view, floats = message.view("text"), message.fixed("singles", 4)
    data[2] = ord("n")
    data[8:12] = struct.pack("<f", 1.5)
    assert view is not None
    assert bytes(view) == b"next"
    assert struct.unpack("<2f", floats) == (1.5, 0.0)


def test_packed_numbers_in_several_pieces_are_put_together() -> None:
    message = read(block(6, varint(1) + varint(-1)) + block(6, varint(2)) + block(7, bytes(4)) * 2)
    assert message.integers("numbers") == (1, -1, 2)
    assert message.fixed("singles", 4).nbytes == 8


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (block(6, b"\x01\x80"), r"Outer\.numbers ends inside a number"),
        (block(6, b"\x01") + number(6, 2), "mixes packed and single values"),
        (block(6, b"\xff" * 70 + b"\x01"), "has 71 bytes"),
        (block(6, b"\xff" * 11 + b"\x01"), "more than 10 bytes"),
    ],
)
def test_damaged_packed_numbers_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(data).integers("numbers")


def test_packed_floats_must_be_whole() -> None:
    with pytest.raises(FormatError, match="not a multiple of 4"):
        read(block(7, bytes(5))).fixed("singles", 4)


def test_text_that_is_not_utf8_is_kept_as_escapes() -> None:
    assert read(block(2, b"a\xff")).text("text") == "a\\xff"


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = block(3, data)
    return data


def descend(message: Message | None) -> None:
    while message is not None:
        message = message.message("inner", INNER)


def test_messages_may_nest_up_to_a_limit() -> None:
    descend(read(nested(DEPTH_LIMIT)))
    with pytest.raises(FormatError, match="nest deeper than 100"):
        descend(read(nested(DEPTH_LIMIT + 1)))


def test_the_number_of_fields_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_protobuf, "FIELD_LIMIT", 10)
    read(number(1, 1) * 10)
    with pytest.raises(FormatError, match="more than 10 fields"):
        read(number(1, 1) * 11)
    inner = block(3, number(1, 1) * 4)
    with pytest.raises(FormatError, match="more than 10 fields"):
        list(read(inner * 3).messages("inner", INNER))


def test_the_head_of_a_file_gives_its_fields_and_the_part_of_the_last() -> None:
    data = number(1, 300) + varint(9 << 3 | 1) + bytes(8) + block(2, b"0123456789")
    fields = list(head_fields(data[:-4]))
    assert [(field.number, field.value, field.whole) for field in fields] == [
        (1, 300, True),
        (9, 0, True),
        (2, 0, False),
    ]
    assert fields[-1].data == b"012345"
    assert list(head_fields(data[:1])) == []


def test_a_message_tells_which_of_its_schemas_fields_are_there() -> None:
    message = read(number(1, 5) + block(3, b"") + number(99, 1))
    assert message.numbers() == {1, 3}


@given(
    integers=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60),
    singles=st.lists(st.floats(width=32, allow_nan=False), max_size=60),
    texts=st.lists(st.text(max_size=9), min_size=1, max_size=20),
)
def test_a_large_message_says_the_same_as_a_small_one(
    integers: list[int], singles: list[float], texts: list[str]
) -> None:
    data = b"".join(varint(6 << 3) + varint(each) for each in integers)
    data += b"".join(varint(7 << 3 | 5) + struct.pack("<f", each) for each in singles)
    data += b"".join(block(2, each.encode()) + block(3, number(1, 5)) for each in texts)
    padding = block(99, bytes(_protobuf._LIST_BYTES))
    small, large = read(data), read(data + padding)
    for message in (small, large):
        assert message.varints("numbers").array().tolist() == integers
        assert message.float32s("singles") == tuple(singles)
        assert message.texts("text") == tuple(texts)
        assert [each.integer("number") for each in message.messages("inner", INNER)] == [5] * len(
            texts
        )
        assert message.message_at("inner", INNER, len(texts) - 1).integer("number") == 5


def test_a_run_of_fixed_fields_ends_where_another_field_begins() -> None:
    run = b"".join(varint(7 << 3 | 5) + struct.pack("<f", each) for each in range(9))
    message = read(run + block(2, b"a") + run + number(1, 3))
    assert message.float32s("singles") == (*range(9), *range(9))
    assert (message.text("text"), message.integer("number")) == ("a", 3)
    with pytest.raises(FormatError, match="past the end"):
        read(run[:-1])


def test_a_large_message_of_empty_fields_takes_little_more_than_itself() -> None:
    data = memoryview(b"\x12\x00" * (2 << 20))
    tracemalloc.start()
    try:
        message = read_message(data, OUTER)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message.count("text") == 2 << 20
    assert peak < 5 * data.nbytes


def test_short_messages_are_split_or_left_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = block(2, b"x" * 200) + block(3, b"")
    odd = (number(1, 3), block(2, b"a")[:-1], b"\x12", block(99, b"a"), block(2, bytes(5000)))
    message = read(b"".join(block(3, each) for each in (plain, *odd, b"")))
    first, *others, last = message.short_messages("inner")
    assert first == [(2, b"x" * 200, 6), (3, b"", 208)]
    assert (others, last) == ([None] * len(odd), [])
    monkeypatch.setattr(_protobuf, "FIELD_LIMIT", 7)
    assert list(read(block(3, plain) * 4).short_messages("inner"))[1:] == [None] * 3


def test_outlines_give_places_in_the_file() -> None:
    inside = number(1, 300) + block(2, b"name") + block(3, bytes(9000))
    data = block(2, b"before") + block(3, inside) + block(3, varint(4 << 3 | 5) + b"1234")
    message = read(data)
    (number_field, text, blob), other = message.outlines("inner")
    assert number_field == (8, 300, 0)
    assert bytes(message.slice(*text[1:])) == b"name"
    assert blob[2] - blob[1] == 9000
    assert other is None

"""The FlatBuffers reader against the official builder, and against files that lie."""

import struct
from collections.abc import Callable

import flatbuffers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaugenn.errors import FormatError
from gaugenn.formats._flatbuffers import MAXIMUM_DEPTH, FlatBuffer, Table, fields
from tests.formats._flatbuffer_builder import Fields, build


def root(data: bytes, identifier: bytes | None = None) -> Table:
    return FlatBuffer(memoryview(data), "sample").root(identifier)


def test_what_the_official_builder_writes_is_read_back() -> None:
    builder = flatbuffers.Builder(64)
    text = builder.CreateString("grüß dich")
    numbers = builder.CreateNumpyVector(np.array([1, -2, 3], np.int64))
    builder.StartObject(1)
    builder.PrependFloat32Slot(0, 2.5, 0.0)
    child = builder.EndObject()
    builder.StartVector(4, 2, 4)
    builder.PrependUOffsetTRelative(child)
    builder.PrependUOffsetTRelative(child)
    children = builder.EndVector()
    builder.StartObject(6)
    builder.PrependInt8Slot(0, -5, 0)
    builder.PrependUOffsetTRelativeSlot(1, text, 0)
    builder.PrependUOffsetTRelativeSlot(2, numbers, 0)
    builder.PrependUOffsetTRelativeSlot(3, children, 0)
    builder.PrependBoolSlot(5, True, False)
    builder.Finish(builder.EndObject(), b"TEST")
    table = root(bytes(builder.Output()), b"TEST")
    assert table.integer(0, "i8") == -5
    assert table.string(1) == "grüß dich"
    assert table.integers(2, "i64") == (1, -2, 3)
    assert [c.real(0) for c in table.tables(3)] == [2.5, 2.5]
    assert not table.has(4)
    assert table.boolean(5)


def test_the_tests_own_builder_agrees_with_the_official_reader() -> None:
    data = build({0: ("i16", 7), 2: "text", 3: ("[f64]", (0.5, 1.5))}, b"TEST")
    position = struct.unpack_from("<I", data)[0]
    table = flatbuffers.table.Table(bytearray(data), position)
    offset = table.Offset(4)
    assert table.Get(flatbuffers.number_types.Int16Flags, position + offset) == 7
    assert table.Offset(6) == 0
    assert table.String(position + table.Offset(8)) == b"text"
    assert table.VectorLen(table.Offset(10)) == 2


def test_absent_fields_give_their_defaults() -> None:
    table = root(build({}))
    assert table.integer(9, default=3) == 3
    assert table.real(9, default=0.5) == 0.5
    assert table.boolean(9, default=True)
    assert table.string(9, "none") == "none"
    assert table.strings(9) == ()
    assert table.integers(9) == ()
    assert table.blob(9) is None
    assert table.table(9) is None
    assert len(table.tables(9)) == 0
    assert table.union(9) == (0, None)
    assert table.array(9, "f32").size == 0


def test_a_field_table_reads_a_whole_table() -> None:
    wanted = fields(
        "number:i32=4 - ratio:f32=1.5 flag:bool=1 name:str rest?:i8 list:[i64] tags:[str]"
    )
    assert root(build({})).read(wanted) == {
        "number": 4,
        "ratio": 1.5,
        "flag": True,
        "name": "",
        "list": (),
        "tags": (),
    }
    stored: Fields = {
        0: ("i32", -1),
        2: ("f32", 0.25),
        3: ("bool", 0),
        4: "x",
        5: ("i8", 0),
        6: ("[i64]", (1 << 40,)),
        7: ["a", "b"],
    }
    assert root(build(stored)).read(wanted) == {
        "number": -1,
        "ratio": 0.25,
        "flag": False,
        "name": "x",
        "rest": 0,
        "list": (1 << 40,),
        "tags": ("a", "b"),
    }


def test_a_field_table_with_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind of field"):
        fields("number:int")


def test_vectors_of_scalars_are_views_of_the_file() -> None:
    data = build({0: ("[f32]", tuple(range(100))), 1: b"weights"})
    table = root(data)
    view = table.array(0, "f32")
    assert np.shares_memory(view, np.frombuffer(data, np.uint8))
    assert not view.flags.writeable
    blob = table.blob(1)
    assert blob is not None
    assert blob.obj is data
    assert bytes(blob) == b"weights"


def test_text_that_is_not_utf8_is_escaped() -> None:
    assert root(build({0: b"\xffname"})).string(0) == "\\xffname"


def test_a_union_is_its_type_and_its_table() -> None:
    member, table = root(build({0: ("u8", 2), 1: {0: ("i32", 9)}})).union(0)
    assert member == 2
    assert table is not None
    assert table.integer(0) == 9


def patched(fields_of: Fields, change: Callable[[bytearray], None]) -> bytes:
    data = bytearray(build(fields_of))
    change(data)
    return bytes(data)


def at_root(data: bytearray) -> int:
    return int(struct.unpack_from("<I", data)[0])


def vtable(data: bytearray) -> int:
    position = at_root(data)
    return position - int(struct.unpack_from("<i", data, position)[0])


def set_u16(data: bytearray, position: int, value: int) -> None:
    struct.pack_into("<H", data, position, value)


def set_u32(data: bytearray, position: int, value: int) -> None:
    struct.pack_into("<I", data, position, value)


ONE: Fields = {0: ("[i32]", (1, 2, 3))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.__delitem__(slice(7, None)), "too few"),
        (lambda d: set_u32(d, 0, 0xFFFFFFFF), "leaves the file"),
        (lambda d: set_u32(d, 0, 0), "leaves the file"),
        (lambda d: set_u32(d, at_root(d), 0x7FFFFFFF), "field index"),
        (lambda d: set_u32(d, at_root(d), 0x80000000), "field index"),
        (lambda d: set_u16(d, vtable(d), 2), "field index of 2 bytes"),
        (lambda d: set_u16(d, vtable(d), 5), "field index of 5 bytes"),
        (lambda d: set_u16(d, vtable(d), 0xFFFE), "field index of 65534 bytes"),
        (lambda d: set_u16(d, vtable(d) + 2, 0), "table of 0 bytes"),
        (lambda d: set_u16(d, vtable(d) + 2, 0xFFFF), "table of 65535 bytes"),
        (lambda d: set_u16(d, vtable(d) + 4, 2), "field 0 lies at 2"),
        (lambda d: set_u16(d, vtable(d) + 4, 6), "field 0 lies at 6"),
        (lambda d: set_u32(d, at_root(d) + 4, 0xFFFFFFF0), "leaves the file"),
        (lambda d: set_u32(d, len(d) - 16, 0x80000000), "a vector of 2147483648 elements"),
        (lambda d: set_u32(d, len(d) - 16, 4), "a vector of 4 elements"),
    ],
)
def test_an_offset_or_size_that_leaves_the_file_is_a_format_error(
    change: Callable[[bytearray], None], message: str
) -> None:
    assert root(build(ONE)).integers(0) == (1, 2, 3)
    with pytest.raises(FormatError, match=message):
        root(patched(ONE, change)).integers(0)


def test_another_identifier_is_a_format_error() -> None:
    with pytest.raises(FormatError, match="b'AAAA'; expected b'BBBB'"):
        root(build({}, b"AAAA"), b"BBBB")


def test_a_message_names_the_file_and_the_place() -> None:
    with pytest.raises(FormatError, match=r"sample: FlatBuffer, byte 0: offset 4294967295"):
        root(b"\xff" * 16)


def test_nesting_has_a_limit() -> None:
    nested: Fields = {}
    for _ in range(MAXIMUM_DEPTH + 1):
        nested = {0: nested}

    def dive(table: Table) -> int:
        child = table.table(0)
        return 0 if child is None else 1 + dive(child)

    with pytest.raises(FormatError, match="nested more than"):
        dive(root(build(nested)))
    inner = nested[0]
    assert isinstance(inner, dict)
    assert dive(root(build(inner))) == MAXIMUM_DEPTH


def shared(levels: int, width: int) -> bytes:
    """Vectors of tables in which every entry is the same table, `levels` deep."""
    out = bytearray(struct.pack("<IHHHH", 12, 6, 8, 4, 0))
    # Every table uses the field index at byte 4: one field, at 4 of 8 bytes.
    for _ in range(levels):
        table = len(out)
        out += struct.pack("<iI", table - 4, 4)
        vector = len(out)
        after = vector + 4 + 4 * width
        out += struct.pack("<I", width)
        out += b"".join(struct.pack("<I", after - (vector + 4 + 4 * i)) for i in range(width))
    out += struct.pack("<iI", len(out) - 4, 8) + bytes(4) + struct.pack("<I", 0)
    return bytes(out)


def test_parts_shared_a_million_times_over_are_refused_in_good_time() -> None:
    def count(table: Table) -> int:
        return 1 + sum(count(child) for child in table.tables(0))

    assert count(root(shared(2, 8))) == 73
    with pytest.raises(FormatError, match="more often than a file of this size may"):
        count(root(shared(12, 8)))


def test_one_long_text_shared_by_many_is_refused_in_good_time() -> None:
    text = b"x" * 100_000
    count = 2000
    out = bytearray(struct.pack("<IHHHH", 12, 6, 8, 4, 0)) + struct.pack("<iI", 8, 4)
    start = len(out)
    after = start + 4 + 4 * count
    out += struct.pack("<I", count)
    out += b"".join(struct.pack("<I", after - (start + 4 + 4 * i)) for i in range(count))
    out += struct.pack("<I", len(text)) + text
    with pytest.raises(FormatError, match="more often"):
        root(bytes(out)).strings(0)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_format_error(data: bytes) -> None:
    wanted = fields("a:i32 b:str c:[i64] d:[str] e:f64 f:bool")

    def walk(table: Table, depth: int) -> None:
        table.read(wanted)
        for child in table.tables(2):
            if depth < 4:
                walk(child, depth + 1)

    try:
        walk(root(data), 0)
    except FormatError as error:
        message = str(error)
        assert message.startswith("sample: FlatBuffer, byte ")
        return
    assert len(data) >= 8


def test_tables_are_a_sequence() -> None:
    tables = root(build({0: [{0: ("i32", i)} for i in range(4)]})).tables(0)
    assert len(tables) == 4
    assert tables[3].integer(0) == 3
    assert [t.integer(0) for t in tables[1:3]] == [1, 2]
    with pytest.raises(IndexError):
        tables[4]


def test_a_field_index_shared_with_a_table_of_narrower_fields_is_read() -> None:
    builder = flatbuffers.Builder(0)
    builder.StartObject(1)
    builder.PrependInt32Slot(0, 7, 0)
    narrow = builder.EndObject()
    builder.StartObject(1)
    builder.PrependFloat64Slot(0, 2.5, 0)
    wide = builder.EndObject()
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, narrow, 0)
    builder.PrependUOffsetTRelativeSlot(1, wide, 0)
    builder.Finish(builder.EndObject())
    root = FlatBuffer(memoryview(bytes(builder.Output())), "file").root()
    first, second = root.table(0), root.table(1)
    assert first is not None
    assert second is not None
    assert (first.integer(0), second.real(0, "f64")) == (7, 2.5)

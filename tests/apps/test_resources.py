"""Names out of resource tables: plain, sparse, short and compact entries, references, damage."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.apps.resources import text_of

NAME = 0x7F020001
"""Package 0x7F, type 2, entry 1."""


def _chunk(kind: int, header: bytes, body: bytes) -> bytes:
    return struct.pack("<HHI", kind, 8 + len(header), 8 + len(header) + len(body)) + header + body


def _pool(*texts: str) -> bytes:
    blob, offsets = b"", b""
    for text in texts:
        offsets += struct.pack("<I", len(blob))
        raw = text.encode()
        blob += bytes([len(text), len(raw)]) + raw + b"\0"
    return _chunk(1, struct.pack("<5I", len(texts), 0, 0x100, 28 + len(offsets), 0), offsets + blob)


def _type(
    entries: bytes, table: bytes, count: int, *, flags: int = 0, language: bytes = b"\0\0"
) -> bytes:
    config = struct.pack("<II", 16, 0) + language + bytes(6)
    start = 20 + len(config) + len(table)
    header = struct.pack("<BBHII", 2, flags, 0, count, start) + config
    return _chunk(0x0201, header, table + entries)


def _entry(index: int, kind: int = 3) -> bytes:
    return struct.pack("<HHIHBBI", 8, 0, 0, 8, 0, kind, index)


def _table(*types: bytes, texts: tuple[str, ...] = ("Wrong", "App", "Anwendung")) -> bytes:
    package = _chunk(0x0200, struct.pack("<I", 0x7F) + bytes(256 + 20), b"".join(types))
    return _chunk(2, struct.pack("<I", 1), _pool(*texts) + package)


TWO = struct.pack("<II", 0, 16)
PLAIN = _type(_entry(0) + _entry(1), TWO, 2)
GERMAN = _type(_entry(0) + _entry(2), TWO, 2, language=b"de")
NONE = struct.pack("<II", 0, 0xFFFFFFFF)


@pytest.mark.parametrize(
    "table",
    [
        _table(PLAIN),
        _table(GERMAN, PLAIN),
        _table(PLAIN, GERMAN),
        _table(_type(_entry(1), struct.pack("<HHHH", 0, 9, 1, 0), 2, flags=1)),
        _table(_type(_entry(0) + _entry(1), struct.pack("<HH", 0, 4), 2, flags=2)),
        _table(_type(struct.pack("<HHI", 0, 0x0308, 1), struct.pack("<II", 0, 0), 2)),
        _table(_type(_entry(1) + _entry(0x7F020000, kind=1), TWO, 2)),
    ],
    ids=["plain", "default last", "default first", "sparse", "short", "compact", "reference"],
)
def test_the_text_of_the_default_configuration_is_found(table: bytes) -> None:
    assert text_of(memoryview(table), NAME) == "App"


def test_without_a_default_the_first_configuration_speaks() -> None:
    assert text_of(memoryview(_table(GERMAN)), NAME) == "Anwendung"


@pytest.mark.parametrize(
    "table",
    [
        b"",
        _table(),
        _table(_type(b"", NONE, 2)),
        _table(_type(_entry(0) + _entry(NAME, kind=1), TWO, 2)),
        _table(_type(_entry(0) + _entry(1, kind=16), TWO, 2)),
        _table(PLAIN, texts=("only",)),
    ],
    ids=["nothing", "no types", "no entry", "a circle", "a number", "no such text"],
)
def test_where_there_is_no_text_there_is_none(table: bytes) -> None:
    assert text_of(memoryview(table), NAME) is None


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_gives_a_text_or_none(data: st.DataObject) -> None:
    raw = bytearray(_table(GERMAN, PLAIN))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    text = text_of(memoryview(bytes(raw[: data.draw(st.integers(0, len(raw)))])), NAME)
    assert text is None or len(text) <= 1024

"""Zips assembled byte by byte, so that every field can lie."""

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A member; what is None is filled in truthfully."""

    name: bytes
    data: bytes = b""
    deflated: bool = True
    method: int | None = None
    local_method: int | None = None
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    local_size: int | None = None
    local_compressed: int | None = None
    descriptor: bool = False
    zip64: bool = False
    local_extra: bytes = b""

    def raw(self) -> bytes:
        if not self.deflated:
            return self.data
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.data) + packer.flush()


def _local(part: Part) -> bytes:
    raw = part.raw()
    method = part.method if part.method is not None else 8 * part.deflated
    local_method = part.local_method if part.local_method is not None else method
    crc = part.crc if part.crc is not None else zlib.crc32(part.data)
    size = part.local_size if part.local_size is not None else len(part.data)
    compressed = part.local_compressed if part.local_compressed is not None else len(raw)
    flags, tail, extra = part.flags, b"", part.local_extra
    if part.descriptor:
        flags |= 8
        tail = struct.pack("<4sIII", b"PK\x07\x08", crc, compressed, size)
        crc = size = compressed = 0
    if part.zip64:
        extra += struct.pack("<HHQQ", 1, 16, size, compressed)
        size = compressed = 0xFFFFFFFF
    head = struct.pack(
        "<4sHHHHHIIIHH",
        *(b"PK\x03\x04", 20, flags, local_method, 0, 0),
        *(crc, compressed, size, len(part.name), len(extra)),
    )
    return head + part.name + extra + raw + tail


def _central(part: Part, offset: int) -> bytes:
    raw = part.raw()
    method = part.method if part.method is not None else 8 * part.deflated
    crc = part.crc if part.crc is not None else zlib.crc32(part.data)
    size = part.size if part.size is not None else len(part.data)
    compressed, extra = len(raw), b""
    if part.zip64:
        extra = struct.pack("<HHQQQ", 1, 24, size, compressed, offset)
        size = compressed = offset = 0xFFFFFFFF
    head = struct.pack(
        "<4sHHHHHHIIIHHHHHII",
        *(b"PK\x01\x02", 20, 20, part.flags | 8 * part.descriptor, method, 0, 0),
        *(crc, compressed, size, len(part.name), len(extra), 0, 0, 0, 0, offset),
    )
    return head + part.name + extra


def build_zip(
    parts: Sequence[Part],
    *,
    prefix: bytes = b"",
    gap: bytes = b"",
    comment: bytes = b"",
    end: bool = True,
    block: bytes = b"",
    zip64_end: bool = False,
) -> bytes:
    """A zip of the parts. `gap` lies between directory and end, `block` before the directory."""
    body, directory = b"", b""
    for part in parts:
        directory += _central(part, len(body))
        body += _local(part)
    body += block
    start, size, count = len(body), len(directory), len(parts)
    out = prefix + body + directory + gap
    if zip64_end:
        out += struct.pack(
            "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start
        )
        out += struct.pack("<4sIQI", b"PK\x06\x07", 0, len(out) - 56, 1)
        start, size, count = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF
    if end:
        out += struct.pack(
            "<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, start, len(comment)
        )
        out += comment
    return out


@pytest.fixture(scope="session")
def part() -> type[Part]:
    return Part


@pytest.fixture(scope="session")
def make_zip() -> Callable[..., bytes]:
    return build_zip


@pytest.fixture(scope="session")
def corpus() -> Path:
    folder = os.environ.get("GAUGENN_CORPUS")
    if not folder:
        pytest.skip("GAUGENN_CORPUS is not set; it names a folder of real packages")
    return Path(folder)

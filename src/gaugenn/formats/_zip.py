"""Members of a zip file that is a model: the directory, views of stored members, bounded inflation.

Packages are walked by `gaugenn.apps`; this reads the zips that a model format claims whole (PyTorch,
Keras, numpy). Sizes and offsets come from the central directory; a local header only says where its
member's bytes begin, because writers leave its sizes open.

**Source:** https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3.7, 4.3.12, 4.3.14 - 4.3.16,
4.5.3).
"""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.graph import LazyBytes, TensorData

LOCAL_MAGIC = b"PK\x03\x04"
_CENTRAL_MAGIC = b"PK\x01\x02"
_END_MAGIC = b"PK\x05\x06"
_END64_MAGIC = b"PK\x06\x06"
_LOCATOR64_MAGIC = b"PK\x06\x07"

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64 = struct.Struct("<4sIQI")

_LONGEST_COMMENT = 0xFFFF
_OPEN16, _OPEN32 = 0xFFFF, 0xFFFFFFFF
"""Stand where the zip64 record has the true value."""
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
_ENTRY_LIMIT = 1 << 18
_RATIO_LIMIT = 1032
"""Deflate cannot do better: a length code of 258 bytes takes two bits at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A member as the central directory has it.

    Attributes:
        name: as stored, UTF-8 or cp437.
        size_bytes: inflated.
        stored_bytes: in the file.
        method: 0 stored, 8 deflated; others are refused when read.
        offset: of the local header.
        encrypted: the bytes cannot be read.
    """

    name: str
    size_bytes: int
    stored_bytes: int
    method: int
    offset: int
    encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipMembers:
    """A zip's directory over the file's bytes.

    Attributes:
        where: the file's name, for messages.
        data: the whole file.
        entries: by name; of a repeated name the last, as the writers' own readers have it.
    """

    where: str
    data: memoryview = field(repr=False)
    entries: Mapping[str, Entry]

    def view(self, name: str) -> memoryview:
        """The bytes of a member in the file: those of a stored member are its contents.

        Raises:
            FormatError: no such member, encrypted, or beyond the end of the file.
        """
        entry = self._entry(name)
        if entry.encrypted:
            raise UnsupportedFormatError(f"{self.where}: member {name!r} is encrypted")
        header = self.data[entry.offset : entry.offset + _LOCAL.size]
        if header.nbytes < _LOCAL.size or header[:4] != LOCAL_MAGIC:
            raise FormatError(
                f"{self.where}: member {name!r} has no local header: cut off or moved"
            )
        fields = _LOCAL.unpack(header)
        start = entry.offset + _LOCAL.size + fields[9] + fields[10]
        held = self.data[start : start + entry.stored_bytes]
        if held.nbytes != entry.stored_bytes:
            raise FormatError(
                f"{self.where}: member {name!r} takes {entry.stored_bytes} bytes at {start}, the "
                f"file has {self.data.nbytes}: cut off"
            )
        return held

    def read(self, name: str, most_bytes: int) -> memoryview:
        """The contents of a member, inflated where needed.

        Raises:
            FormatError: as `view`; more than `most_bytes`, or not what the directory says.
        """
        entry, held = self._entry(name), self.view(name)
        if entry.size_bytes > most_bytes:
            raise FormatError(
                f"{self.where}: member {name!r} has {entry.size_bytes} bytes, more than the "
                f"{most_bytes} that such a member may have"
            )
        return _contents(self.where, entry, held)

    def head(self, name: str, most_bytes: int) -> memoryview:
        """The beginning of a member's contents.

        Raises:
            FormatError: as `view`, or bytes that do not inflate.
        """
        entry, held = self._entry(name), self.view(name)
        if entry.method == _STORED:
            return held[:most_bytes]
        if entry.method != _DEFLATED:
            raise UnsupportedFormatError(f"{self.where}: {name!r} is neither stored nor deflated")
        try:
            inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(held, most_bytes)
        except zlib.error as error:
            raise FormatError(f"{self.where}: {name!r} does not inflate: {error}") from None
        return memoryview(inflated)

    def tensor_data(self, name: str) -> TensorData:
        """The contents of a member as the data of a tensor: a view, or inflated on demand.

        Raises:
            FormatError: as `view`, or an inflated size that no compression reaches.
        """
        entry, held = self._entry(name), self.view(name)
        if entry.method != _DEFLATED:
            return _contents(self.where, entry, held)
        if entry.size_bytes > entry.stored_bytes * _RATIO_LIMIT:
            raise FormatError(
                f"{self.where}: member {name!r} inflates {entry.stored_bytes} bytes to "
                f"{entry.size_bytes}, which is impossible"
            )
        return LazyBytes(
            size_bytes=entry.size_bytes, load=lambda: _contents(self.where, entry, held)
        )

    def _entry(self, name: str) -> Entry:
        entry = self.entries.get(name)
        if entry is None:
            raise FormatError(f"{self.where}: the zip has no member {name!r}")
        return entry


def _contents(where: str, entry: Entry, held: memoryview) -> memoryview:
    if entry.method == _STORED:
        if entry.size_bytes != entry.stored_bytes:
            raise FormatError(f"{where}: stored member {entry.name!r} has two different sizes")
        return held
    if entry.method != _DEFLATED:
        raise UnsupportedFormatError(
            f"{where}: member {entry.name!r} is compressed by method {entry.method}; only stored "
            "and deflated members can be read"
        )
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = inflater.decompress(held, entry.size_bytes + 1)
    except zlib.error as error:
        raise FormatError(f"{where}: member {entry.name!r} does not inflate: {error}") from None
    if len(found) != entry.size_bytes:
        raise FormatError(
            f"{where}: member {entry.name!r} does not inflate to the {entry.size_bytes} bytes "
            "that the directory says"
        )
    return memoryview(found)


def open_zip(data: memoryview, where: str) -> ZipMembers:
    """Reads the directory.

    Raises:
        FormatError: no directory (a zip that is cut off has none), or one that contradicts itself.
    """
    tail_start = max(0, data.nbytes - _END.size - _LONGEST_COMMENT)
    end = bytes(data[tail_start:]).rfind(_END_MAGIC)
    if end < 0 or tail_start + end + _END.size > data.nbytes:
        raise FormatError(f"{where}: a zip without a directory at its end: the file is cut off")
    end += tail_start
    fields = _END.unpack_from(data, end)
    count, size, start = int(fields[4]), int(fields[5]), int(fields[6])
    if count == _OPEN16 or size == _OPEN32 or start == _OPEN32:
        count, size, start = _end64(data, end, where, (count, size, start))
    if count > _ENTRY_LIMIT or count * _CENTRAL.size > size or start + size > end:
        raise FormatError(
            f"{where}: the zip's directory of {count} members takes {size} bytes at {start}, "
            f"which the file of {data.nbytes} bytes has not"
        )
    return ZipMembers(
        where=where, data=data, entries=_entries(data[start : start + size], count, where)
    )


def _end64(
    data: memoryview, end: int, where: str, plain: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Count, size and start of the directory from the zip64 record, where there is one."""
    at = end - _LOCATOR64.size
    if at < 0 or data[at : at + 4] != _LOCATOR64_MAGIC:
        return plain
    record = int(_LOCATOR64.unpack_from(data, at)[2])
    if record + _END64.size > at or data[record : record + 4] != _END64_MAGIC:
        raise FormatError(f"{where}: the zip64 directory's end is not where its locator says")
    fields = _END64.unpack_from(data, record)
    return int(fields[7]), int(fields[8]), int(fields[9])


def _entries(directory: memoryview, count: int, where: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > directory.nbytes or directory[at : at + 4] != _CENTRAL_MAGIC:
            raise FormatError(f"{where}: the zip's directory is broken at byte {at}")
        fields = _CENTRAL.unpack_from(directory, at)
        flags, method = int(fields[3]), int(fields[4])
        stored, size, offset = int(fields[8]), int(fields[9]), int(fields[16])
        names, extras, comment = int(fields[10]), int(fields[11]), int(fields[12])
        at += _CENTRAL.size
        raw, extra = bytes(directory[at : at + names]), directory[at + names : at + names + extras]
        at += names + extras + comment
        if at > directory.nbytes:
            raise FormatError(f"{where}: the zip's directory is cut off inside an entry")
        if _OPEN32 in (size, stored, offset):
            size, stored, offset = _extended(extra, size, stored, offset)
        name = raw.decode("utf-8", "backslashreplace") if flags & 0x800 else raw.decode("cp437")
        found[name] = Entry(
            name=name,
            size_bytes=size,
            stored_bytes=stored,
            method=method,
            offset=offset,
            encrypted=bool(flags & _ENCRYPTED),
        )
    return found


def _extended(extra: memoryview, *given: int) -> tuple[int, int, int]:
    """Replaces open values by those of the zip64 extra field (id 1), which holds only the open ones."""
    at = 0
    values = list(given)
    while at + 4 <= extra.nbytes:
        number, size = struct.unpack_from("<2H", extra, at)
        at += 4
        if number == 1:
            held = extra[at : at + size]
            for i, value in enumerate(values):
                if value == _OPEN32 and held.nbytes >= 8:
                    values[i] = struct.unpack_from("<Q", held)[0]
                    held = held[8:]
            break
        at += size
    size_bytes, stored, offset = values
    return size_bytes, stored, offset


def first_name(head: bytes) -> str | None:
    """Name of the member that the file begins with, or None where no zip begins here."""
    if len(head) < _LOCAL.size or not head.startswith(LOCAL_MAGIC):
        return None
    length = int(_LOCAL.unpack_from(head)[9])
    raw = head[_LOCAL.size : _LOCAL.size + length]
    return raw.decode("utf-8", "replace") if raw and len(raw) == length else None

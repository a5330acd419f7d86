"""A zip reader for hostile and broken packages: tolerant of what Android tolerates, strict on size.

Phones install packages that ordinary zip libraries refuse: encryption flags over plain data, unknown
compression methods, bytes before the archive, directories cut short. Here each member has several
readings (by its central header, by its local header, as deflated, as stored) and its CRC decides.

**Source:** https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT sections 4.3-4.5 for all
structures and magic numbers; integers are little-endian.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import deflate

from gaugenn.errors import LimitError, PackageError

LOCAL_MAGIC = b"PK\x03\x04"
CENTRAL_MAGIC = b"PK\x01\x02"
END_MAGIC = b"PK\x05\x06"
END64_MAGIC = b"PK\x06\x06"
LOCATOR64_MAGIC = b"PK\x06\x07"
DESCRIPTOR_MAGIC = b"PK\x07\x08"

_CENTRAL = struct.Struct("<4s4xHH4xIIIHHH8xI")  # magic flags method crc csize usize n x c offset
_LOCAL = struct.Struct("<4s2xHH4xIIIHH")  # magic flags method crc csize usize n x
_NAME_LENGTHS = struct.Struct("<4s22xHH")  # of a local header: magic n x
_END = struct.Struct("<4s6xHIIH")  # magic entries directory-size directory-offset comment-length
_END64 = struct.Struct("<4s28xQQQ")  # magic entries directory-size directory-offset
_END_BYTES = 22
_COMMENT_MAXIMUM = 65_535
_UNKNOWN32 = 0xFFFF_FFFF
_UNKNOWN16 = 0xFFFF

_STORED, _DEFLATED = 0, 8
_FLAG_ENCRYPTED, _FLAG_DESCRIPTOR, _FLAG_UTF8 = 0x1, 0x8, 0x800
_LEADING_NULS = 4
_CHUNK = 1 << 16
_SMALL_BYTES = 16_384  # up to this size, inflating a member whole costs less than a streaming start


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What opening one package may cost.

    Attributes:
        members: members of the package and all containers in it.
        depth: containers inside each other; the package itself is depth 0.
        member_bytes: inflated size of one member.
        package_bytes: bytes inflated over the whole package, repeats included.
        ratio: inflated bytes per compressed byte, for members above `ratio_free_bytes`. A deflate
            stream can reach 1032; real members of that size stay below 100.
        ratio_free_bytes: members up to this size may have any ratio.
    """

    members: int = 300_000
    depth: int = 4
    member_bytes: int = 2 << 30
    package_bytes: int = 8 << 30
    ratio: int = 200
    ratio_free_bytes: int = 16 << 20


@dataclass(slots=True, kw_only=True)
class Account:
    """What has been spent on one package so far. Shared by all containers inside it."""

    limits: Limits = field(default_factory=Limits)
    members: int = 0
    inflated_bytes: int = 0
    notes: dict[str, None] = field(default_factory=dict)
    """Peculiarities met so far, in order, each once."""

    def note(self, text: str) -> None:
        """Remembers a peculiarity."""
        self.notes[text] = None

    def spend(self, count: int) -> None:
        """Counts inflated bytes.

        Raises:
            LimitError: the package's allowance is used up.
        """
        self.inflated_bytes += count
        if self.inflated_bytes > self.limits.package_bytes:
            self.note("limit-package-bytes")
            raise LimitError(
                f"package: more than {self.limits.package_bytes} bytes inflated in all; "
                "raise Limits.package_bytes if it is trusted"
            )


class Entry(NamedTuple):
    """A member as the directory describes it. (A tuple: packages have tens of thousands.)"""

    name: str
    """As stored, `/` separators; control characters escaped. Never a path to open."""
    flags: int
    method: int
    crc: int
    compressed_bytes: int
    size_bytes: int
    offset: int
    """Of the local header."""


class _Reading(NamedTuple):
    method: int
    crc: int
    compressed_bytes: int
    size_bytes: int


def is_zip(head: bytes) -> bool:
    """Whether the bytes start a zip: a local header or an empty directory, after at most four NULs."""
    if head[:1] not in (b"P", b"\0"):
        return False
    start = head[: _LEADING_NULS + 4].lstrip(b"\0")
    return start.startswith((LOCAL_MAGIC, END_MAGIC))


class Archive:
    """The members of a zip.

    Args:
        data: the whole archive.
        account: limits and counters to charge.

    Raises:
        PackageError: neither a directory nor a single local header was found.
    """

    __slots__ = ("_by_name", "_data", "_measurable", "account", "directory_offset", "entries")

    def __init__(self, data: memoryview, account: Account | None = None) -> None:
        self._data = data
        self.account = account or Account()
        self._by_name: dict[str, Entry] | None = None
        self._measurable = 16 * data.nbytes + (1 << 20)  # work left for `_measure`
        self.directory_offset: int | None = None
        """Where the central directory starts; None when it was not found."""
        self.entries: tuple[Entry, ...] = tuple(self._list())
        self.account.members += len(self.entries)

    def find(self, name: str) -> Entry | None:
        """The first member of that name."""
        if self._by_name is None:
            self._by_name = {entry.name: entry for entry in reversed(self.entries)}
        return self._by_name.get(name)

    def head(self, entry: Entry, count: int) -> bytes:
        """The first `count` bytes of a member, fewer when it is shorter. No CRC is checked.

        Raises:
            PackageError: the data is outside the archive or cannot be inflated.
            LimitError: the package's allowance is used up.
        """
        start = self._data_start(entry)
        _, _, method, _, compressed, size, _ = entry
        if method == _STORED or (method != _DEFLATED and compressed == size):
            return bytes(self._data[start : start + min(count, compressed or size)])
        self.account.spend(min(count, size))
        if size <= _SMALL_BYTES:
            try:
                whole = deflate.deflate_decompress(self._data[start : start + compressed], size)
            except deflate.DeflateError:
                pass
            else:
                return bytes(whole if size <= count else whole[:count])
        try:
            return self._inflate_head(start, start + compressed, count)
        except zlib.error as error:
            return self._head_as_stored(entry, start, count, error)

    def _head_as_stored(self, entry: Entry, start: int, count: int, error: zlib.error) -> bytes:
        local = self._local_reading(entry)
        if local is not None and local.method == _STORED:
            return bytes(self._data[start : start + min(count, local.size_bytes)])
        raise self._unreadable(entry, str(error)) from error

    def read(self, entry: Entry) -> memoryview:
        """A member's bytes: a view for stored members, else inflated into memory.

        Raises:
            PackageError: encrypted, corrupt or cut off.
            LimitError: over a limit of size or ratio, found before memory is taken.
        """
        start = self._data_start(entry)
        first = _Reading(entry.method, entry.crc, entry.compressed_bytes, entry.size_bytes)
        reason = ""
        for position, reading in enumerate(self._readings(entry, first)):
            try:
                data = self._attempt(entry, start, reading)
            except PackageError as error:
                reason = reason or str(error)
                continue
            if position:
                self.account.note("odd-compression-method")
            if entry.flags & _FLAG_ENCRYPTED:
                self.account.note("fake-encryption-flag")
            return data
        raise self._unreadable(entry, reason)

    @staticmethod
    def _unreadable(entry: Entry, reason: str) -> PackageError:
        if entry.flags & _FLAG_ENCRYPTED:
            return PackageError(f"{entry.name}: encrypted; a password would be needed to read it")
        return PackageError(f"{entry.name}: cannot be read: {reason}")

    # Locating a member's bytes

    def _data_start(self, entry: Entry) -> int:
        """Where the data begins. The local header's lengths count, the central ones may differ."""
        data, offset = self._data, entry.offset
        if not 0 <= offset <= data.nbytes - _LOCAL.size:
            raise PackageError(
                f"{entry.name}: local header at {offset}, archive ends at {data.nbytes}"
            )
        magic, name_length, extra_length = _NAME_LENGTHS.unpack_from(data, offset)
        if magic != LOCAL_MAGIC:
            raise PackageError(f"{entry.name}: no local header at offset {offset}")
        start: int = offset + _LOCAL.size + name_length + extra_length
        if start > data.nbytes:
            raise PackageError(f"{entry.name}: data at {start}, archive ends at {data.nbytes}")
        return start

    def _local_reading(self, entry: Entry) -> _Reading | None:
        _, flags, method, crc, compressed, size, _, _ = _LOCAL.unpack_from(self._data, entry.offset)
        if flags & _FLAG_DESCRIPTOR and not compressed:
            return _Reading(method, entry.crc, entry.compressed_bytes, entry.size_bytes)
        if _UNKNOWN32 in (compressed, size):
            return None
        return _Reading(method, crc, compressed, size)

    def _readings(self, entry: Entry, first: _Reading) -> Iterator[_Reading]:
        """Ways to understand a member, most likely first: Android goes by the central directory."""
        yield first
        tried = {first}
        local = self._local_reading(entry)
        for base in (first, local):
            if base is None:
                continue
            stored = base._replace(method=_STORED, compressed_bytes=base.size_bytes)
            for reading in (base, base._replace(method=_DEFLATED), stored):
                if reading not in tried:
                    tried.add(reading)
                    yield reading

    # Reading a member's bytes

    def _attempt(self, entry: Entry, start: int, reading: _Reading) -> memoryview:
        end = start + reading.compressed_bytes
        if end > self._data.nbytes:
            raise PackageError(
                f"data ends at {end}, archive at {self._data.nbytes}: the package is cut off"
            )
        raw = self._data[start:end]
        stored = reading.method == _STORED
        if stored and reading.compressed_bytes != reading.size_bytes:
            raise PackageError(
                f"stored in {reading.compressed_bytes} bytes, said to be {reading.size_bytes}"
            )
        if not stored and reading.method != _DEFLATED:
            raise PackageError(f"compression method {reading.method}; readable are 0 and 8")
        data = raw if stored else self._inflate(entry, raw, reading.size_bytes)
        crc = deflate.crc32(data)
        if crc != reading.crc:
            raise PackageError(f"CRC is {crc:08x}, the directory says {reading.crc:08x}")
        return data

    def _check_size(self, entry: Entry, size: int, compressed: int) -> None:
        limits = self.account.limits
        if size > limits.member_bytes:
            self.account.note("limit-member-bytes")
            raise LimitError(
                f"{entry.name}: {size} bytes inflated, at most {limits.member_bytes} are allowed"
            )
        if size > limits.ratio_free_bytes and size > limits.ratio * compressed:
            self.account.note("limit-ratio")
            raise LimitError(
                f"{entry.name}: {size} bytes out of {compressed} is over {limits.ratio} to 1: a bomb"
            )

    def _inflate(self, entry: Entry, raw: memoryview, size: int) -> memoryview:
        self._check_size(entry, size, raw.nbytes)
        self.account.spend(size)
        try:
            whole = deflate.deflate_decompress(raw, size)
        except deflate.DeflateError:
            return self._inflate_streaming(entry, raw)
        if len(whole) != size:
            raise PackageError(f"inflates to {len(whole)} bytes, the directory says {size}")
        return memoryview(whole).toreadonly()

    def _inflate_streaming(self, entry: Entry, raw: memoryview) -> memoryview:
        """For members whose size is not what the directory says; output is capped as it grows."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        out = bytearray()
        try:
            for at in range(0, raw.nbytes, _CHUNK):
                piece: bytes | memoryview = raw[at : at + _CHUNK]
                while piece and not inflater.eof:
                    out += inflater.decompress(piece, 16 * _CHUNK)
                    piece = inflater.unconsumed_tail
                    self._check_size(entry, len(out), raw.nbytes)
            out += inflater.flush()
        except zlib.error as error:
            raise PackageError(str(error)) from error
        self.account.spend(len(out))
        if not inflater.eof:
            raise PackageError(f"the deflate stream has no end after {len(out)} bytes")
        return memoryview(out).toreadonly()

    def _inflate_head(self, start: int, end: int, count: int) -> bytes:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        out = b""
        step = count + 512  # deflate never needs more, save for empty blocks
        at = start
        while at < min(end, start + 8 * step) and len(out) < count and not inflater.eof:
            piece = self._data[at : min(at + step, end)]
            out += inflater.decompress(piece, count - len(out))
            at += step
            if inflater.unconsumed_tail:
                break
        return out

    # Listing

    def _list(self) -> list[Entry]:
        found = self._find_directory()
        if found is None:
            entries = list(self._scan_local_headers(frozenset()))
            if not entries:
                raise PackageError(
                    "no zip directory and no local file header found; expected a zip archive"
                )
            self.account.note("recovered-from-local-headers")
            return entries
        start, end, shift, declared = found
        entries = self._read_directory(start, end, shift)
        self.directory_offset = start
        if shift:
            self.account.note("prefixed-bytes")
        if len(entries) < declared and len(entries) < self._room():
            self.account.note("central-directory-truncated")
            known = frozenset(entry.offset for entry in entries)
            lost = list(self._scan_local_headers(known, stop=start))
            if lost:
                self.account.note("recovered-from-local-headers")
            entries += lost
        if not entries:
            self.account.note("empty")
        if len({entry.name for entry in entries}) < len(entries):
            self.account.note("duplicate-names")
        return entries

    def _room(self) -> int:
        return self.account.limits.members - self.account.members

    def _find_directory(self) -> tuple[int, int, int, int] | None:
        """Start and end of the central directory, bytes before the archive, number of entries."""
        data = self._data
        tail_start = max(0, data.nbytes - _END_BYTES - _COMMENT_MAXIMUM)
        tail = bytes(data[tail_start:])
        candidates: list[int] = []
        at = tail.rfind(END_MAGIC)
        while at >= 0:
            if at + _END_BYTES <= len(tail):
                comment = int.from_bytes(tail[at + 20 : at + 22], "little")
                exact = at + _END_BYTES + comment == len(tail)
                candidates.insert(0 if exact else len(candidates), tail_start + at)
            at = tail.rfind(END_MAGIC, 0, at)
        for end in candidates:
            found = self._try_directory(end)
            if found is not None:
                return found
        return None

    def _try_directory(self, end: int) -> tuple[int, int, int, int] | None:
        data = self._data
        _, declared, size, offset, _ = _END.unpack_from(data, end)
        if _UNKNOWN32 in (size, offset) or declared == _UNKNOWN16:
            wide = self._end64(end)
            if wide is not None:
                declared, size, offset, end = wide
        if not declared and not size:  # truly empty, or the words of a comment
            return (end, end, 0, 0) if offset == end or end <= _LEADING_NULS else None
        for start in (offset, end - size):
            if 0 <= start < end and data[start : start + 4] == CENTRAL_MAGIC:
                for shift in (start - offset, 0):
                    (local,) = struct.unpack_from("<I", data, start + 42)
                    at = local + shift
                    if local == _UNKNOWN32 or data[at : at + 4] == LOCAL_MAGIC:
                        return (start, end, shift, declared)
        return None

    def _end64(self, end: int) -> tuple[int, int, int, int] | None:
        data = self._data
        if end < 20 or data[end - 20 : end - 16] != LOCATOR64_MAGIC:
            return None
        (offset,) = struct.unpack_from("<Q", data, end - 12)
        for at in (offset, end - 20 - _END64.size):
            if at + _END64.size <= end and data[at : at + 4] == END64_MAGIC:
                _, declared, size, directory = _END64.unpack_from(data, at)
                return (declared, size, directory, at)
        return None

    def _read_directory(self, start: int, end: int, shift: int) -> list[Entry]:
        directory = bytes(self._data[start:end])
        entries: list[Entry] = []
        unpack, width, length = _CENTRAL.unpack_from, _CENTRAL.size, len(directory)
        new = tuple.__new__  # half the time of Entry(...)
        at = 0
        room = self._room()
        while at + width <= length:
            magic, flags, method, crc, compressed, size, names, extras, comments, offset = unpack(
                directory, at
            )
            after = at + width + names
            if magic != CENTRAL_MAGIC or after > length:
                break
            if len(entries) >= room:
                self.account.note("limit-members")
                break
            name = directory[at + width : after]
            if _UNKNOWN32 in (compressed, size, offset):
                extra = directory[after : after + extras]
                size, compressed, offset = _zip64(extra, size, compressed, offset)
            entries.append(
                new(Entry, (_text(name), flags, method, crc, compressed, size, offset + shift))
            )
            at = after + extras + comments
        return entries

    def _scan_local_headers(
        self, known: frozenset[int], stop: int | None = None
    ) -> Iterator[Entry]:
        """Members found by their local headers, in file order, those at `known` offsets left out."""
        data = self._data[:stop] if stop is not None else self._data
        at = 0
        room = self._room()
        names_room = data.nbytes  # real names do not overlap, so that all of them fit in the file
        pattern = re.compile(re.escape(LOCAL_MAGIC))
        while room > 0:
            match = pattern.search(data, at)
            if match is None or match.start() + _LOCAL.size > data.nbytes:
                return
            offset = match.start()
            _, flags, method, crc, compressed, size, names, extras = _LOCAL.unpack_from(
                data, offset
            )
            start = offset + _LOCAL.size + names + extras
            at = offset + 4
            if start > data.nbytes or not names:
                continue
            names_room -= names
            if names_room < 0:
                self.account.note("limit-members")
                return
            name = bytes(data[offset + _LOCAL.size : offset + _LOCAL.size + names])
            if _UNKNOWN32 in (compressed, size):
                extra = bytes(data[start - extras : start])
                size, compressed, _ = _zip64(extra, size, compressed, 0)
            if flags & _FLAG_DESCRIPTOR and not compressed:
                measured = self._measure(data, start, method)
                if measured is None:
                    continue
                crc, compressed, size = measured
            if offset not in known:
                room -= 1
                yield Entry(_text(name), flags, method, crc, compressed, size, offset)
            if start + compressed <= data.nbytes:
                at = start + compressed

    def _measure(self, data: memoryview, start: int, method: int) -> tuple[int, int, int] | None:
        """CRC, compressed and inflated size of a member whose header leaves them to a descriptor."""
        if method != _DEFLATED:
            match = re.compile(re.escape(DESCRIPTOR_MAGIC)).search(data, start)
            while match is not None and match.start() + 16 <= data.nbytes and self._measurable > 0:
                self._measurable -= match.end() - start
                crc, compressed, size = struct.unpack_from("<III", data, match.start() + 4)
                if compressed == match.start() - start:
                    return (crc, compressed, size)
                match = match.re.search(data, match.end())
            return None
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        crc = size = 0
        at = start
        limits = self.account.limits
        try:
            while not inflater.eof and at < data.nbytes and self._measurable > 0:
                piece: bytes | memoryview = data[at : at + _CHUNK]
                at += len(piece)
                self._measurable -= len(piece)
                while piece and not inflater.eof:
                    out = inflater.decompress(piece, 16 * _CHUNK)
                    piece = inflater.unconsumed_tail
                    crc = zlib.crc32(out, crc)
                    size += len(out)
                    self.account.spend(len(out))
                    if size > max(limits.ratio_free_bytes, limits.ratio * (at - start)):
                        self.account.note("limit-ratio")
                        return None
        except zlib.error:
            return None
        return (crc, at - start - len(inflater.unused_data), size)


def _text(name: bytes) -> str:
    """A member's name. Android reads UTF-8 whatever the flag; the rest is code page 437."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        text = name.decode("cp437")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _zip64(extra: bytes, size: int, compressed: int, offset: int) -> tuple[int, int, int]:
    """Replaces 0xFFFFFFFF values by those of extra field 1, which holds only these, in this order."""
    at = 0
    while at + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        body = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if tag != 1:
            continue
        values = iter(struct.unpack(f"<{len(body) // 8}Q", body[: len(body) // 8 * 8]))
        if size == _UNKNOWN32:
            size = next(values, size)
        if compressed == _UNKNOWN32:
            compressed = next(values, compressed)
        if offset == _UNKNOWN32:
            offset = next(values, offset)
    return (size, compressed, offset)

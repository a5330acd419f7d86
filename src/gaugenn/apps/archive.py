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
from typing import NamedTuple

import deflate

from gaugenn.apps.directory import (
    CENTRAL_MAGIC,
    DEFLATED,
    END_MAGIC,
    FLAG_DESCRIPTOR,
    LOCAL,
    LOCAL_MAGIC,
    STORED,
    UNKNOWN32,
    Directory,
    Entry,
)
from gaugenn.apps.limits import Account
from gaugenn.errors import LimitError, PackageError

_END = struct.Struct("<4s8xIIH")  # magic directory-size directory-offset comment-length
_COMMENT_MAXIMUM = 65_535
_END_PATTERN = re.compile(re.escape(END_MAGIC))  # finds nothing several times as fast as `rfind`
_CENTRAL_OFFSET = 42  # in a central header: of the local header

APPENDED_AFTER_BYTES = 4096
"""Less before a zip is leading garbage; more is a file of its own that the zip was appended to."""

_NAME_LENGTHS = struct.Struct("<4s22xHH")  # of a local header: magic n x
_FLAG_ENCRYPTED = 0x1
_LEADING_NULS = 4
_CHUNK = 1 << 16
_SMALL_BYTES = 16_384  # up to this size, inflating a member whole costs less than a streaming start


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


def appended_zip(data: memoryview) -> int | None:
    """Where the zip begins that was appended to another file, such as a picture; None without one.

    Looks at the end only, so it costs little for files that are none. The directory must lie where its
    end says, and so must the first member.

    Args:
        data: the whole file.
    """
    if data.nbytes <= APPENDED_AFTER_BYTES + _END.size:
        return None
    end = data.nbytes - _END.size
    if data[end : end + 4] != END_MAGIC:
        begin = max(0, end - _COMMENT_MAXIMUM)
        tail = data[begin:]
        if _END_PATTERN.search(tail) is None:
            return None
        end = begin + bytes(tail).rfind(END_MAGIC)
        if end + _END.size > data.nbytes:
            return None
    _, size, offset, comment = _END.unpack_from(data, end)
    directory = end - size
    shift = directory - offset
    if end + _END.size + comment != data.nbytes or not size or shift < 0:
        return None
    if data[directory : directory + 4] != CENTRAL_MAGIC:
        return None
    start: int = shift or directory
    if not shift:  # the offsets were made to count from the other file's start
        place = bytes(data[directory + _CENTRAL_OFFSET : directory + _CENTRAL_OFFSET + 4])
        start = int.from_bytes(place, "little")
    is_there = data[start : start + 4] == LOCAL_MAGIC and start < directory
    return start if is_there and start > APPENDED_AFTER_BYTES else None


class Archive:
    """The members of a zip.

    Args:
        data: the whole archive.
        account: limits and counters to charge.

    Attributes:
        entries: the members, in the order of the central directory.

    Raises:
        PackageError: neither a directory nor a single local header was found.
    """

    __slots__ = ("_data", "account", "entries")

    def __init__(self, data: memoryview, account: Account | None = None) -> None:
        self._data = data
        self.account = account or Account()
        self.entries = Directory(data, self.account)

    @property
    def directory_offset(self) -> int | None:
        """Where the central directory starts; None when it was not found."""
        return self.entries.offset

    def find(self, name: str) -> Entry | None:
        """The first member of that name."""
        return self.entries.find(name)

    def head(self, entry: Entry, count: int) -> bytes:
        """The first `count` bytes of a member, fewer when it is shorter. No CRC is checked.

        Raises:
            PackageError: the data is outside the archive or cannot be inflated.
            LimitError: the package's allowance is used up.
        """
        start = self._data_start(entry)
        _, _, method, _, compressed, size, _ = entry
        if method == STORED or (method != DEFLATED and compressed == size):
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
        if local is not None and local.method == STORED:
            return bytes(self._data[start : start + min(count, local.size_bytes)])
        raise self._unreadable(entry, str(error)) from error

    def stored(self, entry: Entry) -> memoryview | None:
        """The bytes of a member that is not compressed, unchecked; None for all others.

        Raises:
            PackageError: the data is outside the archive.
        """
        if entry.method != STORED or entry.flags & _FLAG_ENCRYPTED:
            return None
        start = self._data_start(entry)
        found = self._data[start : start + entry.size_bytes]
        return found if found.nbytes == entry.size_bytes else None

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
        if not 0 <= offset <= data.nbytes - LOCAL.size:
            raise PackageError(
                f"{entry.name}: local header at {offset}, archive ends at {data.nbytes}"
            )
        magic, name_length, extra_length = _NAME_LENGTHS.unpack_from(data, offset)
        if magic != LOCAL_MAGIC:
            raise PackageError(f"{entry.name}: no local header at offset {offset}")
        start: int = offset + LOCAL.size + name_length + extra_length
        if start > data.nbytes:
            raise PackageError(f"{entry.name}: data at {start}, archive ends at {data.nbytes}")
        return start

    def _local_reading(self, entry: Entry) -> _Reading | None:
        _, flags, method, crc, compressed, size, _, _ = LOCAL.unpack_from(self._data, entry.offset)
        if flags & FLAG_DESCRIPTOR and not compressed:
            return _Reading(method, entry.crc, entry.compressed_bytes, entry.size_bytes)
        if UNKNOWN32 in (compressed, size):
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
            stored = base._replace(method=STORED, compressed_bytes=base.size_bytes)
            for reading in (base, base._replace(method=DEFLATED), stored):
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
        stored = reading.method == STORED
        if stored and reading.compressed_bytes != reading.size_bytes:
            raise PackageError(
                f"stored in {reading.compressed_bytes} bytes, said to be {reading.size_bytes}"
            )
        if not stored and reading.method != DEFLATED:
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

"""The list of a zip's members: from its central directory, else from its local headers.

Of a large archive only the places of the headers are kept, eight bytes a member; names and sizes are
read again when asked for, so that hundreds of thousands of members cost a few megabytes.

**Source:** https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT sections 4.3-4.5 for all
structures and magic numbers; integers are little-endian.
"""

import re
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from gaugenn.apps.limits import Account
from gaugenn.errors import PackageError

LOCAL_MAGIC = b"PK\x03\x04"
CENTRAL_MAGIC = b"PK\x01\x02"
END_MAGIC = b"PK\x05\x06"
END64_MAGIC = b"PK\x06\x06"
LOCATOR64_MAGIC = b"PK\x06\x07"
DESCRIPTOR_MAGIC = b"PK\x07\x08"

_CENTRAL = struct.Struct("<4s4xHH4xIIIHHH8xI")  # magic flags method crc csize usize n x c offset
LOCAL = struct.Struct("<4s2xHH4xIIIHH")  # magic flags method crc csize usize n x
_END = struct.Struct("<4s6xHIIH")  # magic entries directory-size directory-offset comment-length
_END64 = struct.Struct("<4s28xQQQ")  # magic entries directory-size directory-offset
_END_BYTES = 22
_COMMENT_MAXIMUM = 65_535
UNKNOWN32 = 0xFFFF_FFFF
_UNKNOWN16 = 0xFFFF

STORED, DEFLATED = 0, 8
FLAG_DESCRIPTOR = 0x8
_LEADING_NULS = 4
_CHUNK = 1 << 16
_HELD_ENTRIES = 1 << 14  # up to this many, entries are made once and held


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


class Directory(Sequence[Entry]):
    """The members of a zip, in the order of its directory.

    Args:
        data: the whole archive.
        account: limits and counters to charge.

    Attributes:
        offset: where the central directory starts; None when it was not found.

    Raises:
        PackageError: neither a directory nor a single local header was found.
    """

    __slots__ = (
        *("_by_name", "_data", "_hashes", "_held", "_local", "_measurable", "_measured"),
        *("_order", "_places", "_shift", "account", "offset"),
    )

    def __init__(self, data: memoryview, account: Account) -> None:
        self._data = data
        self.account = account
        self.offset: int | None = None
        self._shift = 0
        self._places = array("Q")  # of headers: first those of the directory, then local ones
        self._local = 0  # the first local one
        self._measured: dict[int, tuple[int, int, int]] = {}
        self._measurable = 16 * data.nbytes + (1 << 20)  # work left for `_measure`
        self._list()
        account.members += len(self._places)
        self._held: list[Entry] | None = None
        self._by_name: dict[str, Entry] = {}
        self._hashes: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # sorted
        self._order: npt.NDArray[np.int64] = self._hashes  # index of the entry of each hash
        self._index()

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Entry]:
        if self._held is not None:
            return iter(self._held)
        return self._entries()

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if self._held is not None:
            return self._held[index]
        at = range(len(self))[index]
        read = self._central_entry if at < self._local else self._local_entry
        return read(self._places[at])

    def find(self, name: str) -> Entry | None:
        """The first member of that name."""
        if self._held is not None:
            return self._by_name.get(name)
        left, right = (
            int(self._hashes.searchsorted(hash(name), side)) for side in ("left", "right")
        )
        found = (self[int(row)] for row in self._order[left:right])
        return next((entry for entry in found if entry.name == name), None)

    def _index(self) -> None:
        if len(self) <= _HELD_ENTRIES:
            self._held = list(self._entries())
            self._by_name = {entry.name: entry for entry in reversed(self._held)}
            names = len(self._by_name)
        else:
            count = len(self)
            hashes = np.fromiter((hash(entry.name) for entry in self), np.int64, count)
            self._order = hashes.argsort(kind="stable")
            self._hashes = hashes[self._order]
            names = 1 + int(np.count_nonzero(np.diff(self._hashes)))
        if names < len(self):
            self.account.note("duplicate-names")

    def _entries(self) -> Iterator[Entry]:
        for place in islice(self._places, self._local):
            yield self._central_entry(place)
        for place in islice(self._places, self._local, None):
            yield self._local_entry(place)

    def _central_entry(self, place: int) -> Entry:
        data = self._data
        _, flags, method, crc, compressed, size, names, extras, _, offset = _CENTRAL.unpack_from(
            data, place
        )
        after = place + _CENTRAL.size + names
        if UNKNOWN32 in (compressed, size, offset):
            extra = bytes(data[after : after + extras])
            size, compressed, offset = _zip64(extra, size, compressed, offset)
        name = member_name(bytes(data[after - names : after]))
        # Half the time of Entry(...)
        return tuple.__new__(
            Entry, (name, flags, method, crc, compressed, size, offset + self._shift)
        )

    def _local_entry(self, place: int) -> Entry:
        data = self._data
        _, flags, method, crc, compressed, size, names, extras = LOCAL.unpack_from(data, place)
        after = place + LOCAL.size + names
        if UNKNOWN32 in (compressed, size):
            extra = bytes(data[after : after + extras])
            size, compressed, _ = _zip64(extra, size, compressed, 0)
        crc, compressed, size = self._measured.get(place, (crc, compressed, size))
        name = member_name(bytes(data[after - names : after]))
        return Entry(name, flags, method, crc, compressed, size, place)

    # Listing

    def _list(self) -> None:
        found = self._find_directory()
        if found is None:
            self._scan_local_headers(frozenset(), self._data)
            if not self._places:
                raise PackageError(
                    "no zip directory and no local file header found; expected a zip archive"
                )
            self.account.note("recovered-from-local-headers")
            return
        start, end, shift, declared = found
        self.offset, self._shift = start, shift
        room = self.account.room
        self._read_directory(start, end, room)
        if shift:
            self.account.note("prefixed-bytes")
        if len(self) < declared and len(self) < room:
            self.account.note("central-directory-truncated")
            self._held = None
            known = frozenset(entry.offset for entry in self._entries())
            before = len(self)
            self._scan_local_headers(known, self._data[:start])
            if len(self) > before:
                self.account.note("recovered-from-local-headers")
        if not self._places:
            self.account.note("empty")

    def _find_directory(self) -> tuple[int, int, int, int] | None:
        """Start and end of the central directory, bytes before the archive, number of entries."""
        data = self._data
        tail_start = max(0, data.nbytes - _END_BYTES - _COMMENT_MAXIMUM)
        tail = bytes(data[tail_start:])
        empty: tuple[int, int, int, int] | None = None
        doubtful: list[int] = []
        at = tail.rfind(END_MAGIC)
        while at >= 0:
            comment = int.from_bytes(tail[at + 20 : at + 22], "little")
            if at + _END_BYTES + comment == len(tail):  # the last of several counts, as on Android
                found = self._try_directory(tail_start + at)
                if found is not None and found[0] < found[1]:
                    return found
                empty = empty or found
            elif at + _END_BYTES <= len(tail):
                doubtful.append(tail_start + at)
            at = tail.rfind(END_MAGIC, 0, at)
        for end in () if empty else doubtful:
            found = self._try_directory(end)
            if found is not None:
                return found
        return empty

    def _try_directory(self, end: int) -> tuple[int, int, int, int] | None:
        data = self._data
        _, declared, size, offset, _ = _END.unpack_from(data, end)
        if UNKNOWN32 in (size, offset) or declared == _UNKNOWN16:
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
                    if local == UNKNOWN32 or data[at : at + 4] == LOCAL_MAGIC:
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

    def _read_directory(self, start: int, end: int, room: int) -> None:
        data, places = self._data, self._places
        unpack, width = _CENTRAL.unpack_from, _CENTRAL.size
        end = min(end, data.nbytes)
        at = start
        while at + width <= end:
            magic, _, _, _, _, _, names, extras, comments, _ = unpack(data, at)
            after = at + width + names
            if magic != CENTRAL_MAGIC or after > end:
                break
            if len(places) >= room:
                self.account.note("limit-members")
                break
            places.append(at)
            at = after + extras + comments
        self._local = len(places)

    def _scan_local_headers(self, known: frozenset[int], data: memoryview) -> None:
        """Members found by their local headers, in file order, those at `known` offsets left out."""
        at = 0
        room = self.account.room
        names_room = data.nbytes  # real names do not overlap, so that all of them fit in the file
        pattern = re.compile(re.escape(LOCAL_MAGIC))
        while True:
            match = pattern.search(data, at)
            if match is None or match.start() + LOCAL.size > data.nbytes:
                return
            offset = match.start()
            _, flags, method, _, compressed, size, names, extras = LOCAL.unpack_from(data, offset)
            start = offset + LOCAL.size + names + extras
            at = offset + 4
            if start > data.nbytes or not names:
                continue
            names_room -= names
            if names_room < 0:
                self.account.note("limit-members")
                return
            if UNKNOWN32 in (compressed, size):
                extra = bytes(data[start - extras : start])
                size, compressed, _ = _zip64(extra, size, compressed, 0)
            if flags & FLAG_DESCRIPTOR and not compressed:
                measured = self._measure(data, start, method)
                if measured is None:
                    continue
                _, compressed, _ = measured
                self._measured[offset] = measured
            if offset not in known:
                if len(self) >= room:
                    self.account.note("limit-members")
                    return
                self._places.append(offset)
            if start + compressed <= data.nbytes:
                at = start + compressed

    def _measure(self, data: memoryview, start: int, method: int) -> tuple[int, int, int] | None:
        """CRC, compressed and inflated size of a member whose header leaves them to a descriptor."""
        if method != DEFLATED:
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


def member_name(name: bytes) -> str:
    """A member's name, printable. Android reads UTF-8 whatever the flag; the rest is code page 437."""
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
        if size == UNKNOWN32:
            size = next(values, size)
        if compressed == UNKNOWN32:
            compressed = next(values, compressed)
        if offset == UNKNOWN32:
            offset = next(values, offset)
    return (size, compressed, offset)

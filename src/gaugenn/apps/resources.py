"""Texts of a compiled resource table, to resolve an app's name: resources.arsc, or an AAB's protobuf.

**Source:** AOSP `libs/androidfw/include/androidfw/ResourceTypes.h` (ResTable_header,
ResTable_package, ResTable_type, ResTable_entry, Res_value), integers little-endian; protobuf fields:
https://android.googlesource.com/platform/frameworks/base/+/refs/heads/main/tools/aapt2/Resources.proto
"""

import struct
from itertools import islice

import numpy as np

from gaugenn.apps.files import Container
from gaugenn.apps.manifest import Manifest, StringPool, chunks, proto_fields, proto_reference
from gaugenn.errors import FormatError, LimitError, PackageError

_STRING_POOL, _PACKAGE, _TYPE = 0x0001, 0x0200, 0x0201
_REFERENCE, _STRING = 0x01, 0x03
_COMPLEX, _COMPACT = 0x1, 0x8
_SPARSE, _SHORT_OFFSETS = 0x1, 0x2
_NO_ENTRY32, _NO_ENTRY16 = 0xFFFF_FFFF, 0xFFFF
_MAXIMUM_HOPS = 8
_MOST_CHUNKS = 100_000
_MOST_TABLE_BYTES = 64 << 20


def label_of(archive: Container, manifest: Manifest) -> str | None:
    """The app's name where the manifest refers to the package's own resource table.

    Args:
        archive: of an APK or an AAB.
        manifest: of the same package.
    """
    if manifest.label_reference is None:
        return None
    try:
        entry = archive.find("resources.arsc")
        if entry is not None:
            return text_of(archive.read(entry), manifest.label_reference)
        entry = archive.find("base/resources.pb")
        if entry is not None and manifest.label_name and entry.size_bytes <= _MOST_TABLE_BYTES:
            return text_of_proto(bytes(archive.read(entry)), manifest.label_name)
    except (PackageError, LimitError, FormatError):
        pass
    return None


def text_of_proto(table: bytes, name: str) -> str | None:
    """The text of a resource in the default configuration, else in the first there is.

    Fields: ResourceTable 2 = package, its 3 = type, its 2 = name and 3 = entry, its 2 = name and 6 =
    configured value, its 1 = configuration and 2 = value, its 4 = item, its 1 = reference, 2 = text,
    3 = raw text, 4 = styled text, each with the text in its 1.

    Args:
        table: the ResourceTable message.
        name: type and name, `string/app_name`.

    Raises:
        FormatError: not that message.
    """
    for _ in range(_MAXIMUM_HOPS):
        kind, _, key = name.rpartition(":")[2].partition("/")
        found: list[tuple[bool, bytes]] = []
        for package in _parts(table, 2):
            for group in _parts(package, 3):
                if _first(group, 2) == kind.encode():
                    found += _values(group, key.encode())
        if not found:
            return None
        item = next((value for default, value in found if default), found[0][1])
        reference = proto_reference(item)
        if reference is None:
            texts = (_first(text, 1) for number in (2, 3, 4) for text in _parts(item, number))
            return next((text.decode(errors="replace") for text in texts), None)
        name = reference[1]
    return None


def _values(group: bytes, key: bytes) -> list[tuple[bool, bytes]]:
    """Of an entry's values the items, and whether each is of the default configuration."""
    return [
        (not _first(configured, 1), item)
        for entry in _parts(group, 3)
        if _first(entry, 2) == key
        for configured in _parts(entry, 6)
        for value in _parts(configured, 2)
        for item in _parts(value, 4)
    ]


def _parts(message: bytes, field: int) -> list[bytes]:
    return [v for number, v in proto_fields(message) if number == field and isinstance(v, bytes)]


def _first(message: bytes, field: int) -> bytes:
    return next(iter(_parts(message, field)), b"")


def text_of(data: memoryview, resource: int) -> str | None:
    """The text of a string resource in the default configuration, else in the first there is.

    Args:
        data: the whole resource table.
        resource: its number: package, type (8 bits each) and entry (16 bits).

    Returns:
        None where the table is broken, has no such resource or it is no text.
    """
    if data.nbytes < 12:
        return None
    strings: StringPool | None = None
    packages: list[tuple[int, int]] = []
    for kind, start, end in islice(chunks(data, 12), _MOST_CHUNKS):
        if kind == _STRING_POOL and strings is None and end - start >= 28:
            strings = StringPool(data[start:end])
        elif kind == _PACKAGE and end - start >= 12:
            packages.append((start, end))
    if strings is None:
        return None
    for _ in range(_MAXIMUM_HOPS):
        found = _value(data, packages, resource)
        if found is None:
            return None
        kind, value = found
        if kind == _STRING:
            return strings.get(value)
        if kind != _REFERENCE:
            return None
        resource = value
    return None


def _value(
    data: memoryview, packages: list[tuple[int, int]], resource: int
) -> tuple[int, int] | None:
    """Kind and data of a resource's value."""
    fallback: tuple[int, int] | None = None
    for start, end in packages:
        header, _, package = struct.unpack_from("<HII", data, start + 2)
        if package != resource >> 24:
            continue
        for kind, at, stop in islice(chunks(data[:end], start + header), _MOST_CHUNKS):
            if kind != _TYPE or stop - at < 24 or data[at + 8] != resource >> 16 & 0xFF:
                continue
            found = _entry(data, at, stop, resource & 0xFFFF)
            if found is None:
                continue
            size = int.from_bytes(data[at + 20 : at + 24], "little")
            if not any(data[at + 24 : min(at + 20 + size, stop)]):  # the default configuration
                return found
            fallback = fallback or found
    return fallback


def _entry(data: memoryview, start: int, end: int, index: int) -> tuple[int, int] | None:
    header, _, _, flags, _, count, first = struct.unpack_from("<HIBBHII", data, start + 2)
    offset = _offset(data, start + header, end, count, flags, index)
    if offset is None:
        return None
    at = start + first + offset
    if at + 8 > end:
        return None
    size, entry_flags = struct.unpack_from("<HH", data, at)
    if entry_flags & _COMPACT:
        return (entry_flags >> 8, int.from_bytes(data[at + 4 : at + 8], "little"))
    at += size
    if entry_flags & _COMPLEX or at + 8 > end:
        return None
    kind, value = struct.unpack_from("<BI", data, at + 3)
    return (kind, value)


def _offset(
    data: memoryview, table: int, end: int, count: int, flags: int, index: int
) -> int | None:
    """Offset of an entry behind the start of entries."""
    count = min(count, (end - table) // 2)
    if flags & _SPARSE:
        pairs = np.frombuffer(
            data, dtype="<u2", count=min(2 * count, (end - table) // 4 * 2), offset=table
        )
        found = np.flatnonzero(pairs[::2] == index)
        return 4 * int(pairs[2 * int(found[0]) + 1]) if len(found) else None
    width = 2 if flags & _SHORT_OFFSETS else 4
    at = table + width * index
    if index >= count or at + width > end:
        return None
    value = int.from_bytes(data[at : at + width], "little")
    if value == (_NO_ENTRY16 if width == 2 else _NO_ENTRY32):
        return None
    return 4 * value if width == 2 else value

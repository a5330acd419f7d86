"""What a package says about itself: Android manifests (binary XML or protobuf) and iOS Info.plist.

Attributes are identified by resource number, because obfuscators strip or fake their names.

**Source:** chunk and value layouts: AOSP `libs/androidfw/include/androidfw/ResourceTypes.h`,
https://android.googlesource.com/platform/frameworks/base/+/refs/heads/main/libs/androidfw/ ;
attribute numbers: https://developer.android.com/reference/android/R.attr ; protobuf fields:
https://android.googlesource.com/platform/frameworks/base/+/refs/heads/main/tools/aapt2/Resources.proto
"""

import json
import plistlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from xml.parsers import expat

from gaugenn.errors import FormatError

_STRING_POOL, _RESOURCE_MAP, _START_ELEMENT = 0x0001, 0x0180, 0x0102
_UTF8_POOL = 0x100
_NONE = 0xFFFF_FFFF
_REFERENCE, _STRING, _FIRST_INT, _BOOLEAN = 0x01, 0x03, 0x10, 0x12

_ATTRIBUTES = {
    0x0101_0001: "label",
    0x0101_0003: "name",
    0x0101_0024: "value",
    0x0101_020C: "minSdkVersion",
    0x0101_021B: "versionCode",
    0x0101_021C: "versionName",
    0x0101_0270: "targetSdkVersion",
    0x0101_0576: "versionCodeMajor",
}

_COMPONENTS = ("service", "provider", "receiver", "activity")
_PERMISSIONS = ("uses-permission", "uses-permission-sdk-23")
_READ_ELEMENTS = frozenset(
    {*_COMPONENTS, *_PERMISSIONS, "manifest", "application", "uses-sdk", "uses-feature"}
    | {"uses-native-library", "meta-data"}
)
"""Of all others (intents, queries) the attributes are left unread."""

_MAXIMUM_BYTES = 4 << 20
_MAXIMUM_ATTRIBUTES = 1024
_MAXIMUM_TEXT = 1024
_REMEMBERED_TEXT = 64  # longer strings are decoded each time, so that few bytes cannot fill memory
_MAXIMUM_ELEMENTS = 20_000
_MAXIMUM_DEPTH = 64
_MAXIMUM_PLIST_BYTES = 4 << 20

Value = str | int | None
"""An attribute's value: text, number (booleans as 0 and 1), or None for a reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaData:
    """A `<meta-data>` element; `value` is text, None for references."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a package says about itself.

    Attributes:
        label: the app's name where the manifest holds it literally.
        label_reference: resource number of the name where it does not; 0 where it is not given.
        label_name: the resource's type and name, `string/app_name`, in protobuf manifests.
        version_code: with the major half (versionCodeMajor) in the upper 32 bits.
        native_libraries: names of `<uses-native-library>`.
        components: class names of services, providers, receivers and activities.
    """

    package: str | None = None
    version_code: int | None = None
    version_name: str | None = None
    label: str | None = None
    label_reference: int | None = None
    label_name: str | None = None
    split: str | None = None
    minimum_sdk: int | None = None
    target_sdk: int | None = None
    permissions: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    native_libraries: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    meta_data: tuple[MetaData, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Element:
    tag: str
    values: dict[str, Value] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        return None if value is None else str(value)

    def number(self, name: str) -> int | None:
        value = self.values.get(name)
        if isinstance(value, str):
            return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else None
        return value


def read_axml(data: memoryview) -> Manifest:
    """Reads a binary XML manifest.

    Raises:
        FormatError: not binary XML, or without a `<manifest>` element.
    """
    return _collect(_axml_elements(data))


def read_proto(data: memoryview) -> Manifest:
    """Reads the protobuf manifest of an app bundle (AAB).

    Raises:
        FormatError: not that protobuf message, or without a `<manifest>` element.
    """
    if data.nbytes > _MAXIMUM_BYTES:
        raise FormatError(f"manifest: {data.nbytes} bytes, at most {_MAXIMUM_BYTES} are read")
    return _collect(_proto_elements(bytes(data), 0))


def _collect(elements: Iterator[_Element]) -> Manifest:
    root: _Element | None = None
    application: _Element | None = None
    sdk = _Element(tag="uses-sdk")
    permissions: dict[str, None] = {}
    features: dict[str, None] = {}
    libraries: dict[str, None] = {}
    components: dict[str, None] = {}
    meta_data: list[MetaData] = []
    for element in islice(elements, _MAXIMUM_ELEMENTS):
        tag, name = element.tag, element.text("name")
        if tag == "manifest" and root is None:
            root = element
        elif tag == "application" and application is None:
            application = element
        elif tag == "uses-sdk":
            sdk = element
        elif name is None:
            continue
        elif tag in _PERMISSIONS:
            permissions[name] = None
        elif tag == "uses-feature":
            features[name] = None
        elif tag == "uses-native-library":
            libraries[name] = None
        elif tag in _COMPONENTS:
            components[name] = None
        elif tag == "meta-data":
            meta_data.append(MetaData(name=name, value=element.text("value")))
    if root is None:
        raise FormatError("manifest: no <manifest> element found")
    application = application or _Element(tag="application")
    version, major = root.number("versionCode"), root.number("versionCodeMajor")
    if version is not None:
        version = (version & _NONE) | (((major or 0) & _NONE) << 32)
    return Manifest(
        package=root.text("package"),
        version_code=version if version is None or version < 1 << 63 else None,
        version_name=root.text("versionName"),
        label=application.text("label"),
        label_reference=application.references.get("label"),
        label_name=application.names.get("label"),
        split=root.text("split") or None,
        minimum_sdk=sdk.number("minSdkVersion"),
        target_sdk=sdk.number("targetSdkVersion"),
        permissions=tuple(permissions),
        features=tuple(features),
        native_libraries=tuple(libraries),
        components=tuple(components),
        meta_data=tuple(meta_data),
    )


# Binary XML


class StringPool:
    """A string pool chunk of binary XML or a resource table. Strings are decoded when asked for.

    Args:
        chunk: the chunk, from its own header on; it may be shorter than it claims.

    Raises:
        FormatError: too short for a header.
    """

    __slots__ = ("_count", "_data", "_known", "_start", "_utf8", "_width")

    def __init__(self, chunk: bytes | memoryview) -> None:
        if len(chunk) < 28:
            raise FormatError(f"string pool: {len(chunk)} bytes, at least 28 are needed")
        header, _, count, _, flags, start = struct.unpack_from("<HIIIII", chunk, 2)
        self._data = chunk
        self._width = header
        self._start = start
        self._utf8 = bool(flags & _UTF8_POOL)
        self._count: int = min(count, max(0, (len(chunk) - header) // 4))
        self._known: dict[int, str] = {}

    def __len__(self) -> int:
        return self._count

    def get(self, index: int) -> str | None:
        """The string of that index; None where there is none. Broken text is replaced."""
        known = self._known.get(index)
        if known is None:
            known = self._decoded(index)
            if known is not None and len(known) <= _REMEMBERED_TEXT:
                self._known[index] = known
        return known

    def _decoded(self, index: int) -> str | None:
        data = self._data
        if not 0 <= index < self._count:
            return None
        (offset,) = struct.unpack_from("<I", data, self._width + 4 * index)
        at = self._start + offset
        if at + 2 > len(data):
            return None
        if self._utf8:
            at += 2 if data[at] & 0x80 else 1  # length in UTF-16 units, not needed
            length, at = self._short_length(at)
            return bytes(data[at : at + min(length, _MAXIMUM_TEXT)]).decode(errors="replace")
        (length,) = struct.unpack_from("<H", data, at)
        at += 2
        if length & 0x8000 and at + 2 <= len(data):
            (low,) = struct.unpack_from("<H", data, at)
            length = (length & 0x7FFF) << 16 | low
            at += 2
        text = bytes(data[at : at + 2 * min(length, _MAXIMUM_TEXT)])
        return text[: len(text) & ~1].decode("utf-16-le", errors="replace")

    def _short_length(self, at: int) -> tuple[int, int]:
        first = self._data[at : at + 2]
        if len(first) == 2 and first[0] & 0x80:
            return ((first[0] & 0x7F) << 8 | first[1], at + 2)
        return (first[0] if first else 0, at + 1)


def chunks(data: bytes | memoryview, at: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of the chunks that follow each other from `at` on, clamped to the data."""
    while at + 8 <= len(data):
        kind, _, size = struct.unpack_from("<HHI", data, at)
        if size < 8:
            return
        yield (kind, at, min(at + size, len(data)))
        at += size


def _axml_elements(data: memoryview) -> Iterator[_Element]:
    if data.nbytes < 8:
        raise FormatError(f"manifest: {data.nbytes} bytes, expected binary XML")
    if data.nbytes > _MAXIMUM_BYTES:
        raise FormatError(f"manifest: {data.nbytes} bytes, at most {_MAXIMUM_BYTES} are read")
    raw = bytes(data)
    if raw.lstrip()[:1] == b"<":
        raise FormatError(
            "manifest: text XML; Android installs only binary XML (starts 03 00 08 00)"
        )
    strings: StringPool | None = None
    resources: tuple[int, ...] = ()
    # The kind in the file header is not checked: Android does not, and obfuscators change it.
    for kind, start, end in chunks(raw, 8):
        if kind == _STRING_POOL and strings is None:
            strings = StringPool(raw[start:end])
        elif kind == _RESOURCE_MAP:
            count = (end - start - 8) // 4
            resources = struct.unpack_from(f"<{count}I", raw, start + 8)
        elif kind == _START_ELEMENT and strings is not None:
            element = _axml_element(raw, start, end, strings, resources)
            if element is not None:
                yield element
    if strings is None:
        raise FormatError("manifest: no string pool; expected binary XML (starts 03 00 08 00)")


def _axml_element(
    raw: bytes, start: int, end: int, strings: StringPool, resources: tuple[int, ...]
) -> _Element | None:
    (header,) = struct.unpack_from("<H", raw, start + 2)
    body = start + header
    if body + 16 > end:
        return None
    _, name, first, stride, count = struct.unpack_from("<IIHHH", raw, body)
    element = _Element(tag=strings.get(name) or "")
    if stride < 20 or element.tag not in _READ_ELEMENTS:
        return element
    for index in range(min(count, _MAXIMUM_ATTRIBUTES)):
        at = body + first + index * stride
        if at + 20 > end:
            break
        _, key, text, _, _, kind, value = struct.unpack_from("<IIIHBBI", raw, at)
        resource = resources[key] if key < len(resources) else 0
        label = _ATTRIBUTES.get(resource)
        if label is None:
            label = strings.get(key) if not resource else None
            if label not in ("package", "split"):
                continue
        if kind == _REFERENCE:
            element.references[label] = value
            continue
        element.values.setdefault(label, _axml_value(strings, text, kind, value))
    return element


def _axml_value(strings: StringPool, text: int, kind: int, value: int) -> Value:
    if kind == _STRING:
        return strings.get(value)
    if kind == _BOOLEAN:
        return int(value != 0)
    if _FIRST_INT <= kind < 0x20:
        return value - (1 << 32) if value >> 31 else value
    return strings.get(text) if text != _NONE else None


# Protobuf


def _proto_elements(message: bytes, depth: int) -> Iterator[_Element]:
    """An XmlNode: 1 = element {3 name, 4 attribute, 5 child}, 2 = text."""
    if depth > _MAXIMUM_DEPTH:
        raise FormatError(f"manifest: elements nested over {_MAXIMUM_DEPTH} deep")
    for number, body in proto_fields(message):
        if number != 1 or not isinstance(body, bytes):
            continue
        element = _Element(tag="")
        children: list[bytes] = []
        for inner, value in proto_fields(body):
            if not isinstance(value, bytes):
                continue
            if inner == 3:
                element.tag = value.decode(errors="replace")
            elif inner == 4:
                _proto_attribute(value, element)
            elif inner == 5:
                children.append(value)
        yield element
        for child in children:
            yield from _proto_elements(child, depth + 1)


def _proto_attribute(message: bytes, element: _Element) -> None:
    """An XmlAttribute: 2 = name, 3 = value as text, 5 = resource number, 6 = compiled item."""
    name, text, resource = "", "", 0
    reference: tuple[int, str] | None = None
    for number, value in proto_fields(message):
        if isinstance(value, int):
            resource = value if number == 5 else resource
        elif number == 2:
            name = value.decode(errors="replace")
        elif number == 3:
            text = value.decode(errors="replace")
        elif number == 6:
            reference = proto_reference(value)
    label = _ATTRIBUTES.get(resource) or (name if name in ("package", "split") else None)
    if label is None:
        return
    if reference is not None or text.startswith("@"):
        number, name = reference or (0, "")
        element.references[label] = number
        element.names[label] = name or text.removeprefix("@").removeprefix("+")
    else:
        element.values.setdefault(label, text)


def proto_reference(item: bytes) -> tuple[int, str] | None:
    """Number and name (`string/app_name`) of the resource that an Item refers to, if it does.

    Item: 1 = reference {2 number, 3 name}.
    """
    for number, value in proto_fields(item):
        if number == 1 and isinstance(value, bytes):
            fields = dict(proto_fields(value))
            target, name = fields.get(2, 0), fields.get(3, b"")
            return (
                target if isinstance(target, int) else 0,
                name.decode(errors="replace") if isinstance(name, bytes) else "",
            )
    return None


def proto_fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values. **Source:** https://protobuf.dev/programming-guides/encoding/"""
    at, length = 0, len(message)
    while at < length:
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield (number, value)
            continue
        if wire == 2:
            size, at = _varint(message, at)
        else:
            size = {1: 8, 5: 4}.get(wire, -1)
        if size < 0 or not number or at + size > length:
            raise FormatError(f"manifest: broken protobuf field {number} at byte {at} of {length}")
        yield (number, message[at : at + size])
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value, at)
    raise FormatError(f"manifest: broken protobuf number before byte {at}")


# Stores


def read_xapk_index(data: memoryview) -> Manifest:
    """Reads the manifest.json of an XAPK, for bundles whose APKs cannot be read.

    Raises:
        FormatError: no JSON object, or too large.
    """
    if data.nbytes > _MAXIMUM_BYTES:
        raise FormatError(f"manifest.json: {data.nbytes} bytes, at most {_MAXIMUM_BYTES} are read")
    try:
        index = json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"manifest.json: {error}") from error
    if not isinstance(index, dict):
        raise FormatError("manifest.json: expected an object")

    def text(key: str) -> str | None:
        value = index.get(key)
        return str(value)[:_MAXIMUM_TEXT] if isinstance(value, str | int) and value else None

    code = text("version_code") or ""
    return Manifest(
        package=text("package_name"),
        version_code=int(code) if code.isascii() and code.isdigit() and len(code) < 19 else None,
        version_name=text("version_name"),
        label=text("name"),
    )


# iOS

_PLIST_ERRORS = (
    plistlib.InvalidFileException,
    expat.ExpatError,
    ValueError,  # covers text that is not UTF-8
    LookupError,  # a missing key or index, or an unknown encoding
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    struct.error,
)


def read_plist(data: memoryview) -> Manifest:
    """Reads an Info.plist, XML or binary.

    Raises:
        FormatError: not a property list, too large, or without a bundle identifier.
    """
    if data.nbytes > _MAXIMUM_PLIST_BYTES:
        raise FormatError(
            f"Info.plist: {data.nbytes} bytes, at most {_MAXIMUM_PLIST_BYTES} are read"
        )
    try:
        plist = plistlib.loads(bytes(data))
    except _PLIST_ERRORS as error:
        raise FormatError(f"Info.plist: not a property list: {error}") from error
    if not isinstance(plist, dict):
        raise FormatError("Info.plist: expected a dictionary at the top")

    def text(*keys: str) -> str | None:
        for key in keys:
            value = plist.get(key)
            if isinstance(value, str) and value:
                return value
        return None

    identifier = text("CFBundleIdentifier")
    if identifier is None:
        raise FormatError("Info.plist: no CFBundleIdentifier")
    build = text("CFBundleVersion") or ""
    numeric = build.isascii() and build.isdigit() and len(build) < 19
    usages = (k for k in plist if isinstance(k, str) and k.endswith("UsageDescription"))
    return Manifest(
        package=identifier,
        version_code=int(build) if numeric else None,
        version_name=text("CFBundleShortVersionString", "CFBundleVersion"),
        label=text("CFBundleDisplayName", "CFBundleName"),
        permissions=tuple(sorted(usages)),
    )

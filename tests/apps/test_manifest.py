"""Manifests: binary XML with the known obfuscations, protobuf, property lists."""

import plistlib
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.apps.axml import CODE, LABEL, MAJOR, MINIMUM, NAME, TARGET, VALUE, VERSION, Element, axml

from gaugenn.apps.manifest import Manifest, MetaData, read_axml, read_plist, read_proto
from gaugenn.errors import FormatError

SAMPLE: list[Element] = [
    ("manifest", [(CODE, 7), (VERSION, "1.5"), ("package", "org.example")]),
    ("uses-sdk", [(MINIMUM, 21), (TARGET, 34)]),
    ("uses-permission", [(NAME, "android.permission.CAMERA")]),
    ("uses-permission", [(NAME, "android.permission.INTERNET")]),
    ("uses-feature", [(NAME, "android.hardware.camera")]),
    ("application", [(LABEL, "Beispiel ä")]),
    ("uses-native-library", [(NAME, "libOpenCL.so")]),
    ("meta-data", [(NAME, "com.google.mlkit.vision.DEPENDENCIES"), (VALUE, "face,ocr")]),
    ("service", [(NAME, ".Worker")]),
]
EXPECTED = Manifest(
    package="org.example",
    version_code=7,
    version_name="1.5",
    label="Beispiel ä",
    minimum_sdk=21,
    target_sdk=34,
    permissions=("android.permission.CAMERA", "android.permission.INTERNET"),
    features=("android.hardware.camera",),
    native_libraries=("libOpenCL.so",),
    components=(".Worker",),
    meta_data=(MetaData(name="com.google.mlkit.vision.DEPENDENCIES", value="face,ocr"),),
)


@pytest.mark.parametrize("utf8", [False, True])
def test_a_binary_manifest_is_read(utf8: bool) -> None:
    assert read_axml(memoryview(axml(SAMPLE, utf8=utf8))) == EXPECTED


@pytest.mark.parametrize("stride", [20, 24, 60])
@pytest.mark.parametrize("gap", [0, 8])
@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("dummy", [True, False])
@pytest.mark.parametrize("magic", [3, 0, 8])
def test_known_obfuscations_change_nothing(
    stride: int, gap: int, names: bool, dummy: bool, magic: int
) -> None:
    data = axml(
        SAMPLE, stride=stride, gap=gap, names=names, dummy=dummy, magic=magic, claimed=10**6
    )
    assert read_axml(memoryview(data)) == EXPECTED


def test_a_name_faked_by_an_obfuscator_is_not_believed() -> None:
    fake = [("manifest", [("versionCode", 99), (CODE, 7), ("package", "org.example")])]
    assert read_axml(memoryview(axml(fake))).version_code == 7


def test_a_reference_is_no_label_but_its_number_is_kept() -> None:
    elements: list[Element] = [
        ("manifest", [("package", "a.b")]),
        ("application", [(LABEL, b"\x01\x00\x03\x7f")]),
    ]
    manifest = read_axml(memoryview(axml(elements)))
    assert (manifest.label, manifest.label_reference) == (None, 0x7F030001)


def test_the_major_version_is_the_upper_half() -> None:
    manifest = read_axml(memoryview(axml([("manifest", [(CODE, -1), (MAJOR, 2)])])))
    assert manifest.version_code == (2 << 32) | 0xFFFFFFFF


def test_a_split_names_itself() -> None:
    data = axml([("manifest", [("package", "a.b"), ("split", "config.arm64_v8a")])])
    assert read_axml(memoryview(data)).split == "config.arm64_v8a"


@pytest.mark.parametrize(
    "data", [b"", b"\x03\0\x08\0", b'<?xml version="1.0"?><manifest/>', axml([("other", [])])]
)
def test_what_is_no_binary_manifest_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match="manifest"):
        read_axml(memoryview(data))


def _field(number: int, body: bytes | int) -> bytes:
    def varint(value: int) -> bytes:
        out = b""
        while value > 0x7F:
            out += bytes([value & 0x7F | 0x80])
            value >>= 7
        return out + bytes([value])

    if isinstance(body, int):
        return varint(number << 3) + varint(body)
    return varint(number << 3 | 2) + varint(len(body)) + body


def proto(elements: Sequence[Element]) -> bytes:
    """A protobuf manifest; all elements become children of the first."""
    nodes = []
    for tag, attributes in elements:
        body = _field(3, tag.encode())
        for key, value in attributes:
            one = _field(2, key.encode()) if isinstance(key, str) else _field(5, key)
            text = "@ref" if isinstance(value, bytes) else str(value)
            body += _field(4, one + _field(3, text.encode()))
        nodes.append(body)
    root = nodes[0] + b"".join(_field(5, _field(1, node)) for node in nodes[1:])
    return _field(1, root)


def test_a_protobuf_manifest_gives_the_same() -> None:
    assert read_proto(memoryview(proto(SAMPLE))) == EXPECTED


def test_elements_nested_without_end_are_a_format_error() -> None:
    node = b""
    for _ in range(500):
        node = _field(1, _field(3, b"manifest") + _field(5, node))
    with pytest.raises(FormatError, match="nested over"):
        read_proto(memoryview(node))


@pytest.mark.parametrize("form", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_an_ios_property_list_is_read(form: plistlib.PlistFormat) -> None:
    plist = {
        "CFBundleIdentifier": "org.example.app",
        "CFBundleShortVersionString": "2.1",
        "CFBundleVersion": "210",
        "CFBundleDisplayName": "Example",
        "NSCameraUsageDescription": "to see",
    }
    manifest = read_plist(memoryview(plistlib.dumps(plist, fmt=form)))
    assert (manifest.package, manifest.version_code, manifest.version_name, manifest.label) == (
        *("org.example.app", 210, "2.1", "Example"),
    )
    assert manifest.permissions == ("NSCameraUsageDescription",)


def _deep() -> bytes:
    value: object = "x"
    for _ in range(300):
        value = [value]
    return plistlib.dumps({"CFBundleIdentifier": value}, fmt=plistlib.FMT_BINARY)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 2000), st.integers(0, 2000))
@example(b"", 0, 0)
@example(b"A", 30, 0)  # an unknown encoding in an XML declaration
def test_damaged_manifests_are_read_or_a_format_error(noise: bytes, at: int, cut: int) -> None:
    plist = {"CFBundleIdentifier": "a.b", "list": [1, 2.5, True, b"x", {"k": "v"}]}
    for base, read in (
        (axml(SAMPLE), read_axml),
        (proto(SAMPLE), read_proto),
        (plistlib.dumps(plist, fmt=plistlib.FMT_BINARY), read_plist),
        (plistlib.dumps(plist), read_plist),
        (_deep(), read_plist),
    ):
        place = at % len(base)
        for data in (
            base[:place] + noise + base[place + len(noise) :],
            base[: cut % len(base)],
            noise,
            base[:8] + noise,
        ):
            try:
                assert isinstance(read(memoryview(data)), Manifest)
            except FormatError:
                continue

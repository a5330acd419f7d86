"""Binary XML manifests, assembled so that every field can lie."""

import struct
from collections.abc import Sequence

NAME, LABEL, VALUE = 0x01010003, 0x01010001, 0x01010024
CODE, VERSION, MAJOR = 0x0101021B, 0x0101021C, 0x01010576
MINIMUM, TARGET = 0x0101020C, 0x01010270

Attribute = tuple[int | str, str | int | bytes]
"""Resource number or name; text, number or (as bytes) a 4-byte reference."""
Element = tuple[str, Sequence[Attribute]]


def _chunk(kind: int, header: bytes, body: bytes) -> bytes:
    return struct.pack("<HHI", kind, 8 + len(header), 8 + len(header) + len(body)) + header + body


def _pool(strings: list[str], *, utf8: bool, claimed: int | None = None) -> bytes:
    offsets, blob = b"", b""
    for string in strings:
        offsets += struct.pack("<I", len(blob))
        if utf8:
            raw = string.encode()
            blob += bytes([len(string), len(raw)]) + raw + b"\0"
        else:
            blob += struct.pack("<H", len(string)) + string.encode("utf-16-le") + b"\0\0"
    count = len(strings) if claimed is None else claimed
    header = struct.pack("<IIIII", count, 0, 0x100 * utf8, 28 + len(offsets), 0)
    return _chunk(1, header, offsets + blob)


def axml(
    elements: Sequence[Element],
    *,
    utf8: bool = False,
    stride: int = 20,
    gap: int = 0,
    names: bool = True,
    dummy: bool = False,
    claimed: int | None = None,
    magic: int = 3,
) -> bytes:
    """A binary manifest; the options are what obfuscators do to it."""
    resources = sorted({k for _, at in elements for k, _ in at if isinstance(k, int)})
    strings = [f"name{r:x}" if names else "" for r in resources]

    def index(text: str) -> int:
        if text not in strings[len(resources) :]:
            strings.append(text)
        return len(resources) + strings[len(resources) :].index(text)

    body = b""
    for tag, attributes in elements:
        packed = b""
        for key, value in attributes:
            place = resources.index(key) if isinstance(key, int) else index(key)
            if isinstance(value, str):
                kind, number = 3, index(value)
            elif isinstance(value, bytes):
                kind, number = 1, int.from_bytes(value, "little")
            else:
                kind, number = 16, value & 0xFFFFFFFF
            text = 0xFFFFFFFF
            one = struct.pack("<IIIHBBI", 0xFFFFFFFF, place, text, 8, 0, kind, number)
            packed += one + b"\xaa" * (stride - 20)
        start = struct.pack(
            "<IIHHHHHH", 0xFFFFFFFF, index(tag), 20 + gap, stride, len(attributes), 0, 0, 0
        )
        body += _chunk(0x102, struct.pack("<II", 1, 0xFFFFFFFF), start + b"\xbb" * gap + packed)
    pool = _pool(strings, utf8=utf8, claimed=claimed)
    mapping = _chunk(0x180, b"", struct.pack(f"<{len(resources)}I", *resources))
    extra = _chunk(0x7777, b"", b"\xcc" * 12) if dummy else b""
    whole = extra + pool + mapping + body
    return struct.pack("<HHI", magic, 8, 8 + len(whole)) + whole


def manifest(package: str, version_code: int, split: str | None = None) -> bytes:
    """The smallest manifest that says what an APK belongs to."""
    root: list[Attribute] = [(CODE, version_code), ("package", package)]
    if split is not None:
        root.append(("split", split))
    return axml([("manifest", root)])

"""What apps put around a model: compression, base64, a byte-wise XOR, a header of their own.

A wrapping is recognised from the head alone wherever that is proof enough: what it hides must begin
with a signature. Two kinds prove less, a signature somewhere behind foreign bytes and an XOR against
a signature of one to three bytes; these are `doubtful`, and whoever asks must read the model first.
"""

import base64
import binascii
import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._contract import HEAD_BYTES, Magic

DEPTH = 2
"""Wrappings around each other that are taken off."""

STRONG_BYTES = 4
"""Length from which a signature under XOR is proof: the key takes one byte, 24 bits remain."""

MOST_BYTES = 1 << 30
"""Size of what comes out."""

MOST_RATIO = 200
RATIO_FREE_BYTES = 16 << 20
"""Bytes that come out for one that goes in, above a size where that could hurt. Weights of a
pruned model compress tenfold; the most that deflate can do is 1032."""

BASE64_MINIMUM_BYTES = 1024
OFFSET_MAXIMUM_BYTES = 4096
"""The longest foreign header. Longer ones are taken for a file of their own with a model inside."""

_OFFSETS_TRIED = 64
_READ_AT_MOST = 4
"""Places where a signature stands that are looked at, and those of them that a reader is tried on."""

_XZ_MEMORY_BYTES = 128 << 20
_BZIP2_BLOCK_BYTES = 1 << 20
"""Nothing comes out of bzip2 before a block, 900 kB at most, is in."""
_PIECE_BYTES = 1 << 18

_LZMA = b"\x5d\x00\x00"
"""The predecessor of xz, which joblib writes as well: the usual properties, and a dictionary of a whole
number of 64 KiB. **Source:** section 1.1 of https://tukaani.org/lzma/lzma-format.txt"""

_GZIP = b"\x1f\x8b\x08"
_XZ = b"\xfd7zXZ\x00"
_BZIP2 = b"BZh"
"""**Source:** RFC 1952, https://www.rfc-editor.org/rfc/rfc1952;
https://tukaani.org/xz/xz-file-format.txt; https://sourceware.org/bzip2/
"""

_BASE64 = re.compile(rb"[A-Za-z0-9+/\r\n]+={0,2}\s*")
_SPACES = b" \t\r\n"

_SUFFIXES = {
    "gzip": (".gz", ".gzip"),
    "xz": (".xz",),
    "lzma": (".lzma",),
    "bzip2": (".bz2",),
    "zlib": (".zz", ".zlib"),
    "base64": (".b64", ".base64"),
}

Claims = Callable[[bytes], tuple[str, ...]]
"""Names of the readers that claim a head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    name: str
    head: bytes
    """The first bytes of what is inside."""
    open: Callable[[memoryview], memoryview]
    """All of what is inside; FormatError where it is broken or too much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A model seen through its wrappings.

    Attributes:
        formats: readers that claim what is inside.
        layers: the wrappings, the outermost first.
    """

    formats: tuple[str, ...]
    layers: tuple[_Layer, ...]

    @property
    def name(self) -> str:
        """The wrappings' names, the outermost first: `gzip+xor-0x5a`."""
        return "+".join(layer.name for layer in self.layers)

    def open(self, content: Content) -> Content:
        """The model without its wrappings, under its name without their suffixes.

        Raises:
            FormatError: broken, cut off, or larger than allowed.
        """
        data, name = content.data, content.name
        for layer in self.layers:
            try:
                data = layer.open(data)
            except FormatError as error:
                raise FormatError(f"{content.name}: {layer.name}: {error}") from error
            name = _inner_name(name, layer.name)
        return Content(name=name, data=data, neighbours=content.neighbours)


def proven(
    head: bytes, claims: Claims, magics: Iterable[Magic], *, named: bool, depth: int = DEPTH
) -> Wrapped | None:
    """What the head alone proves to be a wrapped model.

    Args:
        head: the first bytes of a file that no reader claims.
        claims: says which readers claim the bytes inside.
        magics: of all readers.
        named: the file's name speaks of a model. Without, only gzip is looked into.
        depth: wrappings to take off at most.
    """
    known = tuple(magics)
    for layer in _layers(head, known, named=named):
        formats = claims(layer.head)
        if formats:
            return Wrapped(formats=formats, layers=(layer,))
        inner = None
        if depth > 1:
            inner = proven(layer.head, claims, known, named=True, depth=depth - 1)
        if inner is not None:
            return Wrapped(formats=inner.formats, layers=(layer, *inner.layers))
    return None


def doubtful(head: bytes, claims: Claims, magics: Iterable[Magic]) -> Iterator[Wrapped]:
    """What may be a wrapped model and is one only if it can be read.

    Args:
        head: the first `HEAD_BYTES` of the file or more; bzip2 shows nothing before a megabyte.
        claims: says which readers claim the bytes inside.
        magics: of all readers.
    """
    known = tuple(magics)
    layers = [*_bzip2(head), *_foreign_headers(head, known)]
    layers += _xors(head, (each for each in known if len(each[1]) < STRONG_BYTES))
    claimed = 0
    for layer in layers:
        formats = claims(layer.head)
        if formats:
            yield Wrapped(formats=formats, layers=(layer,))
            claimed += 1
            if claimed == _READ_AT_MOST:
                return


def needs_more(head: bytes) -> bool:
    """Whether more than the usual head is needed for a look inside."""
    return head.startswith(_BZIP2)


def deep_head(content: Content) -> bytes:
    """As much of a file as `doubtful` can use."""
    return content.head(_BZIP2_BLOCK_BYTES if needs_more(content.head(3)) else 3 * HEAD_BYTES)


def _layers(head: bytes, magics: tuple[Magic, ...], *, named: bool) -> Iterator[_Layer]:
    yield from _gzip(head)
    if not named:
        return
    yield from _xz(head)
    yield from _zlib(head)
    yield from _base64(head)
    compressed = ((0, _GZIP),)  # its check sum is proof
    strong = (each for each in magics if len(each[1]) >= STRONG_BYTES)
    yield from _xors(head, (*strong, *compressed))


def _gzip(head: bytes) -> Iterator[_Layer]:
    if head.startswith(_GZIP):
        yield from _deflated("gzip", head, 16 + zlib.MAX_WBITS)


def _zlib(head: bytes) -> Iterator[_Layer]:
    """**Source:** RFC 1950 section 2.2, https://www.rfc-editor.org/rfc/rfc1950"""
    if len(head) > 2 and head[0] & 0x8F == 8 and not int.from_bytes(head[:2], "big") % 31:
        yield from _deflated("zlib", head, zlib.MAX_WBITS)


def _deflated(name: str, head: bytes, window: int) -> Iterator[_Layer]:
    try:
        inner = zlib.decompressobj(window).decompress(head, HEAD_BYTES)
    except zlib.error:
        return
    if inner:
        yield _Layer(
            name=name, head=inner, open=lambda data: _joined(_inflate(data, window), data.nbytes)
        )


def _inflate(data: memoryview, window: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(window)
    for start in range(0, data.nbytes, _PIECE_BYTES):
        piece: bytes | memoryview = data[start : start + _PIECE_BYTES]
        while piece and not inflater.eof:
            try:
                yield inflater.decompress(piece, 4 * _PIECE_BYTES)
            except zlib.error as error:
                raise FormatError(f"broken data: {error}") from error
            piece = inflater.unconsumed_tail
    if not inflater.eof:
        raise FormatError("data without an end; the file is cut off")


def _xz(head: bytes) -> Iterator[_Layer]:
    for name, magic, kind in (("xz", _XZ, lzma.FORMAT_XZ), ("lzma", _LZMA, lzma.FORMAT_ALONE)):
        if not head.startswith(magic):
            continue
        try:
            inner = _xz_decompressor(kind).decompress(head, HEAD_BYTES)
        except lzma.LZMAError:
            continue
        if inner:
            yield _Layer(
                name=name,
                head=inner,
                open=lambda data, kind=kind: _joined(  # type: ignore[misc]
                    _decompress(data, _xz_decompressor(kind)), data.nbytes
                ),
            )


def _xz_decompressor(kind: int) -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=kind, memlimit=_XZ_MEMORY_BYTES)


def _bzip2(head: bytes) -> Iterator[_Layer]:
    if not head.startswith(_BZIP2):
        return
    try:
        inner = bz2.BZ2Decompressor().decompress(head, HEAD_BYTES)
    except OSError:
        return
    if inner:
        yield _Layer(
            name="bzip2",
            head=inner,
            open=lambda data: _joined(_decompress(data, bz2.BZ2Decompressor()), data.nbytes),
        )


def _decompress(
    data: memoryview, decompressor: lzma.LZMADecompressor | bz2.BZ2Decompressor
) -> Iterator[bytes]:
    start = 0
    while not decompressor.eof:
        piece = data[start : start + _PIECE_BYTES] if decompressor.needs_input else data[:0]
        if decompressor.needs_input and not piece:
            raise FormatError("data without an end; the file is cut off")
        start += piece.nbytes
        try:
            yield decompressor.decompress(piece, 4 * _PIECE_BYTES)
        except (lzma.LZMAError, OSError) as error:
            raise FormatError(f"broken data: {error}") from error


def _joined(pieces: Iterator[bytes], packed_bytes: int) -> memoryview:
    """All that comes out, within the limits."""
    most = min(MOST_BYTES, max(RATIO_FREE_BYTES, MOST_RATIO * packed_bytes))
    out = bytearray()
    for piece in pieces:
        out += piece
        if len(out) > most:
            raise FormatError(f"more than {most} bytes come out of {packed_bytes}: a bomb")
    return memoryview(out).toreadonly()


def _base64(head: bytes) -> Iterator[_Layer]:
    """**Source:** RFC 4648 section 4, https://www.rfc-editor.org/rfc/rfc4648"""
    if len(head) < BASE64_MINIMUM_BYTES or not _BASE64.fullmatch(head):
        return
    text = head.translate(None, _SPACES).rstrip(b"=")
    inner = base64.b64decode(text[: len(text) // 4 * 4])
    yield _Layer(name="base64", head=inner, open=_from_base64)


def _from_base64(data: memoryview) -> memoryview:
    _bound(data)
    try:
        found = base64.b64decode(bytes(data).translate(None, _SPACES), validate=True)
    except binascii.Error as error:
        raise FormatError(f"broken data: {error}") from error
    return memoryview(found)


def _xors(head: bytes, magics: Iterable[Magic]) -> Iterator[_Layer]:
    """One layer for each key under which a signature stands in its place; no key is guessed."""
    keys: dict[int, None] = {}
    for offset, magic in magics:
        seen = head[offset : offset + len(magic)]
        if len(seen) == len(magic):
            key = seen[0] ^ magic[0]
            if key and seen[-1] ^ magic[-1] == key and _differ_by(key, seen, magic):
                keys[key] = None
    for key in keys:
        table = bytes(value ^ key for value in range(256))
        yield _Layer(
            name=f"xor-0x{key:02x}",
            head=head[:HEAD_BYTES].translate(table),
            open=lambda data, key=key: _xor(data, key),  # type: ignore[misc]
        )


def _differ_by(key: int, seen: bytes, magic: bytes) -> bool:
    return all(a ^ b == key for a, b in zip(seen, magic, strict=True))


def _xor(data: memoryview, key: int) -> memoryview:
    _bound(data)
    return np.bitwise_xor(np.frombuffer(data, np.uint8), np.uint8(key)).data.toreadonly()


def _foreign_headers(head: bytes, magics: tuple[Magic, ...]) -> Iterator[_Layer]:
    starts: set[int] = set()
    for offset, magic in magics:
        at = -1
        while len(magic) >= STRONG_BYTES and (at := head.find(magic, at + 1)) >= 0:
            if 0 < at - offset <= OFFSET_MAXIMUM_BYTES:
                starts.add(at - offset)
    for start in sorted(starts)[:_OFFSETS_TRIED]:
        yield _Layer(
            name=f"offset-{start}",
            head=head[start : start + HEAD_BYTES],
            open=lambda data, start=start: data[start:],  # type: ignore[misc]
        )


def _bound(data: memoryview) -> None:
    if data.nbytes > MOST_BYTES:
        raise FormatError(f"{data.nbytes} bytes, at most {MOST_BYTES} are unwrapped")


def _inner_name(name: str, wrapping: str) -> str:
    for suffix in _SUFFIXES.get(wrapping, ()):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name

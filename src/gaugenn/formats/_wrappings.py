"""What apps put around a model: compression, base64, a byte-wise XOR, a header of their own.

A wrapping is recognised from the head alone wherever that is proof enough: what it hides must begin
with a signature. Two kinds prove less, a signature somewhere behind foreign bytes and an XOR against
a signature of one to three bytes; these are `doubtful`, and whoever asks must read the model first.
"""

import base64
import binascii
import bz2
import contextlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import lz4.frame
import numpy as np
import zstandard

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
_ZSTD_WINDOW_BYTES = 128 << 20
"""What `zstd --long` asks for at most, and what its decompressor allows unless told otherwise."""
_ZSTD_PIECE_BYTES = 1 << 9
"""Goes in at once: a block of 128 KiB may be packed into 4 bytes, so 16 MiB may come out."""
_PIECE_BYTES = 1 << 18

_LZMA = b"\x5d\x00\x00"
"""The predecessor of xz, which joblib writes as well: the usual properties, and a dictionary of a whole
number of 64 KiB. **Source:** section 1.1 of https://tukaani.org/lzma/lzma-format.txt"""

_GZIP = b"\x1f\x8b\x08"
_XZ = b"\xfd7zXZ\x00"
_BZIP2 = b"BZh"
_ZSTD = b"\x28\xb5\x2f\xfd"
_LZ4 = b"\x04\x22\x4d\x18"
"""**Source:** RFC 1952, https://www.rfc-editor.org/rfc/rfc1952;
https://tukaani.org/xz/xz-file-format.txt; https://sourceware.org/bzip2/; RFC 8878,
https://www.rfc-editor.org/rfc/rfc8878; https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
"""

_BLOCK_BYTES = {_BZIP2: 1 << 20, _ZSTD: 1 << 18, _LZ4: (4 << 20) + 64}
"""How much must go in before anything comes out, which is a block: 900 kB at most of bzip2, 128 KiB of
Zstandard, 4 MiB of LZ4, and headers. **Source:** as above."""

_BASE64 = re.compile(rb"[A-Za-z0-9+/\r\n]+={0,2}\s*")
_SPACES = b" \t\r\n"

_SUFFIXES = {
    "gzip": (".gz", ".gzip"),
    "xz": (".xz",),
    "lzma": (".lzma",),
    "bzip2": (".bz2",),
    "zstd": (".zst", ".zstd"),
    "lz4": (".lz4",),
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
        head: the first `HEAD_BYTES` of the file or more; some compressors show
            nothing before a megabyte or more.
        claims: says which readers claim the bytes inside.
        magics: of all readers.
    """
    known = tuple(magics)
    if needs_more(head):  # what stands in it uncompressed is no file of its own
        layers = [*_blockwise(head)]
    else:
        layers = [*_foreign_headers(head, known)]
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
    return head.startswith(tuple(_BLOCK_BYTES))


def deep_head(content: Content) -> bytes:
    """As much of a file as `doubtful` can use."""
    start = content.head(4)
    needed = next((size for magic, size in _BLOCK_BYTES.items() if start.startswith(magic)), 0)
    return content.head(needed or 3 * HEAD_BYTES)


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


def _blockwise(head: bytes) -> Iterator[_Layer]:
    """What compresses block by block, and shows nothing before the first whole one."""
    for magic, name, unpack in (
        (_BZIP2, "bzip2", _unpack_bzip2),
        (_ZSTD, "zstd", _unpack_zstd),
        (_LZ4, "lz4", _unpack_lz4),
    ):
        if not head.startswith(magic):
            continue
        inner = bytearray()
        with contextlib.suppress(FormatError):  # the head is cut off as a rule
            for piece in unpack(memoryview(head)):
                inner += piece
                if len(inner) >= HEAD_BYTES:
                    break
        if inner:
            yield _Layer(
                name=name,
                head=bytes(inner[:HEAD_BYTES]),
                open=lambda data, unpack=unpack: _joined(unpack(data), data.nbytes),  # type: ignore[misc]
            )


def _unpack_bzip2(data: memoryview) -> Iterator[bytes]:
    return _decompress(data, bz2.BZ2Decompressor())


def _unpack_lz4(data: memoryview) -> Iterator[bytes]:
    return _decompress(data, lz4.frame.LZ4FrameDecompressor())


def _unpack_zstd(data: memoryview) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    for start in range(0, data.nbytes, _ZSTD_PIECE_BYTES):
        try:
            yield inflater.decompress(data[start : start + _ZSTD_PIECE_BYTES])
        except zstandard.ZstdError as error:
            raise FormatError(f"broken data: {error}") from error
        if inflater.eof:
            return
    raise FormatError("data without an end; the file is cut off")


def _decompress(
    data: memoryview,
    decompressor: lzma.LZMADecompressor | bz2.BZ2Decompressor | lz4.frame.LZ4FrameDecompressor,
) -> Iterator[bytes]:
    start = 0
    while not decompressor.eof:
        piece = data[start : start + _PIECE_BYTES] if decompressor.needs_input else data[:0]
        if decompressor.needs_input and not piece:
            raise FormatError("data without an end; the file is cut off")
        start += piece.nbytes
        try:
            yield decompressor.decompress(piece, 4 * _PIECE_BYTES)
        except (lzma.LZMAError, OSError, RuntimeError) as error:
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

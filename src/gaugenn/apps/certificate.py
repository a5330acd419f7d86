"""Which key signed an Android package: SHA-256 of the signer's X.509 certificate.

**Source:** https://source.android.com/docs/security/features/apksigning/v2 and /v3 for the signing
block; RFC 5652 (sections 3 and 5.1) and X.690 (section 8) for the older META-INF/*.RSA files.
"""

import hashlib
import struct
from collections.abc import Iterator

from gaugenn.apps.archive import Archive
from gaugenn.errors import LimitError, PackageError

_BLOCK_MAGIC = b"APK Sig Block 42"
_V3_ROTATED, _V3, _V2 = 0x1B93_AD61, 0xF053_68C0, 0x7109_871A
_V1_SUFFIXES = (".RSA", ".DSA", ".EC")
_MAXIMUM_BLOCK_BYTES = 16 << 20
_SEQUENCE, _CONTEXT_0 = 0x30, 0xA0


def certificate_sha256(data: memoryview, archive: Archive) -> str | None:
    """Digest (lower-case hex) of the first signer's first certificate; None for unsigned packages.

    The newest scheme present decides: v3.1, v3, v2, then v1. No signature is verified.

    Args:
        data: the whole package.
        archive: the package's directory.
    """
    blocks = dict(_signing_blocks(data, archive.directory_offset))
    for scheme in (_V3_ROTATED, _V3, _V2):
        certificate = _scheme_certificate(blocks.get(scheme, b""))
        if certificate:
            return hashlib.sha256(certificate).hexdigest()
    for entry in archive.entries:
        name = entry.name.upper()
        if name.startswith("META-INF/") and name.endswith(_V1_SUFFIXES) and name.count("/") == 1:
            try:
                certificate = _pkcs7_certificate(bytes(archive.read(entry)))
            except (PackageError, LimitError):
                continue
            if certificate:
                return hashlib.sha256(certificate).hexdigest()
    return None


def _signing_blocks(data: memoryview, directory: int | None) -> Iterator[tuple[int, bytes]]:
    """Number and value of each part of the signing block, which ends where the directory starts."""
    if directory is None or directory < 32 or data[directory - 16 : directory] != _BLOCK_MAGIC:
        return
    (size,) = struct.unpack_from("<Q", data, directory - 24)
    if not 24 <= size <= min(directory - 8, _MAXIMUM_BLOCK_BYTES):
        return
    block = bytes(data[directory - size : directory - 24])
    at = 0
    while at + 12 <= len(block):
        length, number = struct.unpack_from("<QI", block, at)
        if length < 4 or at + 8 + length > len(block):
            return
        yield (number, block[at + 12 : at + 8 + length])
        at += 8 + length


def _prefixed(data: bytes, at: int = 0) -> bytes:
    """The value whose 32-bit length stands at `at`; empty where it does not fit."""
    if at + 4 > len(data):
        return b""
    (length,) = struct.unpack_from("<I", data, at)
    return data[at + 4 : at + 4 + length] if at + 4 + length <= len(data) else b""


def _scheme_certificate(value: bytes) -> bytes:
    """Signers > signer > signed data {digests, certificates {certificate, ...}, ...}."""
    signed = _prefixed(_prefixed(_prefixed(value)))
    digests = _prefixed(signed)
    return _prefixed(_prefixed(signed, 4 + len(digests)))


def _der(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the value of the element at `at`; the end is never past the data."""
    if at + 2 > len(data):
        return (0, len(data), len(data))
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        width = length & 0x7F
        length = int.from_bytes(data[start : start + width], "big")
        start += width
    return (tag, min(start, len(data)), min(start + length, len(data)))


def _pkcs7_certificate(data: bytes) -> bytes:
    """ContentInfo {type, [0] SignedData {version, digests, content, [0] {certificate, ...}, ...}}."""
    tag, at, _ = _der(data, 0)
    if tag != _SEQUENCE:
        return b""
    _, _, at = _der(data, at)  # skip the content type
    tag, at, _ = _der(data, at)
    if tag != _CONTEXT_0:
        return b""
    tag, at, end = _der(data, at)
    for _ in range(3):  # skip version, digest algorithms, content
        _, _, at = _der(data, at)
    tag, at, _ = _der(data, at)
    if tag != _CONTEXT_0 or at >= end:
        return b""
    tag, _, stop = _der(data, at)
    return data[at:stop] if tag == _SEQUENCE else b""

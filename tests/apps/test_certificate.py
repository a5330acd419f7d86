"""Signing blocks and older signature files, with lengths that lie."""

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.apps.archive import Archive
from gaugenn.apps.certificate import _pkcs7_certificate, _scheme_certificate, certificate_sha256

Make = Callable[..., bytes]
Parts = Any

CERTIFICATE = b"\x30\x82\x01\x00" + bytes(range(256))
OTHER = b"\x30\x03\x02\x01\x05"


def _prefixed(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack("<I", len(body)) + body


def _scheme(certificate: bytes) -> bytes:
    digests = _prefixed(_prefixed(b"\x03\x01\0\0", _prefixed(b"d" * 32)))
    signed = _prefixed(digests, _prefixed(_prefixed(certificate), _prefixed(OTHER)), _prefixed())
    return _prefixed(_prefixed(signed, _prefixed(), _prefixed()))


def _block(*pairs: tuple[int, bytes]) -> bytes:
    body = b"".join(struct.pack("<QI", len(v) + 4, k) + v for k, v in pairs)
    size = struct.pack("<Q", len(body) + 24)
    return size + body + size + b"APK Sig Block 42"


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes(2, "big")
    return bytes([tag, 0x82]) + length + body


def _pkcs7(certificate: bytes) -> bytes:
    signed = _der(
        0x30,
        *(_der(0x02, b"\x01"), _der(0x31), _der(0x30, _der(0x06, b"\x2a"))),
        *(_der(0xA0, certificate, OTHER), _der(0x31)),
    )
    return _der(0x30, _der(0x06, b"\x2a\x86"), _der(0xA0, signed))


def _digest(data: bytes) -> str | None:
    return certificate_sha256(memoryview(data), Archive(memoryview(data)))


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_newest_scheme_decides(make_zip: Make, part: Parts) -> None:
    v1 = part(name=b"META-INF/CERT.RSA", data=_pkcs7(OTHER))
    both = _block((0x7109871A, _scheme(OTHER)), (0xF05368C0, _scheme(CERTIFICATE)))
    assert _digest(make_zip([v1], block=both)) == _sha(CERTIFICATE)
    assert _digest(make_zip([v1], block=_block((0x7109871A, _scheme(CERTIFICATE))))) == _sha(
        CERTIFICATE
    )
    assert _digest(make_zip([v1])) == _sha(OTHER)
    assert _digest(make_zip([part(name=b"a")])) is None


def test_older_signatures_give_their_first_certificate(make_zip: Make, part: Parts) -> None:
    for name in (b"META-INF/CERT.RSA", b"META-INF/x.EC", b"META-INF/Y.dsa"):
        assert _digest(make_zip([part(name=name, data=_pkcs7(CERTIFICATE))])) == _sha(CERTIFICATE)
    assert _digest(make_zip([part(name=b"META-INF/deep/C.RSA", data=_pkcs7(OTHER))])) is None


@pytest.mark.parametrize("size", [0, 23, 1 << 40, (1 << 64) - 1])
def test_a_block_whose_size_lies_is_no_signature(make_zip: Make, part: Parts, size: int) -> None:
    block = bytearray(_block((0xF05368C0, _scheme(CERTIFICATE))))
    struct.pack_into("<Q", block, len(block) - 24, size)
    assert _digest(make_zip([part(name=b"a")], block=bytes(block))) is None


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_gives_a_slice_or_nothing(data: st.DataObject) -> None:
    for base, read in (
        (_scheme(CERTIFICATE), _scheme_certificate),
        (_pkcs7(CERTIFICATE), _pkcs7_certificate),
    ):
        raw = bytearray(base)
        for _ in range(data.draw(st.integers(0, 5))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        found = read(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
        assert found in bytes(raw)

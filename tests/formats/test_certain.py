"""Most members of a package are told by their first bytes, and no reader is asked about them."""

import base64

import numpy as np
import pytest

from gaugenn.formats import HEAD_BYTES, Identification, _foreign, _identify, identify_head, readers
from gaugenn.records import FileKind
from tests.formats.samples import Sample, all_samples, refused_samples

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ANDROID = b"http://schemas.android.com/apk/res/android"
SIGNED = b"\x30\x82\x05\x10\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"

CERTAIN = {
    "icon.png": PIXEL,
    "res/layout/main.xml": b"\x03\x00\x08\x00" + bytes(60),
    "classes.dex": b"dex\n035\0" + bytes(104),
    "lib/arm64-v8a/liba.so": b"\x7fELF\x02\x01\x01" + bytes(57),
    "A.class": b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(56),
    "little.res": b"\x20\x00\xda\x27\x14\x00\x00\x00" + bytes(56),
    "big.res": b"\x00\x20\xda\x27\x00\x14\x00\x00" + bytes(56),
    "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\n\r\n",
    "META-INF/CERT.SF": b"Signature-Version: 1.0\r\n\r\n",
    "META-INF/CERT.RSA": SIGNED + bytes(49),
    "base/res/menu.xml": b"\n\x40\n\x35\n\x07android\x12\x2a" + ANDROID,
    "models/face.tflite": PIXEL,
    "models/face_model": PIXEL,
}


def _asking_everybody(name: str, data: bytes) -> Identification | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_foreign, "certain", lambda _head: None)
        return identify_head(name, data[:HEAD_BYTES], len(data))


@pytest.mark.parametrize("name", CERTAIN)
def test_files_of_a_certain_kind_are_told_without_asking_a_reader(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = CERTAIN[name]
    expected = _asking_everybody(name, data)
    assert expected is not None
    assert expected.kind is FileKind.UNKNOWN
    for reader in readers().values():
        monkeypatch.setattr(type(reader), "sniff", lambda *_: pytest.fail("a reader was asked"))
    assert identify_head(name, data[:HEAD_BYTES], len(data)) == expected


@pytest.mark.parametrize(
    "sample", [*all_samples(), *refused_samples()], ids=lambda each: f"{each.format}-{each.name}"
)
def test_no_model_begins_like_a_file_of_a_certain_kind(sample: Sample) -> None:
    assert _foreign.certain(sample.data()[:HEAD_BYTES]) is None


@pytest.mark.parametrize("name", CERTAIN)
@pytest.mark.parametrize("size", [0, 8, 200, 4000])
def test_no_reader_claims_what_begins_like_a_file_of_a_certain_kind(name: str, size: int) -> None:
    start = CERTAIN[name].rstrip(b"\0")
    for seed in range(20):
        data = start + np.random.default_rng(seed).bytes(size)
        assert _identify._claimants("a", data) == ()


def test_a_certain_beginning_does_not_keep_weights_from_their_graph() -> None:
    assert identify_head("net.data-00000-of-00001", PIXEL, len(PIXEL)) is None

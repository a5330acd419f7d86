"""Identification decides by content, nominates by name, and always says why."""

import base64
import csv
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from gaugenn.content import Content, from_bytes, open_file
from gaugenn.errors import FormatError
from gaugenn.formats import _candidates, _foreign, _identify, identify, read_model
from gaugenn.formats._contract import FormatReader
from gaugenn.graph import Graph, Model
from gaugenn.records import FileKind

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def random_bytes(size: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).bytes(size)


class Numbered(FormatReader):
    """A format of the tests: `MODEL` and a digit; 9 is broken."""

    title = "Numbered"
    spec = "https://example.invalid"
    suffixes = (".graph",)
    weights_suffixes = (".bin", ".wts")

    def sniff(self, name: str, head: bytes) -> bool:  # noqa: ARG002
        return head.startswith(b"MODEL")

    def read(self, content: Content) -> Model:
        if content.head(6) == b"MODEL9":
            raise FormatError("a nine")
        graph = Graph(name="", tensors={}, nodes=(), inputs=(), outputs=())
        return Model(format="numbered", format_version="", producer="", graphs=(graph,))


class Careless(Numbered):
    """Claims the same bytes and can read none."""

    weights_suffixes = ()

    def read(self, content: Content) -> Model:
        raise FormatError(f"{content.name}: not mine")


class Raising(Numbered):
    """Cannot even say what its companions are."""

    def companions(self, content: Content) -> tuple[Content, ...]:
        raise FormatError(f"{content.name}: no")


@pytest.fixture(autouse=True)
def _fake_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {"numbered": Numbered()})


def use(monkeypatch: pytest.MonkeyPatch, readers: Mapping[str, FormatReader]) -> None:
    monkeypatch.setattr(_identify, "readers", lambda: readers)
    monkeypatch.setattr(
        _identify,
        "_suffixes",
        lambda: frozenset(s for r in readers.values() for s in (*r.suffixes, *r.weights_suffixes)),
    )
    monkeypatch.setattr(_identify, "_naming_graphs", lambda: tuple(readers.values()))
    monkeypatch.setattr(
        _identify, "_magics", lambda: tuple(m for r in readers.values() for m in r.magics)
    )
    monkeypatch.setattr(
        _identify,
        "_weights_suffixes",
        lambda: tuple(s for r in readers.values() for s in r.weights_suffixes),
    )


def folder(files: Mapping[str, bytes], name: str) -> Content:
    def neighbours(other: str) -> Content | None:
        return folder(files, other) if other in files else None

    return from_bytes(name, files[name], neighbours)


def test_the_historic_list_has_exactly_69_entries_and_shares_none_with_the_additions() -> None:
    assert len(_candidates.HISTORIC) == 69
    assert not _candidates.HISTORIC & _candidates.ADDED
    assert _candidates.GENERIC <= _candidates.HISTORIC | _candidates.ADDED


def test_the_historic_list_is_frozen() -> None:
    listed = " ".join(sorted(_candidates.HISTORIC))
    assert hashlib.sha256(listed.encode()).hexdigest()[:16] == "28390141b0de570e"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("assets/a.tflite", ".tflite"),
        ("A.TFLITE", ".tflite"),
        ("x.cfg.ncnn", ".cfg.ncnn"),
        ("x.tar.gz", ".tar.gz"),
        ("x.gz", None),
        ("x.uff.txt", ".uff.txt"),
        ("m/__model__", "__model__"),
        ("m/__model__.bak", None),
        ("x__model__", None),
        ("tflite", None),
        ("folder.tflite/readme", None),
        ("my.new.onnx", ".onnx"),
        ("photo.png", None),
        ("dir\\a.mnn", ".mnn"),
    ],
)
def test_a_name_nominates_by_its_longest_known_suffix(name: str, suffix: str | None) -> None:
    assert _candidates.nomination(name) == suffix


def test_a_readers_own_suffixes_nominate_too() -> None:
    found = identify(from_bytes("a.graph", b"\x07\x00plain\x00"))
    assert found.nominated
    assert found.reason == "named .graph, but it is nothing that a reader recognises"


@pytest.mark.parametrize("name", ["a.graph", "photo.png", "noname"])
def test_content_decides_whatever_the_name(name: str) -> None:
    found = identify(from_bytes(name, b"MODEL1"))
    assert (found.kind, found.formats, found.nominated) == (FileKind.MODEL, ("numbered",), True)


def test_a_signature_with_a_broken_body_is_for_the_reader_to_refuse() -> None:
    content = from_bytes("a.graph", b"MODEL9")
    assert identify(content).kind is FileKind.MODEL
    with pytest.raises(FormatError, match=r"^a nine$"):
        read_model(content)


def test_the_first_claiming_reader_that_succeeds_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {"careless": Careless(), "numbered": Numbered()})
    assert identify(from_bytes("a", b"MODEL1")).formats == ("careless", "numbered")
    assert read_model(from_bytes("a", b"MODEL1")).format == "numbered"


def test_where_no_reader_succeeds_each_ones_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {"careless": Careless(), "numbered": Numbered()})
    with pytest.raises(
        FormatError, match=r"2 formats.*as careless: a: not mine; as numbered: a nine"
    ):
        read_model(from_bytes("a", b"MODEL9"))


def test_reading_what_is_no_model_says_what_it_is() -> None:
    with pytest.raises(FormatError, match=r"named \.tflite, but it is an HTML page"):
        read_model(from_bytes("x.tflite", b"<!DOCTYPE html><p>404"))


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.tflite", b"", "empty"),
        ("a.tflite", b"\xef\xbb\xbf\n <HTML><body>404", "an HTML page"),
        ("a.tflite", b"<?xml version='1.0'?><a/>", "an XML document"),
        ("a.tflite", b"hello world\n", "text"),
        (
            "faces.xml",
            b'<?xml version="1.0"?>\n<opencv_storage>\n<cascade type_id="opencv">',
            "an OpenCV storage, such as a cascade of features",
        ),
        (
            "svm.model",
            b"%YAML:1.0\n---\nsvm: 1\n",
            "an OpenCV storage, such as a cascade of features",
        ),
        ("main.model", b"\x9b\xc1\x3a\xfe\0\x02", "a keyboard dictionary"),
        ("de.model", b"\\fsa\x05_+", "a dictionary as a finite-state automaton"),
        ("icu.dat", b"\x20\x00\xda\x27\x14\0", "data of the ICU library"),
        ("t.json", b'{"version": "1.0", "added_tokens": []}', "the settings of a tokenizer"),
        (
            "base/resources.pb",
            b"\x12\xdb\xc1\x1b\n\x02\x08\x7f\x12\x0bcom.example",
            "an Android resource table in protobuf form",
        ),
        (
            "resources.pb",
            b"\n\xc4\x0f\n\xc1\x0f\x01\x00\x1c\x00\xc1\x07\x00\x00",
            "an Android resource table in protobuf form",
        ),
        (
            "BundleConfig.pb",
            b"\n\x08\x12\x061.15.6\x12\x06\n\x00\x12\x02\x08\x01",
            "the configuration of an Android app bundle",
        ),
        (
            "base/assets.pb",
            b"\n\n\n\x06assets\x12\0",
            "a list of targeted folders of an Android app bundle",
        ),
        (
            "base/native.pb",
            b"\n\x19\n\rlib/arm64-v8a\x12\x08\n\x02\x08\x04\x12\x02\x08\x02",
            "a list of targeted folders of an Android app bundle",
        ),
        (
            "dependencies.pb",
            b"\n\x2a\n\x28\n\x14org.jetbrains.kotlin\x12\x06stdlib*\x061.3.61",
            "a list of the libraries in an Android app bundle",
        ),
        (
            "graph.pbtxt",
            b'input_stream: "x"\nnode {\n  calculator: "FlowLimiterCalculator"\n}\n',
            "a MediaPipe graph of 1 calculators: FlowLimiterCalculator",
        ),
        (
            "graph.binarypb",
            b"\n\x1e\x12\x15FlowLimiterCalculator\x1a\x05image"
            b"\n\x1c\x12\x13InferenceCalculator\x1a\x05image"
            b"\n\x27\x12\x13InferenceCalculator:\x10\x12\x0ea/face.tflite.",
            "a MediaPipe graph of 3 calculators: InferenceCalculator (2), FlowLimiterCalculator; "
            "it names a/face.tflite",
        ),
        (
            "trace.binarypb",
            b"\n\x20\x08\x81\x02\x10\x00\x1a\x15FlowLimiterCalculator",
            "a MediaPipe trace, a record of how long calculators took",
        ),
        ("a.tflite", "Gr\u00fc\u00dfe\n".encode(), "text"),
        ("a.tflite", PIXEL, "a PNG image"),
        ("a.tflite", b"\xff\xd8\xff\xe0" + bytes(90), "a JPEG image"),
        ("a.bin", b"RIFF\x20\0\0\0WEBPVP8 ", "a WebP image"),
        ("a.bin", b"OggS" + bytes(60), "an Ogg stream"),
        ("a.bin", b"\0\0\0\x20ftypisom", "an MP4 or HEIF file"),
        ("a.bin", b"\x7fELF\x02\x01\x01", "an ELF library or program"),
        ("a.dat", b"dex\n035\0", "Dalvik bytecode"),
        ("a.xml", b"\x03\0\x08\0\x44\x01\0\0", "Android binary XML"),
        ("a.pb", b"SQLite format 3\0", "an SQLite database"),
        ("a.pb", b"\0\x01\0\0\0\x0c", "a TrueType font"),
        ("a.pb", b"wOF2\0\x01\0\0", "a WOFF2 font"),
        ("a.model", b"PK\x03\x04" + bytes(30), "a zip archive"),
        ("a.model", gzip.compress(b"x" * 500, mtime=0), "gzip-compressed data"),
        ("a.model", b"\xfd7zXZ\0", "xz-compressed data"),
        ("a.model", b"\x28\xb5\x2f\xfd\x04", "zstd-compressed data"),
        ("a.model", b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        ("a.model", zlib.compress(random_bytes(9000)), "zlib-compressed data"),
        ("a.tar", bytes(257) + b"ustar\x0000", "a tar archive"),
        ("a.json", json.dumps({"a": [1, 2]}).encode(), "JSON that describes no known model"),
        ("a.json", b'{"a": ', "text"),
        ("a.json", b'{"a": [' + b"1," * 9000 + b"1]}", "JSON that describes no known model"),
        ("a.model", b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02", "a SentencePiece vocabulary"),
        ("a.txt", b"[PAD]\n[unused0]\n", "a vocabulary list"),
        (
            "a.pb",
            b"\n\x4b\n*http://schemas.android.com/apk/res/android\x12\0",
            "an Android resource in protobuf form",
        ),
        ("a.onnx", bytes(65536), "65536 times the byte 0"),
        ("a.onnx", b"\xff" * 300, "300 times the byte 255"),
        ("a.onnx", bytes(range(200)), "nothing that a reader recognises"),
    ],
)
def test_what_is_known_to_be_something_else_is_named(name: str, data: bytes, what: str) -> None:
    found = identify(from_bytes(name, data))
    assert (found.kind, found.formats, found.nominated) == (FileKind.UNKNOWN, (), True)
    assert found.reason == f"named .{name.partition('.')[2]}, but it is {what}"


class Counted(Numbered):
    """Says in its sixth byte how long it is."""

    def read(self, content: Content) -> Model:
        if content.size_bytes != content.data[5]:
            raise FormatError(f"{content.name}: cut off")
        return super().read(content)


PARTS = {"a.graph.part1": b"MODEL\x0c", "a.graph.part2": b"234", "a.graph.part3": b"567"}


def test_parts_are_joined_where_the_first_is_no_model_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, {"counted": Counted()})
    found = identify(folder(PARTS, "a.graph.part1"))
    assert (found.kind, found.formats, found.wrapping) == (FileKind.MODEL, ("counted",), "parts-3")
    assert found.inner is not None
    assert (found.inner.name, bytes(found.inner.data)) == ("a.graph", b"MODEL\x0c234567")
    for name in ("a.graph.part2", "a.graph.part3"):
        later = identify(folder(PARTS, name))
        assert (later.kind, later.reason) == (FileKind.WEIGHTS, "part of a.graph.part1")
        assert _identify.identify_head(name, PARTS[name], 3) is None
    assert read_model(folder(PARTS, "a.graph.part1")).format == "numbered"


@pytest.mark.parametrize(
    ("files", "first"),
    [
        ({"a.graph.part1": b"MODEL\x0c"}, "a.graph.part1"),
        ({"a.graph.part1": b"MODEL\x06", "a.graph.part2": b"234"}, "a.graph.part1"),
        ({"a.graph.part1": b"MODEL\x0c", "a.graph.part2": b"23"}, "a.graph.part1"),
        ({"a.graph.1": b"MODEL\x0c", "a.graph.2": b"234567"}, "a.graph.1"),
        ({"a.graph.part1": b"MODEL\x0c", "a.graph.part3": b"234567"}, "a.graph.part1"),
    ],
)
def test_what_only_looks_like_a_part_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], first: str
) -> None:
    use(monkeypatch, {"counted": Counted()})
    found = identify(folder(files, first))
    assert (found.kind, found.wrapping) == (FileKind.MODEL, None)


def test_an_lfs_pointer_tells_the_true_size() -> None:
    text = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4711\n"
    found = identify(from_bytes("a.onnx", text))
    assert found.kind is FileKind.UNKNOWN
    assert found.reason is not None
    assert "a Git LFS pointer to 4711 bytes" in found.reason
    assert _foreign.pointer_size_bytes(b"version https://git-lfs.github.com/spec/v1\n") == 0


def test_a_bitmap_is_one_only_with_its_true_size() -> None:
    bitmap = b"BM" + (64).to_bytes(4, "little") + bytes(58)
    assert _foreign.describe(bitmap, 64) == "a BMP image"
    assert _foreign.describe(bitmap, 65) is None


def test_a_head_that_ends_inside_a_character_is_still_text() -> None:
    assert _foreign.describe("\u00e9".encode()[:1], 2) == "text"
    assert _foreign.describe(b"a" + "\u6f22".encode()[:2], 9000) == "text"
    assert _foreign.describe(b"\xff\xfea\x00", 4) is None


def test_a_file_that_nobody_nominates_gets_no_row_and_is_not_measured() -> None:
    found = identify(from_bytes("lib/libfoo.xyz", random_bytes(9000)))
    assert not found.nominated
    assert found.entropy_bits is None


@pytest.mark.parametrize("size", [64, 256, 1000, 2047, 2048, 2049, 4095, 65536, 65537, 300_000])
def test_random_bytes_under_a_models_name_are_suspected_of_encryption(size: int) -> None:
    found = identify(from_bytes("a.tflite", random_bytes(size)))
    assert found.kind is FileKind.ENCRYPTED
    assert found.formats == ()
    assert found.entropy_bits == pytest.approx(
        _identify.entropy_bits(memoryview(random_bytes(size)))
    )


@pytest.mark.parametrize("size", [64, 128, 500, 2047, 2048, 3000, 10_000])
def test_hardly_any_random_file_is_missed_at_any_size(size: int) -> None:
    assert all(_identify.is_random(memoryview(random_bytes(size, seed))) for seed in range(200))


@pytest.mark.parametrize("size", [64, 256, 2047, 2048, 4096, 65536])
def test_ordinary_data_is_not_random_at_any_size(size: int) -> None:
    generator = np.random.default_rng(3)
    weights32 = generator.normal(0, 0.05, size).astype("<f4").tobytes()[:size]
    weights8 = np.clip(generator.normal(0, 25, size), -127, 127).astype(np.int8).tobytes()
    text = (b"Convolution conv1 1 1 data conv1 0=64 1=3\n" * (size // 40 + 1))[:size]
    assert not _identify.is_random(memoryview(weights32))
    assert not _identify.is_random(memoryview(weights8))
    assert not _identify.is_random(memoryview(text))


def test_fewer_than_64_bytes_prove_nothing() -> None:
    assert not _identify.is_random(memoryview(random_bytes(63)))
    assert identify(from_bytes("a.tflite", random_bytes(63))).kind is FileKind.UNKNOWN


def test_an_encrypted_beginning_of_plain_weights_is_enough() -> None:
    weights = np.random.default_rng(0).normal(0, 0.05, 200_000).astype("<f4").tobytes()
    found = identify(from_bytes("a.tflite", random_bytes(65536) + weights))
    assert found.kind is FileKind.ENCRYPTED
    assert found.entropy_bits is not None
    assert found.entropy_bits < _identify.RANDOM_ENTROPY_BITS
    assert identify(from_bytes("a.tflite", weights)).kind is FileKind.UNKNOWN


def test_compressed_data_is_not_taken_for_encrypted() -> None:
    packed = gzip.compress(random_bytes(50_000))
    assert identify(from_bytes("a.tflite", packed)).kind is FileKind.UNKNOWN


@pytest.mark.parametrize(
    ("name", "kind", "nominated"),
    [
        ("random.bin", FileKind.UNKNOWN, True),
        ("noise.dat", FileKind.UNKNOWN, True),
        ("assets/model/x.bin", FileKind.ENCRYPTED, True),
        ("face_detect.dat", FileKind.ENCRYPTED, True),
        ("assets/ocr.enc", FileKind.ENCRYPTED, True),
        ("net.tflite.enc", FileKind.ENCRYPTED, True),
        ("noise.enc", FileKind.UNKNOWN, False),
        ("x.onnx", FileKind.ENCRYPTED, True),
    ],
)
def test_a_generic_name_is_a_suspect_only_with_a_models_word_in_it(
    name: str, kind: FileKind, nominated: bool
) -> None:
    found = identify(from_bytes(name, random_bytes(8192)))
    assert (found.kind, found.nominated) == (kind, nominated)


def test_a_small_generic_file_is_no_suspect() -> None:
    smaller = random_bytes(_identify.GENERIC_MINIMUM_BYTES - 1)
    assert identify(from_bytes("weights.bin", smaller)).kind is FileKind.UNKNOWN
    enough = random_bytes(_identify.GENERIC_MINIMUM_BYTES)
    assert identify(from_bytes("weights.bin", enough)).kind is FileKind.ENCRYPTED


def test_a_model_like_picture_is_neither_nominated_nor_suspect() -> None:
    found = identify(from_bytes("res/face_icon.png", PIXEL + random_bytes(9000)))
    assert (found.kind, found.nominated) == (FileKind.UNKNOWN, False)


def test_weights_belong_to_the_graph_beside_them() -> None:
    files = {
        "a.graph": b"MODEL1",
        "a.bin": bytes(90),
        "b.bin": bytes(90),
        "a.wts": random_bytes(99),
    }
    for name in ("a.bin", "a.wts"):
        found = identify(folder(files, name))
        assert (found.kind, found.formats) == (FileKind.WEIGHTS, ("numbered",))
        assert found.reason == "weights of a.graph"
    assert identify(folder(files, "b.bin")).kind is FileKind.UNKNOWN
    with pytest.raises(FormatError, match=r"weights of a\.graph"):
        read_model(folder(files, "a.bin"))


def test_a_neighbour_that_is_no_graph_owns_no_weights() -> None:
    files = {"a.graph": b"MODAL", "a.bin": bytes(90)}
    assert identify(folder(files, "a.bin")).kind is FileKind.UNKNOWN


def test_a_pointer_beside_a_graph_is_not_its_weights() -> None:
    files = {"a.graph": b"MODEL1", "a.bin": b"version https://git-lfs.github.com/spec/v1\nsize 1\n"}
    assert identify(folder(files, "a.bin")).kind is FileKind.UNKNOWN


def test_a_reader_that_cannot_name_its_companions_owns_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, {"raising": Raising()})
    assert identify(folder({"a.graph": b"MODEL1", "a.bin": bytes(9)}, "a.bin")).formats == ()


def test_entropy_counts_bits() -> None:
    assert _identify.entropy_bits(memoryview(b"")) == 0.0
    assert _identify.entropy_bits(memoryview(b"aaaa")) == 0.0
    assert _identify.entropy_bits(memoryview(b"ab" * 70_000)) == pytest.approx(1.0)
    assert _identify.entropy_bits(memoryview(bytes(range(256)))) == pytest.approx(8.0)


@pytest.mark.parametrize("size", [1, 2, 7, 64, 511, 5000])
@pytest.mark.parametrize("seed", range(20))
def test_no_bytes_make_identification_fail(size: int, seed: int) -> None:
    for name in ("a.tflite", "a.bin", "a", "a.json", "__model__"):
        assert identify(from_bytes(name, random_bytes(size, seed))).reason


CORPUS = os.environ.get("GAUGENN_CORPUS")


@pytest.mark.skipif(CORPUS is None, reason="GAUGENN_CORPUS names no folder of real files")
def test_real_files_that_are_no_models_are_explained() -> None:
    assert CORPUS is not None
    seen = 0
    with (Path(CORPUS) / "MANIFEST.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if not row["path"].startswith(("adversarial/", "negative/")):
                continue
            if row["expected"] not in ("none", "encrypted"):
                continue
            found = identify(open_file(Path(CORPUS) / row["path"], row["path"]))
            kind = FileKind.ENCRYPTED if row["expected"] == "encrypted" else FileKind.UNKNOWN
            assert (row["path"], found.kind) == (row["path"], kind)
            assert found.reason
            seen += 1
    assert seen >= 15


def test_an_android_resource_table_without_strings_is_no_caffe_net() -> None:
    name = b"com.example.app.assets"
    package = b"\n\x02\x08\x7c\x12" + bytes([len(name)]) + name
    table = b"\x12" + bytes([len(package)]) + package
    found = identify(from_bytes("assets/resources.pb", table))
    assert (found.kind, found.formats) == (FileKind.UNKNOWN, ())
    assert "an Android resource table" in (found.reason or "")

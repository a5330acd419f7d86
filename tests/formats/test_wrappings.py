"""Models under compression, base64, XOR and foreign headers are found, and nothing else is."""

import base64
import bz2
import gzip
import lzma
import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import zstandard

from gaugenn.content import Content, from_bytes, open_file
from gaugenn.errors import FormatError
from gaugenn.formats import (
    HEAD_BYTES,
    _wrappings,
    identify,
    identify_head,
    read_model,
    readers,
    unwrap,
)
from gaugenn.records import FileKind
from tests.formats.samples import Sample, all_samples, refused_samples

Wrap = Callable[[bytes], bytes]


def sample(format_: str, at_least: int = 0) -> Sample:
    return next(
        s
        for s in all_samples()
        if s.format == format_ and not s.neighbours and len(s.data()) >= at_least
    )


def xored(key: int) -> Wrap:
    return lambda data: data.translate(bytes(value ^ key for value in range(256)))


WRAPS: dict[str, Wrap] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": zstandard.compress,
    "lz4": lz4.frame.compress,
    "xor-0x5a": xored(0x5A),
    "xor-0xff": xored(0xFF),
    "gzip+xor-0x5a": lambda data: gzip.compress(xored(0x5A)(data)),
    "xor-0x33+gzip": lambda data: xored(0x33)(gzip.compress(data)),
}


@pytest.mark.parametrize("wrapping", sorted(WRAPS))
@pytest.mark.parametrize("format_", ["tflite", "ncnn"])
def test_a_wrapped_model_is_read_and_its_wrapping_named(format_: str, wrapping: str) -> None:
    given = sample(format_)
    content = from_bytes(f"assets/{given.file_name}", WRAPS[wrapping](given.data()))
    found = identify(content)
    assert (found.kind, found.formats, found.wrapping) == (FileKind.MODEL, (format_,), wrapping)
    unwrapped = unwrap(content)
    assert unwrapped is not None
    inner, name = unwrapped
    assert name == wrapping
    assert bytes(inner.data) == given.data()
    assert read_model(content) == readers()[format_].read(inner)


@pytest.mark.parametrize("given", all_samples(), ids=lambda s: f"{s.format}-{s.name}")
def test_every_sample_is_the_same_model_under_gzip(given: Sample) -> None:
    content = given.content(gzip.compress(given.data()))
    found = identify(content)
    assert (found.kind, found.wrapping) == (FileKind.MODEL, "gzip")
    assert found.formats == (given.format,)
    assert found.inner is not None
    assert found.inner.sha256() == given.content().sha256()


def test_base64_under_gzip() -> None:
    data = sample("tflite", at_least=_wrappings.BASE64_MINIMUM_BYTES).data()
    found = identify(from_bytes("a.tflite", gzip.compress(base64.encodebytes(data))))
    assert (found.kind, found.wrapping) == (FileKind.MODEL, "gzip+base64")


@pytest.mark.parametrize("text", [base64.b64encode, base64.encodebytes])
def test_base64_with_and_without_line_breaks(text: Wrap) -> None:
    data = sample("tflite", at_least=_wrappings.BASE64_MINIMUM_BYTES).data()
    unwrapped = unwrap(from_bytes("model.txt", text(data)))
    assert unwrapped is not None
    assert (bytes(unwrapped[0].data), unwrapped[1]) == (data, "base64")


@pytest.mark.parametrize("size", [1, 64, 333, 4096])
def test_a_model_behind_a_foreign_header_is_read_from_where_it_begins(size: int) -> None:
    given = sample("tflite")
    header = np.random.default_rng(size).bytes(size)
    unwrapped = unwrap(from_bytes("a.tflite", header + given.data()))
    assert unwrapped is not None
    assert (bytes(unwrapped[0].data), unwrapped[1]) == (given.data(), f"offset-{size}")


def test_a_header_over_the_limit_is_not_looked_behind() -> None:
    data = bytes(_wrappings.OFFSET_MAXIMUM_BYTES + 1) + sample("tflite").data()
    assert identify(from_bytes("a.tflite", data)).kind is FileKind.UNKNOWN


def test_a_signature_in_a_text_is_no_model() -> None:
    notes = b"TFL3 is the identifier of TensorFlow Lite; 7767517 3 3 starts ncnn's graphs. " * 40
    found = identify(from_bytes("assets/model_notes.txt", notes))
    assert (found.kind, found.wrapping) == (FileKind.UNKNOWN, None)


def test_a_weak_signature_under_xor_counts_only_if_the_model_can_be_read() -> None:
    data = sample("onnx").data()
    whole = identify(from_bytes("a.onnx", xored(0x41)(data)))
    assert (whole.kind, whole.wrapping) == (FileKind.MODEL, "xor-0x41")
    cut = identify(from_bytes("a.onnx", xored(0x41)(data[:-7])))
    assert (cut.kind, cut.wrapping) == (FileKind.UNKNOWN, None)


def test_a_name_that_says_nothing_hides_nothing_but_gzip() -> None:
    data = sample("tflite", at_least=_wrappings.BASE64_MINIMUM_BYTES).data()
    for wrapping in sorted(WRAPS):
        found = identify(from_bytes("res/raw/x", WRAPS[wrapping](data)))
        assert (found.kind is FileKind.MODEL) == wrapping.startswith("gzip")
    for wrapped in (xored(1)(data), b"head" + data):
        assert identify(from_bytes("res/ml/x", wrapped)).kind is FileKind.MODEL


def test_the_suffix_of_a_compression_is_no_part_of_the_models_name() -> None:
    unwrapped = unwrap(from_bytes("m/A.TFLITE.GZ", gzip.compress(sample("tflite").data())))
    assert unwrapped is not None
    assert unwrapped[0].name == "m/A.TFLITE"


def test_a_wrapped_graph_finds_the_weights_beside_it() -> None:
    given = next(s for s in all_samples() if s.format == "ncnn" and s.neighbours)
    plain = given.content()
    wrapped = given.content(gzip.compress(given.data()))
    assert read_model(wrapped) == read_model(plain)


def test_a_plain_model_and_a_file_that_is_none_have_no_wrapping() -> None:
    assert unwrap(sample("tflite").content()) is None
    assert unwrap(from_bytes("a.tflite", gzip.compress(b"words " * 999))) is None


def test_three_wrappings_are_one_too_many() -> None:
    data = sample("tflite").data()
    for _ in range(_wrappings.DEPTH + 1):
        data = gzip.compress(data)
    assert identify(from_bytes("a.tflite", data)).kind is FileKind.UNKNOWN


@pytest.mark.parametrize("wrapping", ["gzip", "zlib", "xz", "lzma", "gzip+xor-0x5a"])
def test_a_wrapped_model_that_is_cut_off_is_invalid(wrapping: str) -> None:
    model = sample("tflite", at_least=1024).data() + np.random.default_rng(0).bytes(20_000)
    data = WRAPS[wrapping](model)
    content = from_bytes("a.tflite", data[: len(data) // 2])
    found = identify(content)
    assert (found.kind, found.formats, found.wrapping) == (FileKind.INVALID, ("tflite",), wrapping)
    assert "cut off" in str(found.reason)
    with pytest.raises(FormatError, match="cut off"):
        unwrap(content)
    with pytest.raises(FormatError, match="cut off"):
        read_model(content)


def _varied(size: int) -> bytes:
    """Bytes that compressors shorten, to about two thirds."""
    return np.random.default_rng(0).integers(0, 40, size, np.uint8).tobytes()


@pytest.mark.parametrize("wrapping", ["bzip2", "zstd", "lz4"])
def test_a_model_compressed_in_blocks_is_found_behind_large_ones_and_not_when_cut_off(
    wrapping: str,
) -> None:
    model = sample("tflite", at_least=1024).data() + _varied(5 << 20)
    options = {
        "bzip2": bz2.compress,
        "zstd": lambda data: zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data),
        "lz4": lambda data: lz4.frame.compress(data, block_size=lz4.frame.BLOCKSIZE_MAX4MB),
    }
    data = options[wrapping](model)
    found = identify(from_bytes("a.tflite", data))
    assert (found.kind, found.formats, found.wrapping) == (FileKind.MODEL, ("tflite",), wrapping)
    assert found.inner is not None
    assert bytes(found.inner.data) == model
    half = identify(from_bytes("a.tflite", data[: len(data) - 99]))
    assert half.kind is FileKind.UNKNOWN
    assert f"{'LZ4' if wrapping == 'lz4' else wrapping}-compressed data" in str(half.reason)


@pytest.mark.parametrize("wrapping", ["bzip2", "zstd", "lz4"])
def test_a_bomb_of_blocks_is_no_model_and_not_held(wrapping: str) -> None:
    size = 160 << 20
    data = WRAPS[wrapping](sample("tflite").data() + bytes(size))
    tracemalloc.start()
    try:
        found = identify(from_bytes("a.tflite", data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.kind is FileKind.UNKNOWN
    assert peak < _wrappings.MOST_RATIO * len(data) + (64 << 20)


def test_a_flipped_bit_in_compressed_data_is_invalid() -> None:
    data = bytearray(gzip.compress(sample("tflite").data() + bytes(9000)))
    data[-6] ^= 1  # the check sum
    found = identify(from_bytes("a.tflite", bytes(data)))
    assert found.kind is FileKind.INVALID
    assert "broken data" in str(found.reason)


def test_what_inflates_beyond_measure_is_refused_without_being_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_wrappings, "RATIO_FREE_BYTES", 1 << 20)
    size = 64 << 20
    data = gzip.compress(sample("tflite").data() + bytes(size))
    tracemalloc.start()
    try:
        found = identify(from_bytes("a.tflite", data))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.kind is FileKind.INVALID
    assert "a bomb" in str(found.reason)
    assert peak < size / 2


def test_more_than_the_absolute_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = sample("tflite", at_least=_wrappings.BASE64_MINIMUM_BYTES).data()
    monkeypatch.setattr(_wrappings, "MOST_BYTES", len(data) - 1)
    for wrap in (gzip.compress, xored(7), base64.b64encode):
        assert identify(from_bytes("a.tflite", wrap(data))).kind is FileKind.INVALID


def test_the_head_alone_tells_what_the_file_tells() -> None:
    data = sample("tflite", at_least=_wrappings.BASE64_MINIMUM_BYTES).data()
    for wrapping in ("gzip", "zlib", "xz", "lzma", "xor-0x5a", "gzip+xor-0x5a", "xor-0x33+gzip"):
        packed = WRAPS[wrapping](data)
        found = identify_head("a.tflite", packed[:HEAD_BYTES], len(packed))
        assert found == identify(from_bytes("a.tflite", packed))
    for packed in (*(WRAPS[name](data) for name in ("bzip2", "zstd", "lz4")), b"head" + data):
        assert identify_head("a.tflite", packed[:HEAD_BYTES], len(packed)) is None


@pytest.mark.parametrize("name", ["a.tflite", "a.bin", "assets/models/a", "model.txt"])
def test_no_bytes_make_unwrapping_fail(name: str) -> None:
    generator = np.random.default_rng(5)
    for head in (b"\x1f\x8b\x08", b"\xfd7zXZ\x00", b"BZh9", b"x\x9c", b"\x78\xda", b""):
        for size in (0, 1, 5, 100, 5000):
            content = from_bytes(name, head + generator.bytes(size))
            assert unwrap(content) is None


CORPUS = os.environ.get("GAUGENN_CORPUS")


@pytest.mark.skipif(CORPUS is None, reason="GAUGENN_CORPUS names no folder of real files")
def test_real_files_have_no_wrapping_but_the_one_that_has() -> None:
    assert CORPUS is not None
    found: dict[str, str | None] = {}
    for path in sorted(Path(CORPUS).rglob("*")):
        if path.is_file() and path.suffix != ".jsonl":
            content: Content = open_file(path)
            wrapping = identify(content).wrapping
            if wrapping is not None:
                found[path.relative_to(CORPUS).as_posix()] = wrapping
    assert found == {"adversarial/model_gz.tflite": "gzip"}


@pytest.mark.parametrize("format_", sorted(readers()))
def test_a_model_of_every_format_is_found_under_xor(format_: str) -> None:
    """At least one: a file may begin with a comment, or with a field that others put last."""
    found = [
        identify(given.content(xored(0x5A)(given.data())))
        for given in (*all_samples(), *refused_samples())
        if given.format == format_
    ]
    assert (FileKind.MODEL, "xor-0x5a") in {(each.kind, each.wrapping) for each in found}


@pytest.mark.parametrize("name", ["a.tflite", "assets/model/x.dat", "m.onnx", "net.mnn"])
def test_random_bytes_hide_no_model(name: str) -> None:
    generator = np.random.default_rng(3)
    for _ in range(300):
        assert identify(from_bytes(name, generator.bytes(1500))).kind is not FileKind.MODEL


def test_signatures_that_nobody_claims_do_not_hide_the_one_that_counts() -> None:
    data = sample("tflite").data()
    header = b"PK\x03\x04 no archive " * 20
    found = identify(from_bytes("a.tflite", b"\1" + header + data))
    assert found.wrapping == f"offset-{1 + len(header)}"

"""The GGUF reader against numbers worked out by hand, and on real files."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from gaugenn.content import from_bytes, open_file
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats.gguf import GgufReader
from gaugenn.graph import DataType, Model
from tests.formats.samples_gguf import all_kinds, gguf, text

CORPUS = os.environ.get("GAUGENN_CORPUS", "")


def read(data: bytes) -> Model:
    return GgufReader().read(from_bytes("a.gguf", data))


def test_tensors_have_shapes_outermost_first_and_counted_types() -> None:
    model = read(all_kinds())
    tensors = model.graphs[0].tensors
    assert tensors["plain"].shape == (2, 3)
    assert tensors["other"].dtype is DataType.UNKNOWN
    assert model.metadata["tensor_type.Q4_K"] == "1"
    assert model.metadata["general.architecture"] == "bert"
    assert model.metadata["tokens"] == "2 values"
    assert model.notes == ("weights-only", "weights-packed")


def test_blocks_of_bytes_are_integers_with_a_scale_each() -> None:
    values = np.arange(-16, 16, dtype=np.int8)
    block = struct.pack("<e", 0.5) + values.tobytes()
    tensors = read(gguf({"w": ((1, 32), 8, block)})).graphs[0].tensors
    assert np.array_equal(tensors["w"].array()[0], values)
    assert tensors["w.scales"].array().tolist() == [[0.5]]
    quantization = tensors["w"].quantization
    assert quantization is not None
    assert (quantization.granularity, quantization.block_size) == ("per_block", 32)


def test_blocks_of_nibbles_have_their_first_half_in_the_low_bits() -> None:
    stored = bytes(
        low | (high << 4) for low, high in zip(range(16), reversed(range(16)), strict=True)
    )
    tensor = read(gguf({"w": ((32,), 2, struct.pack("<e", 1) + stored)})).graphs[0].tensors["w"]
    assert tensor.dtype is DataType.INT4
    assert tensor.array().tolist() == [*range(-8, 8), *reversed(range(-8, 8))]


@pytest.mark.parametrize(
    "data",
    [
        gguf({"w": ((31,), 2, bytes(18))}),
        gguf({"w": ((1 << 40, 1 << 40), 0, bytes(4))}),
        gguf({"w": ((4,), 99, bytes(16))}),
        gguf({}, facts=text("general.alignment") + struct.pack("<II", 4, 0), count=1),
        gguf({}, facts=text("x") + struct.pack("<IIQ", 9, 9, 1), count=1),
        gguf({}, count=1 << 60),
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 62, 0),
    ],
)
def test_what_does_not_fit_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        read(data)


@pytest.mark.parametrize("version", [1, 4, 3 << 24])
def test_another_version_is_unsupported(version: int) -> None:
    with pytest.raises(UnsupportedFormatError):
        read(b"GGUF" + struct.pack("<IQQ", version, 0, 0))


@pytest.mark.skipif(not CORPUS, reason="GAUGENN_CORPUS names no folder of real models")
@pytest.mark.parametrize("name", ["ggml-vocab-bert-bge", "ggml-vocab-llama-spm"])
def test_a_real_vocabulary_has_no_tensors(name: str) -> None:
    model = GgufReader().read(open_file(Path(CORPUS) / "ggml" / f"{name}.gguf"))
    assert model.notes == ("vocabulary-only", "weights-only")
    assert model.graphs[0].tensors == {}
    assert int(model.metadata["tokenizer.ggml.tokens"].split()[0]) > 30_000

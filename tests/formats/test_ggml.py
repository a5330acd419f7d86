"""The reader of ggml's older form on a model by hand and on a real one."""

import struct

import pytest

from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import HEAD_BYTES
from gaugenn.formats.ggml import GgmlReader
from gaugenn.graph import DataType, Model
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.samples_ggml import parts

READER = GgmlReader()


def read(data: bytes) -> Model:
    return READER.read(from_bytes("ggml-tiny.bin", data))


def test_tensors_have_their_outermost_size_first() -> None:
    model = read(b"".join(parts()))
    tensors = model.graphs[0].tensors
    assert model.notes == ("weights-only",)
    assert model.metadata["n_audio_layer"] == "1"
    assert tensors["mel_filters"].array().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["decoder.positional_embedding"].shape == (8, 4)
    assert tensors["encoder.conv1.bias"].dtype is DataType.FLOAT16
    assert tensors["encoder.blocks.0.mlp.0.weight"].dtype is DataType.UNKNOWN


def test_a_model_without_tensors_says_so() -> None:
    assert read(parts()[0]).notes == ("vocabulary-only", "weights-only")


def test_another_programs_numbers_are_not_claimed() -> None:
    data = b"lmgg" + struct.pack("<15i", 10, 3200, 8, 2, 1, 16, 0, 0, 8, 4, 3, 8, 1, 2, 5)
    assert not READER.sniff("x.bin", data)
    with pytest.raises(UnsupportedFormatError, match="another program"):
        read(data)


@pytest.mark.parametrize("magic", [b"fmgg", b"tjgg", b"algg"])
def test_older_language_models_are_refused_by_name(magic: bytes) -> None:
    data = magic + struct.pack("<14i", 1, *range(13))
    assert READER.sniff("x.bin", data)
    with pytest.raises(UnsupportedFormatError, match=magic[::-1].decode()):
        read(data)


def test_more_words_than_the_vocabulary_has_are_a_format_error() -> None:
    data = bytearray(b"".join(parts()))
    struct.pack_into("<i", data, 4 + 44 + 8 + 24, 6)
    with pytest.raises(FormatError, match="6 words"):
        read(bytes(data))


@needs_corpus
def test_the_real_model_is_read_and_the_broken_one_is_not_claimed() -> None:
    path = "ggml/for-tests-ggml-tiny.bin"
    assert _corpus.claimed_by("ggml") == [path]
    model = READER.read(_corpus.content(path))
    assert model.metadata["n_vocab"] == "51865"
    assert model.graphs[0].tensors["mel_filters"].shape == (80, 201)
    broken = "negative/for-tests-ggml-parakeet-tdt-bad-nfft0.bin"
    assert not READER.sniff(broken, _corpus.content(broken).head(HEAD_BYTES))

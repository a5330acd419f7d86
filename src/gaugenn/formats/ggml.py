"""Whisper's models in ggml's older form: numbers, mel filters, a vocabulary, then named tensors."""

import math
import struct
from collections.abc import Iterator, Mapping

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._weights_only import weights_model
from gaugenn.graph import DataType, Model, Tensor, TensorKind

_MAGIC = b"lmgg"
_OTHERS: Mapping[bytes, str] = {b"fmgg": "ggmf", b"tjgg": "ggjt", b"algg": "ggla"}
"""Magic numbers of language models and adapters from before GGUF.

**Source:** https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py (GGUF itself);
https://github.com/LostRuins/koboldcpp/blob/concedo/otherarch/llama_v3.h (the magic numbers before it)
"""
_FACTS = (
    "n_vocab",
    "n_audio_ctx",
    "n_audio_state",
    "n_audio_head",
    "n_audio_layer",
    "n_text_ctx",
    "n_text_state",
    "n_text_head",
    "n_text_layer",
    "n_mels",
    "ftype",
)
_TYPES: Mapping[int, tuple[DataType, int, int]] = {
    0: (DataType.FLOAT32, 1, 4),
    1: (DataType.FLOAT16, 1, 2),
    2: (DataType.UNKNOWN, 32, 18),
    3: (DataType.UNKNOWN, 32, 20),
    6: (DataType.UNKNOWN, 32, 22),
    7: (DataType.UNKNOWN, 32, 24),
    8: (DataType.UNKNOWN, 32, 34),
}
"""Element type, elements of a block, and its bytes; quantised blocks are given as they stand.

**Source:** https://github.com/ggml-org/ggml/blob/master/include/ggml.h
"""
_MOST_WORDS = 1 << 20
_LONGEST_NAME = 512
_LARGEST_FACT = 1 << 20


class GgmlReader(FormatReader):
    """Reads Whisper models. There is no graph: the remark is `weights-only`.

    Other programs put other numbers behind the same magic; they are refused. A file without tensors
    has the remark `vocabulary-only`.
    """

    title = "GGML"
    spec = "https://github.com/ggml-org/whisper.cpp/blob/master/models/convert-pt-to-ggml.py"
    suffixes = (".ggml",)
    magics = ((0, _MAGIC),)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the magic number, and Whisper's eleven numbers behind it; or an older magic number."""
        del name
        if head[:4] in _OTHERS:
            return len(head) >= 8 and 1 <= int.from_bytes(head[4:8], "little") <= 3
        return head.startswith(_MAGIC) and len(head) >= 56 and _is_whisper(head)

    def read(self, content: Content) -> Model:
        """Reads facts and tensors.

        Raises:
            FormatError: cut off, or numbers that contradict each other.
            UnsupportedFormatError: another program's model.
        """
        magic = content.head(4)
        if magic in _OTHERS:
            raise UnsupportedFormatError(
                f"{content.name}: a language model in the old form {_OTHERS[magic]}; only Whisper's "
                "ggml and GGUF are read"
            )
        if magic != _MAGIC or not _is_whisper(content.head(56)):
            raise UnsupportedFormatError(
                f"{content.name}: Whisper's ggml is expected; these numbers are another program's"
            )
        return _Reader(content).model()


def _is_whisper(head: bytes) -> bool:
    """Whether the numbers are those of a transformer with an encoder and a decoder for speech."""
    if len(head) < 56:
        return False
    facts = struct.unpack_from("<13i", head, 4)
    heads = ((facts[2], facts[3]), (facts[6], facts[7]))
    return (
        all(0 < fact < _LARGEST_FACT for fact in facts[:10])
        and all(state % head == 0 for state, head in heads)
        and facts[11] == facts[9]
        and facts[12] > 1
        and 0 <= facts[10] < 4096
    )


class _Reader:
    """Takes values one after the other."""

    def __init__(self, content: Content) -> None:
        self._data = content.data
        self._where = content.name
        self._at = len(_MAGIC)

    def model(self) -> Model:
        facts = dict(zip(_FACTS, self._numbers(len(_FACTS)), strict=True))
        mels, bins = self._numbers(2)
        filters = Tensor(
            name="mel_filters",
            dtype=DataType.FLOAT32,
            shape=(mels, bins),
            data=self._take(mels * bins * 4),
            kind=TensorKind.CONSTANT,
        )
        (words,) = self._numbers(1)
        if not 0 <= words <= min(facts["n_vocab"], _MOST_WORDS):
            raise FormatError(
                f"{self._where}: {words} words are said to follow, {facts['n_vocab']} are possible"
            )
        for _ in range(words):
            self._take(self._numbers(1)[0])
        tensors = list(self._tensors())
        return weights_model(
            "ggml",
            "whisper",
            (filters, *tensors),
            producer="whisper.cpp",
            metadata={name: str(value) for name, value in facts.items()},
            notes=() if tensors else ("vocabulary-only",),
        )

    def _take(self, count: int) -> memoryview:
        if not 0 <= count <= self._data.nbytes - self._at:
            raise FormatError(
                f"{self._where}: {count} bytes are expected at {self._at}, the file has "
                f"{self._data.nbytes}: cut off or damaged"
            )
        self._at += count
        return self._data[self._at - count : self._at]

    def _numbers(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}i", self._take(4 * count))

    def _tensors(self) -> Iterator[Tensor]:
        while self._at < self._data.nbytes:
            rank, length, kind = self._numbers(3)
            if not 0 < rank <= 4 or not 0 < length <= _LONGEST_NAME:
                raise FormatError(f"{self._where}: no tensor begins before {self._at}: damaged")
            sizes = self._numbers(rank)
            name = bytes(self._take(length)).decode("utf-8", "replace")
            if kind not in _TYPES:
                raise UnsupportedFormatError(f"{self._where}: {name!r} is of unknown type {kind}")
            dtype, elements, size = _TYPES[kind]
            if min(sizes) < 1 or sizes[0] % elements:
                raise FormatError(f"{self._where}: tensor {name!r} has the sizes {sizes}")
            yield Tensor(
                name=name,
                dtype=dtype,
                shape=sizes[::-1],
                data=self._take(math.prod(sizes) // elements * size),
                kind=TensorKind.CONSTANT,
            )

"""Finds many byte strings in one pass.

Four bytes at every fourth offset are hashed and looked up in a table that holds each string's four
possible alignments, so the cost hardly depends on how many strings there are. Only places that pass
are compared byte by byte. In data that is mostly no text, numbers and code are sorted out before, by a
few operations on whole vectors, if all strings are text.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_MINIMUM_BYTES = 7  # a string of seven bytes holds four aligned bytes wherever it starts
_CHUNK_WORDS = 1 << 16  # stays in the processor's cache
_SAMPLED_EVERY = 32  # words, to tell whether data is mostly text
_FEWEST_WORDS_SAMPLED = 1 << 12  # of fewer the telling would cost more than it saves
_MULTIPLIER = np.uint32(0x9E37_79B1)  # 2**32 / golden ratio: spreads the bits (Knuth, vol. 3, 6.4)
_SHIFT = np.uint32(16)
_MOST_COMPARISONS = 1 << 20
_SPACES, _HIGH_BITS = np.uint32(0x2020_2020), np.uint32(0x8080_8080)


class Needles:
    """A set of byte strings to look for.

    Args:
        texts: the strings, each at least seven bytes long.

    Raises:
        ValueError: a string is shorter than seven bytes.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = tuple(dict.fromkeys(texts))
        self._places: dict[int, list[tuple[int, int | None, bytes]]] = {}
        """By a word of a string: where in the string it stands, the word behind it, the string."""
        for text in self._texts:
            if len(text) < _MINIMUM_BYTES:
                raise ValueError(f"{text!r}: at least {_MINIMUM_BYTES} bytes are needed")
            for shift in range(4):
                word, after = (
                    int.from_bytes(text[at : at + 4], "little") for at in (shift, shift + 4)
                )
                whole = shift + 8 <= len(text)
                self._places.setdefault(word, []).append((shift, after if whole else None, text))
        words = np.array(sorted(self._places), dtype=np.uint32)
        self._words = words
        self._printable = bool(_are_printable(words).all())
        self._table = np.zeros(1 << 16, dtype=np.bool_)
        self._table[(words * _MULTIPLIER) >> _SHIFT] = True

    def find(self, data: memoryview) -> dict[bytes, list[int]]:
        """Offsets at which each string occurs; strings that do not occur are left out.

        Ends early in data made of little else than the strings' beginnings.
        """
        left = _MOST_COMPARISONS
        found: dict[bytes, list[int]] = {}
        if not self._texts or data.nbytes < _MINIMUM_BYTES:
            return found
        words = np.frombuffer(data, dtype="<u4", count=data.nbytes // 4)
        sparse = False
        if self._printable and len(words) >= _FEWEST_WORDS_SAMPLED:
            sampled = words[::_SAMPLED_EVERY]
            sparse = 2 * int(np.count_nonzero(_are_printable(sampled))) < len(sampled)
        for first in range(0, len(words), _CHUNK_WORDS):
            chunk = words[first : first + _CHUNK_WORDS]
            hits = self._sparse_hits(chunk) if sparse else self._hits(chunk)
            if not len(hits):
                continue
            values = chunk[hits]
            known = np.searchsorted(self._words, values)
            exact = self._words[np.minimum(known, len(self._words) - 1)] == values
            left -= len(hits)
            if left < 0:
                break
            self._compare(data, words, hits[exact] + first, found)
        return found

    def _hits(self, chunk: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        """Places of the words that may be one of the strings'."""
        return np.flatnonzero(self._table[(chunk * _MULTIPLIER) >> _SHIFT])

    def _sparse_hits(self, chunk: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
        """The same for data in which few words are text."""
        places = np.flatnonzero(_are_printable(chunk))
        hits: npt.NDArray[np.intp] = places[self._table[(chunk[places] * _MULTIPLIER) >> _SHIFT]]
        return hits

    def _compare(
        self,
        data: memoryview,
        words: npt.NDArray[np.uint32],
        hits: npt.NDArray[np.intp],
        found: dict[bytes, list[int]],
    ) -> None:
        behind = words[np.minimum(hits + 1, len(words) - 1)]
        columns = (hits.tolist(), words[hits].tolist(), behind.tolist())
        for place, value, following in zip(*columns, strict=True):
            for shift, after, text in self._places[value]:
                if after is not None and after != following:
                    continue
                start = 4 * place - shift
                if start >= 0 and data[start : start + len(text)] == text:
                    found.setdefault(text, []).append(start)


def _are_printable(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Which words consist of the bytes 0x20 to 0x7F.

    A byte below 0x20 becomes one of 0x80 and more when 0x20 is taken from it; what it borrows changes
    bytes above it only, in a word that is refused anyway.
    """
    spare = words - _SPACES
    np.bitwise_or(spare, words, out=spare)
    np.bitwise_and(spare, _HIGH_BITS, out=spare)
    printable: npt.NDArray[np.bool_] = spare == 0
    return printable

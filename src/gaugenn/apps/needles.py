"""Finds many byte strings in one pass.

Four bytes at every fourth offset are hashed and looked up in a table that holds each string's four
possible alignments, so the cost hardly depends on how many strings there are. Only places that pass
are compared byte by byte.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_MINIMUM_BYTES = 7  # a string of seven bytes holds four aligned bytes wherever it starts
_CHUNK_WORDS = 1 << 16  # stays in the processor's cache
_MULTIPLIER = np.uint32(0x9E37_79B1)  # 2**32 / golden ratio: spreads the bits (Knuth, vol. 3, 6.4)
_SHIFT = np.uint32(16)
_MOST_COMPARISONS = 1 << 20


class Needles:
    """A set of byte strings to look for.

    Args:
        texts: the strings, each at least seven bytes long.

    Raises:
        ValueError: a string is shorter than seven bytes.
    """

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = tuple(dict.fromkeys(texts))
        self._places: dict[int, list[tuple[int, bytes]]] = {}
        for text in self._texts:
            if len(text) < _MINIMUM_BYTES:
                raise ValueError(f"{text!r}: at least {_MINIMUM_BYTES} bytes are needed")
            for shift in range(4):
                word = int.from_bytes(text[shift : shift + 4], "little")
                self._places.setdefault(word, []).append((shift, text))
        words = np.array(sorted(self._places), dtype=np.uint32)
        self._words = words
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
        for first in range(0, len(words), _CHUNK_WORDS):
            chunk = words[first : first + _CHUNK_WORDS]
            hits = np.flatnonzero(self._table[(chunk * _MULTIPLIER) >> _SHIFT])
            if not len(hits):
                continue
            values = chunk[hits]
            known = np.searchsorted(self._words, values)
            exact = self._words[np.minimum(known, len(self._words) - 1)] == values
            left -= len(hits)
            if left < 0:
                break
            self._compare(data, (hits[exact] + first).tolist(), values[exact], found)
        return found

    def _compare(
        self,
        data: memoryview,
        places: list[int],
        values: npt.NDArray[np.uint32],
        found: dict[bytes, list[int]],
    ) -> None:
        for place, value in zip(places, values.tolist(), strict=True):
            for shift, text in self._places[value]:
                start = 4 * place - shift
                if start >= 0 and data[start : start + len(text)] == text:
                    found.setdefault(text, []).append(start)

"""Arrays in joblib's pickles: their bytes stand in the middle of the stream, behind their description.

**Source:** https://github.com/joblib/joblib/blob/main/joblib/numpy_pickle.py, `NumpyArrayWrapper`:
where the description names an alignment, a byte says how many bytes of padding follow; an array of
objects is a pickle of its own.
"""

import math
import re

from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._pickle import Call, Pairs, Value, walk

WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_CODE = re.compile(r"([a-zA-Z?])(\d{0,9})(?:\[\w+\])?")
_MOST_ELEMENTS = 1 << 48
_DEEPEST_PICKLES = 16


def walk_joblib(data: memoryview, where: str) -> Value:
    """The value of a pickle that joblib wrote, its arrays' bytes as the only element of each wrapper.

    Raises:
        FormatError: cut off, or not a pickle.
        UnsupportedFormatError: arrays that lie in files of their own, as before joblib 0.10.
    """
    return walk(data, where, built=_Arrays(where, 0).built).value


class _Arrays:
    def __init__(self, where: str, depth: int) -> None:
        self._where = where
        self._depth = depth

    def built(self, call: Call, data: memoryview, at: int) -> int:
        """Takes the bytes behind a wrapper that has just got its state; returns where they end."""
        if call.called.endswith(".NDArrayWrapper"):
            raise UnsupportedFormatError(
                f"{self._where}: joblib wrote its arrays into files of their own; write it anew"
            )
        if call.called != WRAPPER or not isinstance(call.state, Pairs):
            return at
        if call.state.get("numpy_array_alignment_bytes") is not None:
            at += 1 + (data[at] if at < data.nbytes else 0)
        item = item_code(call.state.get("dtype"))
        if item == "O":
            if self._depth >= _DEEPEST_PICKLES:
                raise FormatError(f"{self._where}: arrays of objects nest too deep")
            inner = _Arrays(self._where, self._depth + 1)
            held = walk(data, self._where, at, built=inner.built)
            call.elements.append(held.value)
            return held.end
        size = _elements(call.state.get("shape"), self._where) * _item_bytes(item, self._where)
        if size > data.nbytes - at:
            raise FormatError(f"{self._where}: an array of {size} bytes at {at} is cut off")
        call.elements.append(data[at : at + size])
        return at + size


def item_code(kind: Value) -> str:
    """Numpy's code for the elements: `f8`, `O8` as `O`; "" where there is none."""
    made_of = kind.arguments if isinstance(kind, Call) else None
    item = made_of[0] if isinstance(made_of, tuple) and made_of else None
    code = item if isinstance(item, str) else ""
    return "O" if code.startswith("O") else code


def _elements(sizes: Value, where: str) -> int:
    known = sizes if isinstance(sizes, tuple) else ()
    shape = tuple(s for s in known if isinstance(s, int) and s >= 0)
    if not isinstance(sizes, tuple) or len(shape) != len(known) or len(shape) > 32:
        raise FormatError(f"{where}: an array of the sizes {str(sizes)[:80]}")
    count = math.prod(shape)
    if count >= _MOST_ELEMENTS:
        raise FormatError(f"{where}: an array of {count} elements")
    return count


def _item_bytes(code: str, where: str) -> int:
    found = _CODE.fullmatch(code)
    if found is None:
        raise FormatError(f"{where}: an array of elements of the type {code[:40]!r}")
    size = int(found[2] or 1)
    return 4 * size if found[1] == "U" else size

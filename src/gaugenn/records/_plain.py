"""Records as plain values: their digests, and the way back from JSON and tables."""

import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache

from gaugenn.errors import FormatError

R = typing.TypeVar("R")

_MAXIMUM_DEPTH = 16
_NUMBERS = re.compile(r"\d+")


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON (sorted keys, no spaces): the name of a record."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def version_key(version: str) -> tuple[int, ...]:
    """Orders released versions by their numbers: 1.9.0 before 1.10.0."""
    return tuple(int(number) for number in _NUMBERS.findall(version.partition("+")[0]))


def model_digest(files: tuple[tuple[str, str], ...]) -> str:
    """The identity of a model made of several files.

    Args:
        files: (`ModelFile.name`, sha256) of each file, the graph first.

    Returns:
        The file's own digest for a single file, else the digest of the sorted list.
    """
    if len(files) == 1:
        return files[0][1]
    return digest([list(f) for f in sorted(files)])


def from_plain(record: type[R], value: Mapping[str, object], where: str) -> R:
    """A record from what JSON or a table made of it: the inverse of `dataclasses.asdict`.

    Args:
        record: the record's class.
        value: a value for each field; enums as text, tuples as lists, records as mappings.
        where: what is read, as the start of a message.

    Raises:
        FormatError: a value has another type, a field is missing or unknown, or a number is not
            finite.
    """
    return typing.cast("R", _record(record, value, where, 0))


def _typed(hint: object, value: object, where: str, depth: int) -> object:
    if depth > _MAXIMUM_DEPTH:
        raise FormatError(f"{where}: nested too deeply")
    if isinstance(hint, types.UnionType):
        if value is None and types.NoneType in typing.get_args(hint):
            return None
        (inner,) = (option for option in typing.get_args(hint) if option is not types.NoneType)
        return _typed(inner, value, where, depth + 1)
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return tuple(_typed(inner, item, where, depth + 1) for item in value)
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return _record(hint, value, where, depth)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise FormatError(f"{where}: {value} is not finite")
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    if isinstance(hint, type) and issubclass(hint, StrEnum) and isinstance(value, str):
        try:
            return hint(value)
        except ValueError as error:
            raise FormatError(f"{where}: {error}") from error
    raise FormatError(f"{where}: expected {hint}, found {type(value).__name__}")


@cache
def _hints(record: type) -> Mapping[str, object]:
    """Types of a record's fields; resolving them takes longer than reading a row."""
    return typing.get_type_hints(record)


def _record(hint: type, value: Mapping[str, object], where: str, depth: int) -> object:
    hints = _hints(hint)
    defaults = {f.name for f in fields(hint) if f.default is not MISSING}
    # A row that was written before a column was added has nothing there: the default stands in.
    unset = {
        name
        for name in defaults
        if value.get(name) is None and types.NoneType not in typing.get_args(hints[name])
    }
    present = {name: item for name, item in value.items() if name not in unset}
    if not hints.keys() - defaults <= present.keys() or not present.keys() <= hints.keys():
        odd = ", ".join(sorted(hints.keys() ^ value.keys()))
        raise FormatError(f"{where}: missing or unknown fields: {odd}")
    return hint(**{k: _typed(hints[k], v, f"{where}: {k}", depth + 1) for k, v in present.items()})

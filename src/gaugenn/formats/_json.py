"""JSON from untrusted bytes, read by type."""

import json

from gaugenn.errors import FormatError

MOST_BYTES = 1 << 25
"""Longer texts are refused: a network of 100,000 nodes has about 30 MB."""

Object = dict[str, object]


def read_object(data: memoryview | bytes, where: str, *, most_bytes: int = MOST_BYTES) -> Object:
    """The object that a text spells.

    Args:
        data: the text, in UTF-8.
        where: what it is, for messages.
        most_bytes: longer texts are refused.

    Raises:
        FormatError: no JSON, too long or too deep, or another value than an object.
    """
    if len(data) > most_bytes:
        raise FormatError(f"{where}: JSON of {len(data)} bytes; {most_bytes} are the most")
    try:
        found = json.loads(bytes(data))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise FormatError(f"{where} is no JSON object")
    return found


def part(value: Object, name: str) -> Object:
    """An object inside an object; empty where it is missing."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def parts(value: Object, name: str) -> list[Object]:
    """The objects of a list."""
    found = value.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def text(value: Object, name: str, default: str = "") -> str:
    """A text."""
    found = value.get(name, default)
    return found if isinstance(found, str) else default


def texts(value: Object, name: str) -> list[str]:
    """The texts of a list."""
    found = value.get(name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def whole(value: object, default: int = 0) -> int:
    """A whole number, spelled as a number or as a text (64-bit numbers in protobuf's JSON)."""
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 21:
        return int(value)
    return value if isinstance(value, int) and abs(value) < 1 << 64 else default


def wholes(value: Object, name: str) -> list[int]:
    """The whole numbers of a list."""
    found = value.get(name)
    return [whole(each) for each in found] if isinstance(found, list) else []

"""Names and numbers as people read them.

Names come out of hostile packages: `visible` makes every character that draws nothing or reorders its
neighbours a visible escape, and bounds the length. It stands at the one door through which rows enter
the report (`_frame.py`), so that tables, charts and exports all get the same text.
"""

import unicodedata

LONGEST = 400
"""Characters of a name that the report keeps at all."""
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
_MARKS_IN_A_ROW = 2

Units = tuple[tuple[float, str], ...]

_METRIC: Units = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
BINARY: Units = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))
SECONDS: Units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))

NOTHING = "\N{EN DASH}"
"""What stands where there is no value."""


def visible(text: str, longest: int = LONGEST) -> str:
    """Text without control, format or bidirectional characters, at most `longest` characters long.

    Such characters become escapes, U+202E the text `u202e` after a backslash; combining marks beyond
    two in a row are dropped. Text that was cut ends in an ellipsis and its full length.
    """
    total = len(text)
    if total <= longest and text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    length = marks = 0
    for position, character in enumerate(text):
        category = unicodedata.category(character)
        marks = marks + 1 if category in _MARKS else 0
        if marks > _MARKS_IN_A_ROW:
            continue
        piece = _escape(character) if category in _INVISIBLE else character
        length += len(piece)
        if length > longest or position > 4 * longest:
            return "".join(shown) + f"\N{HORIZONTAL ELLIPSIS} ({total:,} characters)"
        shown.append(piece)
    return "".join(shown)


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    if named is not None:
        return named
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clip(text: str, longest: int) -> str:
    """The start and the end of a text that is too long, with an ellipsis between them."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 3
    return f"{text[: longest - 1 - tail]}\N{HORIZONTAL ELLIPSIS}{text[-tail:]}"


def count(value: float | None) -> str:
    """A whole number with thousands separators: `12,345`."""
    return NOTHING if value is None else f"{value:,.0f}"


def metric(value: float | None, unit: str = "") -> str:
    """Three digits and a decimal prefix: `1.30 M`, `42`."""
    if value is None:
        return NOTHING
    for factor, prefix in _METRIC:
        if abs(value) >= factor * 0.9995:
            return f"{_three(value / factor)} {prefix}{unit}"
    return f"{value:,.0f} {unit}".rstrip()


def tenths(value: float | None) -> str:
    """A number with one decimal: `12.3`."""
    return NOTHING if value is None else f"{value:.1f}"


def hundredths(value: float | None) -> str:
    """A number with two decimals: `0.25`."""
    return NOTHING if value is None else f"{value:.2f}"


def four_digits(value: float | None) -> str:
    """A number with four significant digits: `0.001234`."""
    return NOTHING if value is None else f"{value:.4g}"


def size(value: float | None) -> str:
    """Bytes with a binary prefix: `1.25 MiB`."""
    if value is None:
        return NOTHING
    for factor, unit in BINARY[:-1]:
        if abs(value) >= factor * 0.9995:
            return f"{_three(value / factor)} {unit}"
    return f"{value:,.0f} B"


def seconds(value: float | None) -> str:
    """A time with the unit that suits it: `2.40 ms`."""
    if value is None:
        return NOTHING
    for factor, unit in SECONDS:
        if abs(value) >= factor * 0.9995:
            return f"{_three(value / factor)} {unit}"
    return f"{_three(value / 1e-9)} ns" if value else "0 s"


def interval(
    value: float | None, low: float | None, high: float | None, n: int, units: Units
) -> str:
    """An estimate with its interval, in the unit of the estimate: `2.40 ms [2.31, 2.50], n = 5`."""
    if value is None:
        return NOTHING
    factor, unit = next((pair for pair in units if abs(value) >= pair[0] * 0.9995), (1.0, ""))
    shown = f"{_three(value / factor)} {unit}".rstrip()
    if low is None or high is None:
        return f"{shown} [no interval], n = {n}"
    digits = _digits(value / factor)
    return f"{shown} [{low / factor:.{digits}f}, {high / factor:.{digits}f}], n = {n}"


def share(part: float | None, whole: float | None) -> str:
    """A part of a whole in percent; nothing where there is no whole."""
    if part is None or not whole:
        return NOTHING
    return f"{100 * part / whole:.1f}\N{NO-BREAK SPACE}%"


def plural(number: int, singular: str, several: str | None = None) -> str:
    """A count with its noun: `1 model`, `3 models`."""
    return f"{number:,} {singular if number == 1 else several or singular + 's'}"


def _three(value: float) -> str:
    return f"{value:.{_digits(value)}f}"


def _digits(value: float) -> int:
    return 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2

"""Tables: columns of cells, each made by the function that knows how to show its kind of value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gaugenn.report import _text

TABLE_ROWS = 200
"""Rows of a table that the page shows; the rest is a query away."""
_NAME_LENGTH = 48
_DIGEST_LENGTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell.

    Attributes:
        text: what is shown.
        more: what can be opened below it: the full name, the full digest, the list.
        sort: what the column is sorted by; the text where it is None.
        missing: there is no value; sorted last.
        link: address of the page about it, on a site that has one.
    """

    text: str
    more: tuple[str, ...] = ()
    sort: float | None = None
    missing: bool = False
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        title: the heading, with the unit where cells do not carry one.
        cells: from the first row to the last.
        style: `name`, `number`, `code` or `mark`: how the page sets it.
    """

    title: str
    cells: tuple[Cell, ...]
    style: str = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns of equal length; the first names its row."""

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Checks that the columns fit together.

        Raises:
            ValueError: no column, or columns of different lengths.
        """
        if len({len(column.cells) for column in self.columns}) != 1:
            raise ValueError("the columns of a table have the same number of cells")

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """Cells row by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


_MISSING = Cell(text=_text.NOTHING, missing=True)


def names(title: str, values: Sequence[str | None], longest: int = _NAME_LENGTH) -> Column:
    """Names; a long one is shortened and can be opened."""
    return Column(title=title, cells=tuple(_name(value, longest) for value in values))


def digests(title: str, values: Sequence[str | None]) -> Column:
    """Digests by their first 12 hex digits; the whole can be opened."""
    cells = [
        _MISSING if not value else Cell(text=value[:_DIGEST_LENGTH], more=(value,))
        for value in values
    ]
    return Column(title=title, cells=tuple(cells), style="code")


def links(column: Column, addresses: Sequence[str | None]) -> Column:
    """The same cells as links; nothing opens below them, since the address says the whole."""
    cells = [
        cell if address is None else replace(cell, link=address, more=())
        for cell, address in zip(column.cells, addresses, strict=True)
    ]
    return replace(column, cells=tuple(cells))


def lists(title: str, values: Sequence[Sequence[str]], shown: int = 3) -> Column:
    """Lists: the first items, and all of them to be opened."""
    return Column(title=title, cells=tuple(_list(value, shown) for value in values))


def marks(title: str, values: Sequence[Sequence[str]]) -> Column:
    """Remarks that qualify the row, all of them shown; `none` where there is none."""
    cells = [
        Cell(text=", ".join(value), sort=float(len(value)))
        if value
        else Cell(text="none", sort=0.0)
        for value in values
    ]
    return Column(title=title, cells=tuple(cells), style="mark")


def numbers(
    title: str, values: Sequence[float | None], how: Callable[[float | None], str] = _text.count
) -> Column:
    """Numbers, formatted by `count`, `metric`, `size` or `seconds`; sorted by value."""
    cells = [
        _MISSING if value is None else Cell(text=how(value), sort=float(value)) for value in values
    ]
    return Column(title=title, cells=tuple(cells), style="number")


def prepared(title: str, texts: Sequence[str], sort: Sequence[float | None]) -> Column:
    """Numbers whose text says more than the value, such as one with its interval."""
    cells = [
        Cell(text=text, sort=value, missing=value is None)
        for text, value in zip(texts, sort, strict=True)
    ]
    return Column(title=title, cells=tuple(cells), style="number")


def _name(value: str | None, longest: int) -> Cell:
    if not value:
        return _MISSING
    short = _text.clip(value, longest)
    return Cell(text=short, more=() if short == value else (value,))


def _list(values: Sequence[str], shown: int) -> Cell:
    if not values:
        return Cell(text=_text.NOTHING, sort=0.0, missing=True)
    short = [_text.clip(value, _NAME_LENGTH) for value in values[:shown]]
    text = ", ".join(short)
    if len(values) > shown:
        text += f" and {len(values) - shown:,} more"
    hidden = tuple(values) if len(values) > shown or short != list(values) else ()
    return Cell(text=text, more=hidden)

"""Searching, filtering, sorting and paging a table of `_tables.py` by a request's parameters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import QueryParams

from gaugenn.explorer._contract import encoded
from gaugenn.explorer._database import Reader
from gaugenn.report._frame import Frame
from gaugenn.report._text import visible

PAGE_ROWS = 50
LONGEST_SEARCH = 200
"""Characters of a search that count."""
_MOST_OPTIONS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A choice that narrows a list.

    Attributes:
        name: of its parameter.
        label: what it is called.
        condition: SQL over the table's columns, with one question mark for the chosen values.
        options: SQL that gives the values to choose from.
    """

    name: str
    label: str
    condition: str
    options: str


def of_value(name: str, label: str, column: str, table: str) -> Filter:
    """A filter on a column of text."""
    return Filter(
        name=name,
        label=label,
        condition=f"list_contains(?, {column})",
        options=f"SELECT DISTINCT {column} AS value FROM {table} WHERE {column} != ''",  # noqa: S608
    )


def of_list(name: str, label: str, column: str, table: str) -> Filter:
    """A filter on a column of lists of text."""
    return Filter(
        name=name,
        label=label,
        condition=f"list_has_any({column}, ?)",
        options=f"SELECT DISTINCT unnest({column}) AS value FROM {table}",  # noqa: S608
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What can be asked of a table. It has a column `search`, in lower case.

    Attributes:
        table: its name.
        key: column that makes the order of equal rows the same every time.
        filters: what narrows it.
        sorts: SQL by the name of the parameter's value.
        usual: the order where none is asked for; with a minus sign the largest come first.
    """

    table: str
    key: str
    filters: tuple[Filter, ...]
    sorts: Mapping[str, str]
    usual: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A filter as a page shows it."""

    name: str
    label: str
    options: tuple[str, ...]
    chosen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of a list.

    Attributes:
        frame: its rows.
        total: rows of all its pages.
        page: number, from 1.
        pages: how many there are.
        search: what was searched for.
        choices: the filters.
        sort: the order, with a minus sign where it falls.
        query: the parameters that say all this.
    """

    frame: Frame
    total: int
    page: int
    pages: int
    search: str
    choices: tuple[Choice, ...]
    sort: str
    query: Mapping[str, str]

    def turned(self, page: int) -> str:
        """Parameters of another page of this list."""
        return "?" + encoded({**self.query, "page": str(page)})

    def sorted_by(self, name: str) -> str:
        """Parameters of this list in another order; the second time the other way round."""
        return "?" + encoded(
            {**self.query, "sort": f"-{name}" if self.sort != f"-{name}" else name}
        )

    def direction(self, name: str) -> str | None:
        """How the list is sorted by a column: `aria-sort`'s word, or None."""
        if self.sort.removeprefix("-") != name:
            return None
        return "descending" if self.sort.startswith("-") else "ascending"


def find(reader: Reader, listing: Listing, parameters: QueryParams) -> Found:
    """The page of a list that a request asks for. What it asks that is not known is left out."""
    search = visible(parameters.get("q", "").strip(), LONGEST_SEARCH)
    conditions = ["true"]
    values: list[object] = []
    for term in search.lower().split():
        conditions.append("contains(search, ?)")
        values.append(term)
    choices = []
    for each in listing.filters:
        options = _options(reader, listing, each)
        chosen = parameters.get(each.name, "")
        choices.append(
            Choice(
                name=each.name,
                label=each.label,
                options=tuple(options),
                chosen=chosen if chosen in options else "",
            )
        )
        if chosen in options:
            conditions.append(each.condition)
            values.append(options[chosen])
    sort = parameters.get("sort", "")
    sort = sort if sort.removeprefix("-") in listing.sorts else listing.usual
    direction = "DESC" if sort.startswith("-") else "ASC"
    where = " AND ".join(conditions)
    total = reader.value(f"SELECT count(*) FROM {listing.table} WHERE {where}", values)  # noqa: S608
    total = total if isinstance(total, int) else 0
    pages = max(1, -(-total // PAGE_ROWS))
    asked = parameters.get("page", "1")
    page = min(pages, max(1, int(asked))) if re.fullmatch("[0-9]{1,9}", asked) else 1
    frame = reader.frame(
        f"SELECT * FROM {listing.table} WHERE {where}"  # noqa: S608
        f" ORDER BY {listing.sorts[sort.removeprefix('-')]} {direction} NULLS LAST, {listing.key}"
        f" LIMIT {PAGE_ROWS} OFFSET {PAGE_ROWS * (page - 1)}",
        values,
    )
    query = {"q": search, **{c.name: c.chosen for c in choices}}
    if sort != listing.usual:
        query["sort"] = sort
    return Found(
        frame=frame,
        total=total,
        page=page,
        pages=pages,
        search=search,
        choices=tuple(choices),
        sort=sort,
        query=query,
    )


def _options(reader: Reader, listing: Listing, each: Filter) -> dict[str, list[str]]:
    """The values of a filter by what is shown of them."""

    def make() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for value in reader.texts(f"{each.options} ORDER BY 1 LIMIT {_MOST_OPTIONS}"):
            if value:
                found.setdefault(visible(value, 80), []).append(value)
        return found

    return reader.once(f"options {listing.table} {each.name}", make)

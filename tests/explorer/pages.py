"""Pages as a person sees them, for tests."""

import html.parser

from starlette.testclient import TestClient

ADDRESS = "http://127.0.0.1"


class Page(html.parser.HTMLParser):
    """A page's tables, links and text, as a person sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.facts: dict[str, str] = {}
        self._parts: list[str] = []
        self._into: list[str] | None = None
        self._row: list[str] = []
        self._table = ""
        self._term = ""
        self._silent = 0
        self.feed(text)

    @property
    def text(self) -> str:
        return " ".join("".join(self._parts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag in ("script", "style"):
            self._silent += 1
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "tr":
            self._row = []
        if tag in ("caption", "th", "td", "dt", "dd"):
            self._into = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._silent -= 1
        if self._into is None:
            if tag == "tr" and self._table:
                self.tables[self._table].append(self._row)
            return
        text = " ".join("".join(self._into).split())
        if tag == "caption":
            self._table = text.partition(":")[0]
            self.tables[self._table] = []
        elif tag in ("th", "td"):
            self._row.append(text)
        elif tag == "dt":
            self._term = text
        elif tag == "dd":
            self.facts[self._term] = text
        if tag in ("caption", "th", "td", "dt", "dd"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self._parts.append(data)
        if self._into is not None:
            self._into.append(data)

    def rows(self, title: str) -> list[list[str]]:
        """A table without its headings."""
        return self.tables[title][1:]

    def column(self, title: str, heading: str) -> list[str]:
        """A column of a table."""
        place = self.tables[title][0].index(heading)
        return [row[place] for row in self.rows(title)]


def open_page(client: TestClient, address: str, status: int = 200) -> Page:
    answer = client.get(address)
    assert answer.status_code == status, answer.text[:500]
    return Page(answer.text)

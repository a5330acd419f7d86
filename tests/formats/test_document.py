"""The page about formats says what the readers do."""

import re

from gaugenn.formats import _candidates, _wrappings
from tests.formats import document


def test_the_tables_are_what_the_readers_and_engines_give() -> None:
    assert document.PAGE.read_text() == document.page(), (
        f"docs/formats.md is out of date; rewrite its tables with: {document.COMMAND}"
    )


def test_the_page_counts_the_historic_extensions() -> None:
    text = document.PAGE.read_text()
    assert f"April 2021 | {len(_candidates.HISTORIC)} |" in text


def test_the_page_lists_69_historic_extensions_and_those_that_came_later() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (2021|later) \|", document.PAGE.read_text(), re.MULTILINE)
    historic = [suffix for suffix, since in rows if since == "2021"]
    later = [suffix for suffix, since in rows if since == "later"]
    assert len(historic) == len(set(historic)) == 69
    assert set(historic) == _candidates.HISTORIC
    assert set(later) == _candidates.ADDED
    assert len(later) == len(_candidates.ADDED)
    assert not _candidates.HISTORIC & _candidates.ADDED


def test_the_page_gives_the_limits_that_hold() -> None:
    text = " ".join(document.PAGE.read_text().split())
    assert _wrappings.MOST_BYTES == 1 << 30
    assert "More than 1 GiB" in text
    assert f"up to {_wrappings.OFFSET_MAXIMUM_BYTES:,} bytes" in text
    assert f"{_wrappings.MOST_RATIO} bytes for each packed one" in text
    assert _wrappings.DEPTH == 2
    assert "Two wrappings around each other" in text

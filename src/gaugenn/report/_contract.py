"""The contract of a table or figure: one public module of this folder each (see `gaugenn.plugins`)."""

from abc import ABC, abstractmethod
from enum import StrEnum
from typing import ClassVar

import altair as alt

from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import TABLE_ROWS, Table

Chart = alt.Chart | alt.LayerChart


class Section(StrEnum):
    """The parts of the page, in its order."""

    FOUND = "What was found"
    BUILT = "What it is built from"
    COSTS = "What it costs"
    SPEED = "How fast it runs"
    FAILED = "What failed, and why"


class Figure(ABC):
    """A question with its answer: a query, a chart or a table or both, and a caption.

    Everything that needs all rows of a large study is aggregated by the query. A chart draws at most
    `limit` rows, the page's table shows at most `TABLE_ROWS`; the caption or the page says so.

    Attributes:
        section: where on the page.
        order: place within the page; unique.
        title: a noun phrase.
        question: the sentence that the figure answers.
        query: one SELECT over the study's tables and views; runs alone. Ends in an ORDER BY, without
            a semicolon. Costs are lower bounds where `models.uncounted_nodes` is not 0.
        empty: what to say where the query has no row: what is missing, and the command that gives it.
        limit: rows that are taken in.
    """

    section: ClassVar[Section]
    order: ClassVar[int]
    title: ClassVar[str]
    question: ClassVar[str]
    query: ClassVar[str]
    empty: ClassVar[str]
    limit: ClassVar[int] = TABLE_ROWS

    def derive(self, frame: Frame) -> Frame:
        """Adds what SQL cannot compute, such as intervals; may make other rows of them."""
        return frame

    def chart(self, frame: Frame) -> Chart | None:  # noqa: ARG002
        """The chart of a frame with at least one row; None where rows say it better.

        A width is not set: the page and the exports set it. Colours come from `_charts`.
        """
        return None

    def table(self, frame: Frame) -> Table | None:  # noqa: ARG002
        """The table of a frame with at least one row; None where the chart says it all."""
        return None

    @abstractmethod
    def caption(self, frame: Frame, summary: Summary) -> str:
        """What n is, the denominators, the unit, the interval, and how to read it.

        The frame has at least one row.
        """

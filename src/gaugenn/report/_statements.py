"""Figures of statements: one row each, with the share of which it holds and what that is a share of."""

from gaugenn.report._contract import Chart, Figure
from gaugenn.report._frame import Frame
from gaugenn.report._shares import share_chart, share_column, with_share
from gaugenn.report._table import Column, Table, names, numbers


class Statements(Figure):
    """One row a statement: the columns `statement`, `part`, `whole` and `denominator`."""

    def derive(self, frame: Frame) -> Frame:
        """The shares."""
        return with_share(frame, "part", "whole")

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval a statement."""
        tooltip = ["statement:N", "part:Q", "whole:Q", "denominator:N"]
        return share_chart(frame, "statement", "% of what the table names", tooltip)

    def table(self, frame: Frame) -> Table:
        """One row a statement."""
        return Table(
            columns=(
                names("Statement", frame.texts("statement"), 64),
                share_column("Share, % [95 % interval]", frame),
                numbers("That are", frame.reals("part")),
                numbers("Of", frame.reals("whole")),
                names("Counted", frame.texts("denominator"), 64),
                *self.more_columns(frame),
            )
        )

    def more_columns(self, frame: Frame) -> tuple[Column, ...]:  # noqa: ARG002
        """What a figure shows beside the shares."""
        return ()

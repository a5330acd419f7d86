"""Which candidate files are no model, and why."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import count_axis, height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class RefusedFiles(Figure):
    """One row a reason."""

    section = Section.FAILED
    order = 510
    title = "Files that could not be read as a model"
    question = "Which candidate files are no readable model, and why?"
    query = """
        SELECT kind, format, min(reason) AS reason,
               count(*) AS files, count(DISTINCT app_sha256) AS packages, min(member) AS example
        FROM (
            SELECT *, coalesce(error, 'no reason recorded') AS reason,
                   regexp_replace(reason, '[0-9]+', 'N', 'g') AS reason_kind
            FROM candidates WHERE kind NOT IN ('model', 'weights', 'package')
        )
        GROUP BY kind, format, reason_kind ORDER BY files DESC, kind, format, reason
    """
    empty = "No candidate file was refused."
    limit = 1_000

    def chart(self, frame: Frame) -> Chart:
        """A bar a kind, split by the format whose signature the file carries."""
        return sized(
            alt.Chart(frame.rows.select(["kind", "format", "files"]))
            .transform_calculate(claimed="datum.format || 'no format'")
            .mark_bar()
            .encode(
                x=alt.X("sum(files):Q", title="files", axis=count_axis()),
                y=alt.Y("kind:N", title=None, sort="-x"),
                color=alt.Color("claimed:N", title="claims to be"),
                tooltip=["kind:N", "claimed:N", alt.Tooltip("sum(files):Q", format=",d")],
            ),
            height(frame.texts("kind")),
        )

    def table(self, frame: Frame) -> Table:
        """One row a reason."""
        return Table(
            columns=(
                names("Reason", frame.texts("reason"), 120),
                names("Kind", frame.texts("kind")),
                names("Claims to be", frame.texts("format")),
                numbers("Files", frame.integers("files")),
                numbers("Packages", frame.integers("packages")),
                names("Example", frame.texts("example"), 60),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """The denominator and the kinds."""
        part = _text.share(summary.refused_files, summary.candidates)
        return (
            f"n = {summary.refused_files:,} of {_text.plural(summary.candidates, 'candidate file')} "
            f"({part}); the others are {summary.instances:,} models, {summary.weights_files:,} weights "
            f"of a model and {summary.containers:,} containers. Invalid: carries a model format's "
            "signature and cannot be read. Encrypted: named like a model, bytes like chance. Unknown: "
            "only the name speaks for a model. Unread: a model by its signature, not analysed yet. "
            "Reasons that differ in their digits only share a row, shown by one of them."
        )

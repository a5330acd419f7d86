"""Which reference model runs in which library and precision, and why the others do not."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names

_OUTCOMES = ("measured", "not measured", "does not agree", "no file")


class ReferenceModels(Figure):
    """One row a reference model, library and precision."""

    section = Section.SPEED
    order = 405
    title = "Reference models in every library"
    question = "Which reference model runs in which library and precision, and why not the others?"
    query = """
        WITH cells AS (
            SELECT model, format, variant, status, reason AS build_reason, files,
                   unnest(CASE WHEN len(agreements) = 0 THEN [NULL] ELSE agreements END) AS found
            FROM (SELECT DISTINCT ON (model, format, variant) * FROM zoo_builds
                  ORDER BY model, format, variant, built_at DESC)
        ), runs AS (
            SELECT f.sha256, r.engine, sum(r.launches_ok) AS launches_ok,
                   min(r.failed_reason) AS failed_reason,
                   list_sort(list(DISTINCT r.processor)) AS processors
            FROM results r
            JOIN model_files f ON f.model_sha256 = r.model_sha256 AND f.position = 0
            GROUP BY ALL
        )
        SELECT c.model, c.format, c.variant, coalesce(found.library, r.engine, c.format) AS library,
               CASE WHEN len(c.files) = 0 THEN 'no file'
                    WHEN found.reason IS NOT NULL OR c.status = 'rejected' THEN 'does not agree'
                    WHEN r.launches_ok > 0 THEN 'measured'
                    ELSE 'not measured' END AS outcome,
               found.cosine AS cosine, found.maximum_relative_error AS relative_error,
               coalesce(r.processors, []) AS processors,
               coalesce(found.reason, c.build_reason, r.failed_reason,
                        CASE WHEN r.engine IS NULL THEN 'no engine that was asked for runs it' END)
                   AS reason
        FROM cells c
        LEFT JOIN runs r ON r.sha256 = c.files[1].sha256
                        AND (found IS NULL OR r.engine = found.library)
        ORDER BY c.model, library, c.variant
    """
    empty = "The study has no reference models; put some in with: gaugenn bench DIR --zoo paper"
    limit = 2_000

    def chart(self, frame: Frame) -> Chart:
        """A field for each library and precision, coloured by what came out."""
        rows = frame.rows.select(["model", "library", "variant", "outcome"])
        return sized(
            alt.Chart(rows)
            .transform_calculate(column="datum.library + ' ' + datum.variant")
            .mark_rect()
            .encode(
                x=alt.X("column:N", title=None),
                y=alt.Y("model:N", title=None),
                color=alt.Color(
                    "outcome:N", title="outcome", scale=alt.Scale(domain=list(_OUTCOMES))
                ),
                tooltip=["model:N", "library:N", "variant:N", "outcome:N"],
            ),
            height(sorted({name or "" for name in frame.texts("model")})),
        )

    def table(self, frame: Frame) -> Table:
        """One row a model, library and precision."""
        return Table(
            columns=(
                names("Model", frame.texts("model")),
                names("Library", frame.texts("library")),
                names("Precision", frame.texts("variant")),
                names("Outcome", frame.texts("outcome")),
                names("Processors", [", ".join(row) for row in frame.text_lists("processors")]),
                names("Cosine", [_number(v, ".6f") for v in frame.reals("cosine")]),
                names("Relative error", [_number(v, ".1e") for v in frame.reals("relative_error")]),
                names("Why not", frame.texts("reason"), 120),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """The denominators."""
        outcomes = frame.texts("outcome")
        return (
            f"n = {_text.plural(len(outcomes), 'cell')}, of which {outcomes.count('measured')} have a "
            "good launch. A file counts only where the library's output agrees with the model's "
            "definition on the same seeded input: cosine and largest difference over the largest "
            "output, of the worst output. Without a file, the library's name is that of the format."
        )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"

"""Which engines refuse which models, and why."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import STEP
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import NOT_MEASURED
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class RefusedJobs(Figure):
    """One row an outcome and its reason."""

    section = Section.FAILED
    order = 520
    title = "What engines ran, and what they refused"
    question = "How did the planned experiments end, by engine?"
    query = """
        SELECT engine, outcome, reason, count(*) AS experiments,
               count(DISTINCT model_sha256) AS models, list_sort(list(DISTINCT format)) AS formats,
               min(coalesce(left(name, 32) || ' ', '') || left(model_sha256, 12)) AS example
        FROM (
            SELECT r.engine || ' ' || r.engine_version AS engine,
                   CASE WHEN r.launches_tried = 0 THEN 'not run'
                        WHEN r.launches_ok = r.launches_tried THEN 'measured'
                        WHEN r.launches_ok > 0 THEN 'partly measured'
                        ELSE array_to_string(r.failed_statuses, ', ') END AS outcome,
                   regexp_replace(r.failed_reason, '[0-9]+', 'N', 'g') AS reason,
                   r.model_sha256, r.format, n.name
            FROM results r LEFT JOIN model_names n USING (model_sha256)
        )
        GROUP BY engine, outcome, reason
        ORDER BY outcome = 'measured', experiments DESC, engine, outcome, reason
    """
    empty = NOT_MEASURED
    limit = 1_000

    def chart(self, frame: Frame) -> Chart:
        """A bar an engine, split by outcome."""
        return (
            alt.Chart(frame.rows.select(["engine", "outcome", "experiments"]))
            .mark_bar()
            .encode(
                x=alt.X(
                    "sum(experiments):Q",
                    title="planned experiments",
                    axis=alt.Axis(format=",d", tickMinStep=1),
                ),
                y=alt.Y("engine:N", title=None),
                color=alt.Color("outcome:N", title="outcome"),
                tooltip=["engine:N", "outcome:N", alt.Tooltip("sum(experiments):Q", format=",d")],
            )
            .properties(height=alt.Step(STEP))
        )

    def table(self, frame: Frame) -> Table:
        """One row an outcome and its reason."""
        return Table(
            columns=(
                names("Engine", frame.texts("engine")),
                names("Outcome", frame.texts("outcome")),
                names("Reason", frame.texts("reason"), 120),
                numbers("Experiments", frame.integers("experiments")),
                numbers("Models", frame.integers("models")),
                names("Formats", [", ".join(row) for row in frame.text_lists("formats")]),
                names("Example", frame.texts("example"), 60),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """The denominators."""
        return (
            f"n = {_text.plural(summary.jobs, 'planned experiment')}, {summary.jobs_measured:,} with at "
            f"least one good launch; {summary.launches_ok:,} of "
            f"{_text.plural(summary.launches, 'launch', 'launches')} made ran to the end, "
            f"{summary.launches_planned:,} were planned. Refused: the engine cannot load or run the "
            "model. Digits in reasons are replaced by N."
        )

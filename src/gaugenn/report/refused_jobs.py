"""Which engines refuse which models, and why."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import count_axis, height, sized
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
        SELECT engine, outcome,
               coalesce(list_position(
                   ['measured', 'partly measured', 'refused', 'crashed', 'timeout',
                    'overheated'], outcome
               ), 7) AS place,
               min(reason) AS reason, count(*) AS experiments,
               count(DISTINCT model_sha256) AS models, list_sort(list(DISTINCT format)) AS formats,
               min(coalesce(left(name, 32) || ' ', '') || left(model_sha256, 12)) AS example
        FROM (
            SELECT r.engine || ' ' || r.engine_version AS engine,
                   CASE WHEN r.launches_tried = 0 THEN 'not run'
                        WHEN r.launches_ok = r.launches_tried THEN 'measured'
                        WHEN r.launches_ok > 0 THEN 'partly measured'
                        ELSE array_to_string(r.failed_statuses, ', ') END AS outcome,
                   r.failed_reason AS reason,
                   regexp_replace(r.failed_reason, '[0-9]+', 'N', 'g') AS reason_kind,
                   r.model_sha256, r.format, n.name
            FROM results r LEFT JOIN model_names n USING (model_sha256)
        )
        GROUP BY engine, outcome, reason_kind
        ORDER BY outcome = 'measured', experiments DESC, engine, outcome, reason
    """
    empty = NOT_MEASURED
    limit = 1_000

    def chart(self, frame: Frame) -> Chart:
        """A bar an engine, split by outcome."""
        pairs = zip(frame.integers("place"), frame.texts("outcome"), strict=True)
        outcomes = [outcome for _, outcome in sorted({(n or 0, text or "") for n, text in pairs})]
        return sized(
            alt.Chart(frame.rows.select(["engine", "outcome", "place", "experiments"]))
            .mark_bar()
            .encode(
                x=alt.X(
                    "sum(experiments):Q",
                    title="planned experiments",
                    axis=count_axis(),
                ),
                y=alt.Y("engine:N", title=None),
                color=alt.Color("outcome:N", title="outcome", scale=alt.Scale(domain=outcomes)),
                order=alt.Order("place:Q"),
                tooltip=["engine:N", "outcome:N", alt.Tooltip("sum(experiments):Q", format=",d")],
            ),
            height(frame.texts("engine")),
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
            f"n = {_text.plural(summary.jobs, 'planned experiment')}, {summary.jobs_measured:,} with "
            f"at least one good launch; {summary.launches_ok:,} of "
            f"{_text.plural(summary.launches, 'launch', 'launches')} made ran to the end, "
            f"{summary.launches_planned:,} were planned. Refused: the engine cannot load or run the "
            "model. Reasons that differ in their digits only share a row, shown by one of them."
        )

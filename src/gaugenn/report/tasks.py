"""What the models are for."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import count_axis, height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL, share_column, with_share
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, lists, names, numbers


class Tasks(Figure):
    """One row a modality and task."""

    section = Section.FOUND
    order = 140
    title = "Tasks"
    question = "What are the models for?"
    query = """
        SELECT modality, task, count(*) AS models,
               CAST(coalesce(sum(places), 0) AS BIGINT) AS places,
               CAST(sum(count(*)) OVER () AS BIGINT) AS all_models,
               median(task_confidence) AS confidence,
               list_sort(list(DISTINCT family) FILTER (family != 'unknown')) AS families,
               list_sort(list_distinct(list_filter(flatten(list(reasons)),
                   lambda r: starts_with(r, 'task:'))))
                   AS evidence
        FROM (
            SELECT DISTINCT ON (model_sha256) model_sha256, kind, task_confidence,
                   coalesce(modality, 'unknown') AS modality, coalesce(task, 'unknown') AS task,
                   coalesce(family, 'unknown') AS family, coalesce(task_evidence, []) AS reasons
            FROM models ORDER BY model_sha256
        ) LEFT JOIN (SELECT model_sha256, count(*) AS places FROM instances GROUP BY model_sha256)
            USING (model_sha256)
        WHERE kind = 'model' GROUP BY modality, task
        ORDER BY sum(count(*)) OVER (PARTITION BY modality) DESC, modality, models DESC, task
    """
    empty = "No model was read yet, so nothing is known of what models are for."

    def derive(self, frame: Frame) -> Frame:
        """Shares of the models."""
        return with_share(frame, "models", "all_models")

    def chart(self, frame: Frame) -> Chart:
        """A bar a task, in the colour of its modality."""
        return sized(
            alt.Chart(frame.rows.select(["modality", "task", "models", "places"]))
            .mark_bar()
            .encode(
                x=alt.X("models:Q", title="distinct models", axis=count_axis()),
                y=alt.Y("task:N", title=None, sort="-x"),
                color=alt.Color("modality:N", title="modality"),
                tooltip=[
                    "modality:N",
                    "task:N",
                    alt.Tooltip("models:Q", format=",d"),
                    alt.Tooltip("places:Q", format=",d"),
                ],
            ),
            height(frame.texts("task")),
        )

    def table(self, frame: Frame) -> Table:
        """One row a modality and task, modality by modality, with the reasons."""
        return Table(
            columns=(
                names("Modality", frame.texts("modality")),
                names("Task", frame.texts("task")),
                numbers("Distinct models", frame.integers("models")),
                share_column("Of models, % [95 % interval]", frame),
                numbers("Places", frame.integers("places")),
                numbers("Median confidence", frame.reals("confidence"), _text.hundredths),
                lists("Families", frame.text_lists("families"), 2),
                lists("Because of", frame.text_lists("evidence"), 1),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """How tasks are concluded, and how sure that is."""
        pairs = zip(frame.texts("task"), frame.integers("models"), strict=True)
        known = sum(models or 0 for task, models in pairs if task != "unknown")
        whole = frame.integers("all_models")[0] or 0
        modalities: dict[str, int] = {}
        for modality, models in zip(
            frame.labels("modality"), frame.integers("models"), strict=True
        ):
            modalities[modality] = modalities.get(modality, 0) + (models or 0)
        parts = ", ".join(f"{name} {_text.share(n, whole)}" for name, n in modalities.items())
        return (
            f"n = {_text.plural(whole, 'distinct model')}, {known:,} with a task; of the models "
            f"{parts}. Modality and task are concluded from inputs, outputs and layers, with names "
            "as weaker evidence; what is not clear is unknown. The confidence is the weight of the "
            f"evidence, not a probability. A place is a file in a package. {SHARE_INTERVAL}"
        )

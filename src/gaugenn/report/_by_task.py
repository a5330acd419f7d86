"""Figures that show how a number of a model spreads within each task: quartiles on a log axis."""

from typing import ClassVar

import altair as alt

from gaugenn.report import _text
from gaugenn.report._census import MODELS
from gaugenn.report._charts import height, log_axis, log_scale, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


def quartiles(column: str) -> str:
    """Least, quartiles and largest of a column of `models` above zero, a row a task.

    Args:
        column: of `models`.
    """
    return f"""
        SELECT coalesce(task, 'unknown') AS task, min(coalesce(modality, 'unknown')) AS modality,
               count(*) AS models, min({column}) AS least,
               quantile_cont({column}, 0.25) AS lower, median({column}) AS middle,
               quantile_cont({column}, 0.75) AS upper, max({column}) AS largest,
               count(*) FILTER (uncounted_nodes > 0) AS lower_bounds,
               coalesce(task, 'unknown') || ' (' || count(*) || ')' AS label
        FROM {MODELS} WHERE {column} > 0
        GROUP BY coalesce(task, 'unknown') ORDER BY middle DESC, task
    """  # noqa: S608 - our own text


class ByTask(Figure):
    """One row a task."""

    section = Section.COSTS
    quantity: ClassVar[str]
    """What is spread: the axis' title."""
    unit: ClassVar[str]
    """What the table's columns count."""
    meaning: ClassVar[str]
    """What the caption says of it."""

    def chart(self, frame: Frame) -> Chart:
        """A box from the first to the third quartile, a line from the least to the largest."""
        ends = [*frame.reals("least"), *frame.reals("largest")]
        labels = frame.labels("label")
        scale = log_scale(ends)
        base = alt.Chart(frame.rows).encode(y=alt.Y("label:N", title=None, sort=labels))
        low = alt.X("least:Q", title=self.quantity, scale=scale, axis=log_axis(ends, metric=True))
        whiskers = base.mark_rule().encode(x=low, x2="largest:Q")
        tooltip = [
            "task:N",
            "modality:N",
            alt.Tooltip("models:Q", format=",d"),
            *(
                alt.Tooltip(f"{name}:Q", format=".3~s", title=title)
                for name, title in (
                    ("least", "least"),
                    ("lower", "first quartile"),
                    ("middle", "median"),
                    ("upper", "third quartile"),
                    ("largest", "largest"),
                )
            ),
        ]
        boxes = base.mark_bar(size=12, opacity=0.75).encode(
            x=alt.X("lower:Q", scale=scale), x2="upper:Q", tooltip=tooltip
        )
        medians = base.mark_point(shape="diamond", size=70, color="#D55E00").encode(
            x=alt.X("middle:Q", scale=scale), tooltip=tooltip
        )
        return sized(alt.layer(whiskers, boxes, medians), height(labels))

    def table(self, frame: Frame) -> Table:
        """One row a task, the costliest first."""
        return Table(
            columns=(
                names("Task", frame.texts("task")),
                names("Modality", frame.texts("modality")),
                numbers("Distinct models", frame.integers("models")),
                numbers(f"Least, {self.unit}", frame.reals("least"), _text.metric),
                numbers("First quartile", frame.reals("lower"), _text.metric),
                numbers(f"Median, {self.unit}", frame.reals("middle"), _text.metric),
                numbers("Third quartile", frame.reals("upper"), _text.metric),
                numbers(f"Largest, {self.unit}", frame.reals("largest"), _text.metric),
                numbers("Lower bounds among them", frame.integers("lower_bounds")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """How to read a box, and what is left out."""
        models = sum(number or 0 for number in frame.integers("models"))
        return (
            f"n = {models:,} of {_text.plural(summary.models, 'distinct model')}, those above "
            f"zero; how many a task has is in brackets. {self.meaning} Logarithmic axis. A box "
            "reaches from the first to the third quartile (interpolated) with a diamond at the "
            "median, its line from the least to the largest model; with few models it says little. "
            "Where a node could not be counted the model enters with its lower bound."
        )

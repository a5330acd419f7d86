"""One model on a library's releases."""

from collections.abc import Sequence

import altair as alt
import pyarrow as pa

from gaugenn.analysis.change_points import change_points
from gaugenn.records import version_key
from gaugenn.report import _text
from gaugenn.report._charts import number_axis, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import INTERVAL, MEASURED, milliseconds_column, with_latency
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, marks, names

FEWEST = 3
"""Releases that make a history."""
_HEIGHT = 260

RELEASED = f"""
    SELECT m.label || ', ' || m.engine || ', ' || m.threads
           || CASE WHEN m.threads = 1 THEN ' thread' ELSE ' threads' END
           || CASE WHEN m.processor != 'cpu' THEN ', ' || m.processor ELSE '' END
           || CASE WHEN m.precision != 'as-stored' THEN ', ' || m.precision ELSE '' END AS line, m.*
    FROM ({MEASURED}) m
    QUALIFY count(DISTINCT m.engine_version) OVER (
        PARTITION BY m.model_sha256, m.engine, m.device, m.threads, m.processor, m.precision,
                     m.affinity, m.batch, m.input_shapes) >= {FEWEST}
    ORDER BY line, m.engine_version, m.job_sha256
"""  # noqa: S608 - our own text
"""Experiments that differ in the library's release."""


class History(Figure):
    """One row a release."""

    section = Section.SPEED
    order = 447
    title = "Releases of a library"
    question = "How did a model's latency change from one release of a library to the next?"
    query = RELEASED
    empty = (
        "No model was run on three releases of a library. Do that with: "
        "gaugenn history ENGINE MODEL --out STUDY"
    )

    def derive(self, frame: Frame) -> Frame:
        """Releases in their order, and the step before each, if there is one."""
        frame = with_latency(frame)
        lines, versions = frame.labels("line"), frame.labels("engine_version")
        medians = frame.real_lists("medians_s")
        order = sorted(range(len(frame)), key=lambda i: (lines[i], version_key(versions[i])))
        found: dict[str, list[int]] = {}
        for row in order:
            found.setdefault(lines[row], []).append(row)
        ratios: dict[int, float] = {}
        for rows in found.values():
            for step in change_points([medians[row] for row in rows]):
                ratios[rows[step.position]] = step.ratio
        taken = Frame(rows=frame.rows.take(pa.array(order, pa.int64())), total=frame.total)
        return taken.with_columns(
            {"step": ["" if row not in ratios else _change(ratios[row]) for row in order]},
            like=str,
        )

    def chart(self, frame: Frame) -> Chart:
        """A line a model and library, with intervals, and the steps named."""
        columns = [
            "line",
            "engine_version",
            "latency_ms",
            "latency_ms_low",
            "latency_ms_high",
            "step",
        ]
        versions = sorted(set(frame.labels("engine_version")), key=version_key)
        base = alt.Chart(frame.rows.select(columns)).encode(
            x=alt.X("engine_version:N", title="release", sort=versions),
            color=alt.Color("line:N", title=None),
        )
        y = alt.Y("latency_ms:Q", title="latency (ms)", axis=number_axis())
        lines = base.mark_line(point=True).encode(
            y=y,
            tooltip=[
                alt.Tooltip("line:N", title="experiment"),
                alt.Tooltip("engine_version:N", title="release"),
                alt.Tooltip("latency_ms:Q", format=".4~r", title="latency, ms"),
                alt.Tooltip("step:N", title="step"),
            ],
        )
        bars = base.mark_rule().encode(y=alt.Y("latency_ms_low:Q"), y2="latency_ms_high:Q")
        steps = (
            base.transform_filter("datum.step != ''")
            .mark_text(dy=-12)
            .encode(y=alt.Y("latency_ms:Q"), text="step:N")
        )
        return sized(alt.layer(bars, lines, steps), _HEIGHT)

    def table(self, frame: Frame) -> Table:
        """One row a release."""
        steps: Sequence[Sequence[str]] = [[text] if text else [] for text in frame.labels("step")]
        return Table(
            columns=(
                names("Experiment", frame.texts("line"), 60),
                names("Release", frame.texts("engine_version")),
                milliseconds_column("Latency [95 % interval]", frame, "latency_ms"),
                marks("Step", steps),
                names("Verdict", frame.texts("verdict")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """How steps are found."""
        del summary
        return (
            f"n = {_text.plural(len(frame), 'release')} of models on libraries, interleaved launches. "
            f"{INTERVAL} A step is a change between two neighbouring releases that the cut of the "
            "whole series into constant levels keeps (see `analysis/change_points.py`)."
        )


def _change(ratio: float) -> str:
    percent = 100 * (ratio - 1)
    return f"{percent:+.0f} %"

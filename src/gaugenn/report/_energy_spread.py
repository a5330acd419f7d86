"""Energy, power and efficiency of inferences: a point an experiment, a row a library and rail."""

from abc import abstractmethod
from typing import ClassVar

import altair as alt
import numpy as np

from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, log_axis, log_scale, sized, two_lines
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import INTERVAL, MEASURED
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, prepared
from gaugenn.report._text import Units

ENERGIES = f"""
    SELECT m.*, e.* EXCLUDE (job_sha256, launches), e.launches AS metered_launches,
           e.source || ': ' || e.rail AS meter,
           m.engine || ' ' || m.engine_version
           || CASE WHEN m.processor != 'cpu' THEN ', ' || m.processor ELSE '' END
           || CASE WHEN m.device != 'host' THEN ', ' || m.device ELSE '' END AS library
    FROM ({MEASURED}) m
    JOIN inference_energies e USING (job_sha256)
    WHERE m.validity != 'invalid'
    ORDER BY library, meter, m.macs NULLS LAST, m.label, m.setting, m.job_sha256
"""  # noqa: S608 - our own text
"""Experiments with the energy of an inference, its power and efficiency, a row a rail."""

NO_ENERGY = (
    "No energy was measured. Do that with: gaugenn bench STUDY --meter NAME; "
    "gaugenn doctor lists the meters that are here"
)
_GROUP = 330


class EnergySpread(Figure):
    """One row an experiment and rail."""

    section = Section.SPEED
    query = ENERGIES
    empty = NO_ENERGY
    limit = 10_000
    quantity: ClassVar[str]
    """What it is called, with its unit."""
    columns: ClassVar[tuple[str, str, str]]
    """Of the query: the value and the ends of its interval."""
    factor: ClassVar[float] = 1.0
    """One of the query's units in those of the quantity."""
    axis: ClassVar[str]
    """What the axis says, with the unit."""
    heading: ClassVar[str]
    """What the table's column is called."""
    units: ClassVar[Units]
    """What the table shows it in."""
    scale: ClassVar[float] = 1.0
    """One of the quantity's units in the units' base."""

    def derive(self, frame: Frame) -> Frame:
        """The quantity with its interval, and the median of its row of the chart."""
        ends = zip(("", "_low", "_high"), self.columns, strict=True)
        found: dict[str, list[float | None]] = {
            self.quantity + end: [
                None if v is None else v * self.factor for v in frame.reals(column)
            ]
            for end, column in ends
        }
        found[f"{self.quantity}_n"] = frame.reals("metered_launches")
        frame = frame.with_columns(found, like=float)
        groups = [
            f"{library}\n{meter}"
            for library, meter in zip(frame.labels("library"), frame.labels("meter"), strict=True)
        ]
        values: dict[str, list[float]] = {}
        for group, value in zip(groups, frame.reals(self.quantity), strict=True):
            if value is not None:
                values.setdefault(group, []).append(value)
        frame = frame.with_columns({"group": groups}, like=str)
        medians = [float(np.median(values[g])) if g in values else None for g in groups]
        return frame.with_columns({"group_median": medians}, like=float)

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval for each experiment, and a tick at each row's median."""
        ends = [f"{self.quantity}{end}" for end in ("", "_low", "_high", "_n")]
        values = [value for name in ends[:3] for value in frame.reals(name)]
        axis, scale = log_axis(values), log_scale(values)
        columns = ["group", "label", "setting", "engine", "group_median", *ends]
        base = (
            alt.Chart(frame.rows.select(columns))
            .transform_filter(f"isValid(datum['{self.quantity}'])")
            .encode(
                y=alt.Y("group:N", title=None, sort=frame.labels("group"), axis=two_lines(_GROUP))
            )
        )
        bars = base.mark_rule(opacity=0.5).encode(
            x=alt.X(f"{ends[1]}:Q", title=self.axis, axis=axis, scale=scale),
            x2=f"{ends[2]}:Q",
            color=alt.Color("engine:N", title="engine"),
        )
        points = base.mark_point().encode(
            x=alt.X(f"{ends[0]}:Q", axis=axis, scale=scale),
            color=alt.Color("engine:N", title="engine"),
            tooltip=[
                alt.Tooltip("label:N", title="model"),
                alt.Tooltip("setting:N", title="setting"),
                alt.Tooltip(f"{ends[0]}:Q", format=".4~r", title=self.axis),
                alt.Tooltip(f"{ends[1]}:Q", format=".4~r", title="interval from"),
                alt.Tooltip(f"{ends[2]}:Q", format=".4~r", title="interval to"),
                alt.Tooltip(f"{ends[3]}:Q", format="d", title="launches"),
            ],
        )
        medians = base.mark_tick(thickness=3, size=TALL_STEP - 8).encode(
            x=alt.X("group_median:Q", axis=axis, scale=scale),
            color=alt.Color("engine:N", title="engine"),
        )
        return sized(alt.layer(bars, points, medians), height(frame.labels("group"), TALL_STEP))

    def table(self, frame: Frame) -> Table:
        """One row an experiment and rail."""
        columns = [frame.reals(f"{self.quantity}{end}") for end in ("", "_low", "_high")]
        value, low, high = (
            [None if v is None else v * self.scale for v in column] for column in columns
        )
        counts = [int(n or 0) for n in frame.reals(f"{self.quantity}_n")]
        texts = [
            _text.interval(*row, self.units) for row in zip(value, low, high, counts, strict=True)
        ]
        return Table(
            columns=(
                names("Model", frame.texts("label")),
                names("Engine", frame.texts("setting"), 60),
                names("Meter: rail", frame.texts("meter")),
                prepared(f"{self.heading} [95 % interval]", texts, columns[0]),
                names("Verdict", frame.texts("validity")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What is in the number."""
        jobs = len(set(frame.labels("job_sha256")))
        return (
            f"n = {_text.plural(jobs, 'experiment')} of {summary.jobs_measured:,} measured, on "
            f"{_text.plural(len(set(frame.labels('meter'))), 'rail')}: those with a meter whose trace "
            "covers the steady phase without gaps; invalid results are left out. "
            f"{self.explained()} All that the rail draws is in it, idle power too. A tick is "
            "the median "
            f"of its row; rails of different meters do not measure the same. {INTERVAL}"
        )

    @abstractmethod
    def explained(self) -> str:
        """What the quantity is and which way is better."""

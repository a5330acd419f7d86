"""Distributions of latency, a line a group of devices, over what all groups have measured."""

from collections import defaultdict
from collections.abc import Mapping
from typing import ClassVar

import altair as alt
import numpy as np

from gaugenn.analysis.comparison import over_models
from gaugenn.analysis.statistics import CONFIDENCE
from gaugenn.records import version_key
from gaugenn.report import _text
from gaugenn.report._charts import log_axis, log_scale, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._ratios import ratio_text
from gaugenn.report._results import MEASURED
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers, prepared

_HEIGHT = 300
_Cells = dict[str, dict[str, list[float]]]
"""Group -> cell (model and settings) -> latencies on the group's devices."""


def cells_query(group: str, join: str = "") -> str:
    """Experiments that are not invalid, each with its group and its cell.

    Args:
        group: SQL of the group's name.
        join: SQL that joins what the group's name needs.
    """
    return f"""
        SELECT {group} AS "group", m.device,
               m.model_sha256 || ' ' || m.engine || ' ' || m.engine_version || ' ' || m.processor
               || ' ' || m.precision || ' ' || m.threads || ' ' || m.batch || ' '
               || array_to_string(list_transform(m.input_shapes, lambda i:
                   i.name || array_to_string(i.shape, 'x')), ' ') AS cell,
               max_by(m.medians_s, row(m.validity = 'valid', m.launches_ok, m.job_sha256)) AS medians_s
        FROM ({MEASURED}) m {join}
        WHERE m.validity != 'invalid' AND m.affinity = ''
        GROUP BY ALL
        ORDER BY ALL
    """  # noqa: S608 - our own text


class LatencyDistribution(Figure):
    """One row a step of a group's line."""

    section = Section.SPEED
    limit = 100_000
    grouping: ClassVar[str]
    """What a group is, in a word."""

    def derive(self, frame: Frame) -> Frame:
        """Steps of each group's empirical distribution, with its band."""
        common, left_out = _common(frame)
        rows: list[tuple[str, float, float, float, float, float, float]] = []
        for group, cells in common.items():
            levels = sorted(cells.values())
            reach = band(len(levels))
            for place, latency_s in enumerate(levels, start=1):
                share = place / len(levels)
                rows.append(
                    (
                        *(group, 1e3 * latency_s, share),
                        *(max(0.0, share - reach), min(1.0, share + reach)),
                        *(float(len(levels)), float(left_out)),
                    )
                )
        columns = list(zip(*rows, strict=True)) if rows else [()] * 7
        numbers_ = ("latency_ms", "share", "share_low", "share_high", "n", "left_out")
        made = Frame.made(
            {"group": [str(value) for value in columns[0]]},
            {
                name: [float(value) for value in column]
                for name, column in zip(numbers_, columns[1:], strict=True)
            },
        )
        return _with_ratios(made, common)

    def chart(self, frame: Frame) -> Chart:
        """A step line a group, with the band that holds the whole of it."""
        latencies = frame.reals("latency_ms")
        columns = ["group", "latency_ms", "share", "share_low", "share_high"]
        x = alt.X(
            "latency_ms:Q",
            title="latency (ms)",
            scale=log_scale(latencies),
            axis=log_axis(latencies),
        )
        groups = alt.Scale(domain=list(dict.fromkeys(frame.labels("group"))))
        base = alt.Chart(frame.rows.select(columns)).encode(
            x=x, color=alt.Color("group:N", title=self.grouping, scale=groups)
        )
        y = alt.Y(
            "share:Q",
            title="share of models and settings",
            axis=alt.Axis(format="%", tickCount=5),
            scale=alt.Scale(domain=[0, 1]),
        )
        bands = base.mark_area(interpolate="step-after", opacity=0.12).encode(
            y=alt.Y("share_low:Q"), y2="share_high:Q"
        )
        lines = base.mark_line(interpolate="step-after").encode(
            y=y, strokeDash=alt.StrokeDash("group:N", title=self.grouping, scale=groups)
        )
        points = base.mark_point(size=28).encode(
            y=y,
            shape=alt.Shape("group:N", title=self.grouping, scale=groups),
            tooltip=[
                alt.Tooltip("group:N", title=self.grouping),
                alt.Tooltip("latency_ms:Q", format=".4~r", title="latency, ms"),
                alt.Tooltip("share:Q", format=".1%", title="share at most so slow"),
            ],
        )
        return sized(alt.layer(bands, lines, points), _HEIGHT)

    def table(self, frame: Frame) -> Table:
        """One row a group, the fastest first."""
        groups = list(dict.fromkeys(frame.labels("group")))
        latencies: Mapping[str, list[float]] = {group: [] for group in groups}
        ratios: dict[str, tuple[float | None, float | None, float | None]] = {}
        rows = zip(
            frame.labels("group"),
            *(frame.reals(c) for c in ("latency_ms", "over", "over_low", "over_high")),
            strict=True,
        )
        for group, latency, *ratio in rows:
            latencies[group].append(latency or 0.0)
            ratios[group] = (ratio[0], ratio[1], ratio[2])
        order = sorted(groups, key=lambda group: ratios[group][0] or 0.0)
        return Table(
            columns=(
                names(self.grouping.capitalize(), order),
                numbers("Models and settings", [len(latencies[group]) for group in order]),
                *(
                    numbers(
                        title,
                        [float(np.percentile(latencies[g], p)) / 1e3 for g in order],
                        _text.seconds,
                    )
                    for title, p in (("Median", 50), ("90th percentile", 90))
                ),
                prepared(
                    "Over the fastest, paired [95 % interval]",
                    [ratio_text(*ratios[group]) for group in order],
                    [ratios[group][0] for group in order],
                ),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What the population is."""
        del summary
        n = int(frame.reals("n")[0] or 0)
        out = int(frame.reals("left_out")[0] or 0)
        groups = len(set(frame.labels("group")))
        return (
            f"n = {_text.plural(n, 'model with its settings', 'models with their settings')} "
            "measured on "
            f"every {self.grouping} of {groups}; {out:,} that only some have are left out, and so are "
            "invalid results and pinned threads. A line rises to the share of them that take "
            "so many ms "
            "or less; further left is faster. The band holds the whole line of the population that "
            "these are a sample of, at 95 % (Dvoretzky, Kiefer, Wolfowitz; the unit is the model with "
            "its settings). Paired: the geometric mean of each model's ratio, with its interval over "
            "models; several devices of a group count by their geometric mean."
        )


def band(n: int) -> float:
    """Half the height of the band around a distribution of n values.

    Source: https://doi.org/10.1214/aop/1176990746
    """
    return float(np.sqrt(np.log(2 / (1 - CONFIDENCE)) / (2 * n)))


def _common(frame: Frame) -> tuple[dict[str, dict[str, float]], int]:
    """Level of each cell that all groups have, a group after the other; how many some lack."""
    found: _Cells = defaultdict(lambda: defaultdict(list))
    rows = zip(
        frame.labels("group"), frame.labels("cell"), frame.real_lists("medians_s"), strict=True
    )
    for group, cell, medians_s in rows:
        if medians_s and min(medians_s) > 0:
            found[group][cell].append(float(np.mean(np.log(medians_s))))
    if not found:
        return {}, 0
    shared = set.intersection(*(set(cells) for cells in found.values()))
    every = set.union(*(set(cells) for cells in found.values()))
    if not shared:
        return {}, len(every)
    levels = {
        group: {cell: float(np.exp(np.mean(found[group][cell]))) for cell in sorted(shared)}
        for group in sorted(found, key=version_key)
    }
    return levels, len(every) - len(shared)


def _with_ratios(frame: Frame, common: Mapping[str, Mapping[str, float]]) -> Frame:
    if not common:
        return frame.with_columns({"over": [], "over_low": [], "over_high": []}, like=float)
    fastest = min(common, key=lambda g: (sum(np.log(list(common[g].values()))), g))
    found = {
        group: over_models([cells[c] / common[fastest][c] for c in cells])
        for group, cells in common.items()
    }
    groups = frame.labels("group")
    return frame.with_columns(
        {
            "over": [found[g].value for g in groups],
            "over_low": [found[g].low for g in groups],
            "over_high": [found[g].high for g in groups],
        },
        like=float,
    )

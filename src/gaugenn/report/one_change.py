"""What matters more: library, quantisation, processor, threads or device. One change at a time."""

import altair as alt

from gaugenn.analysis.changes import Kind, changes, effects
from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, log_axis, log_scale, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._experiments import COMPARABLE, LIMIT, NO_PAIR, experiments
from gaugenn.report._frame import Frame
from gaugenn.report._ratios import ratio_column, ratio_text
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names

_DRAWN = 3_000


class OneChange(Figure):
    """One row a pair of experiments that differ in one thing."""

    section = Section.SPEED
    order = 419
    title = "One change at a time"
    question = "Which matters more: the library, the quantisation or the hardware?"
    query = COMPARABLE
    empty = NO_PAIR
    limit = LIMIT

    def derive(self, frame: Frame) -> Frame:
        """Every pair, with the ratio of the second to the first and its factor."""
        every = experiments(frame)
        labels = {one.measured.job_sha256: one.name for one in every}
        found = changes(one.measured for one in every)
        of_kind = {effect.kind: effect for effect in effects(found)}
        made = Frame.made(
            {
                "kind": [c.kind.value for c in found],
                "network": [c.network for c in found],
                "model": [labels[c.first.job_sha256] for c in found],
                "change": [f"{c.before} to {c.after}" for c in found],
                "engine": [c.first.engine if c.kind is not Kind.LIBRARY else "" for c in found],
            },
            {
                "ratio": [c.difference.ratio for c in found],
                "factor": [c.factor for c in found],
                "mean_factor": [of_kind[c.kind].factor for c in found],
                "networks": [float(of_kind[c.kind].networks) for c in found],
            },
        )
        return made.with_columns(
            {
                "ratio_low": [c.difference.low for c in found],
                "ratio_high": [c.difference.high for c in found],
                "mean_factor_low": [of_kind[c.kind].low for c in found],
                "mean_factor_high": [of_kind[c.kind].high for c in found],
            },
            like=float,
        )

    def chart(self, frame: Frame) -> Chart:
        """A tick a pair, and the mean of each kind with its interval."""
        kinds = [kind.value for kind in Kind if kind.value in set(frame.labels("kind"))]
        ends = ["mean_factor", "mean_factor_low", "mean_factor_high"]
        values = [1.0, *(v for name in ("factor", *ends) for v in frame.reals(name))]
        axis, scale = log_axis(values), log_scale(values)
        columns = ["kind", "model", "change", "engine", "factor", "ratio", *ends]
        base = alt.Chart(frame.first(_DRAWN).rows.select(columns)).encode(
            y=alt.Y("kind:N", title=None, sort=kinds, axis=alt.Axis(labelLimit=230))
        )
        part = alt.Color(
            "part:N", title=None, scale=alt.Scale(domain=["a pair", "mean with interval"])
        )
        ticks = (
            base.transform_calculate(part="'a pair'")
            .mark_tick(thickness=2, opacity=0.6)
            .encode(
                x=alt.X(
                    "factor:Q",
                    title="slower over faster (times)",
                    axis=axis,
                    scale=scale,
                ),
                color=part,
                tooltip=[
                    alt.Tooltip("model:N", title="model"),
                    alt.Tooltip("engine:N", title="library"),
                    alt.Tooltip("change:N", title="change"),
                    alt.Tooltip("ratio:Q", format=".3~r", title="latency after over before"),
                ],
            )
        )
        means = base.transform_aggregate(
            mean_factor="min(mean_factor)",
            mean_factor_low="min(mean_factor_low)",
            mean_factor_high="min(mean_factor_high)",
            groupby=["kind"],
        ).transform_calculate(part="'mean with interval'")
        bars = means.mark_rule(strokeWidth=3).encode(
            x=alt.X("mean_factor_low:Q", axis=axis, scale=scale),
            x2="mean_factor_high:Q",
            color=part,
        )
        points = means.mark_point(size=110, shape="diamond").encode(
            x=alt.X("mean_factor:Q", axis=axis, scale=scale),
            color=part,
            tooltip=[
                alt.Tooltip("kind:N", title="change of"),
                alt.Tooltip("mean_factor:Q", format=".3~r", title="mean factor"),
            ],
        )
        return sized(alt.layer(ticks, bars, points), TALL_STEP * (len(kinds) + 0.5))

    def table(self, frame: Frame) -> Table:
        """One row a pair, the largest factor first."""
        return Table(
            columns=(
                names("Change of", frame.texts("kind")),
                names("Model", frame.texts("model")),
                names("Library", frame.texts("engine")),
                names("From, to", frame.texts("change")),
                ratio_column("Latency after over before [95 % interval]", frame, "ratio"),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """The means, and what they are of."""
        del summary
        means: dict[str, str] = {}
        for kind, mean, low, high, networks in zip(
            frame.labels("kind"),
            *(frame.reals(f"mean_factor{end}") for end in ("", "_low", "_high")),
            frame.reals("networks"),
            strict=True,
        ):
            means[kind] = (
                f"{kind} {ratio_text(mean, low, high)} over "
                f"{_text.plural(int(networks or 0), 'network')}"
            )
        drawn = f" The chart shows the first {_DRAWN:,}." if len(frame) > _DRAWN else ""
        return (
            f"n = {_text.plural(len(frame), 'pair')} of experiments that differ in one thing and are "
            "equal in all others; invalid results are left out. The factor is the slower latency over "
            "the faster one, so chance alone makes it a little more than 1. Geometric means over "
            "networks, with 95 % intervals over networks (a network's pairs count by their own mean): "
            f"{'; '.join(means.values()) or 'none'}. Libraries are compared in their newest "
            "release here, "
            "where they compute in one precision, and across file formats only for reference models; "
            f"networks under several quantisations within one format.{drawn}"
        )

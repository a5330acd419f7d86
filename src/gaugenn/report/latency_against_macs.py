"""How far the number of operations tells the latency, and how far it does not."""

from collections import defaultdict

import altair as alt

from gaugenn.analysis.power_law import FEWEST_POINTS, PowerLaw, fit_power_law
from gaugenn.report import _text
from gaugenn.report._charts import SCATTER_HEIGHT, log_axis, log_scale, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import INTERVAL, MEASURED, NOT_MEASURED, with_latency
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers, prepared


class LatencyAgainstMacs(Figure):
    """One point an experiment on a model of known cost; one fit a setting and device."""

    section = Section.SPEED
    order = 440
    title = "Latency against operations"
    question = "How far does the number of operations tell the latency?"
    query = f"""
        SELECT *, usual AS series FROM ({MEASURED})
        WHERE macs > 0 AND batch = 1 AND len(input_shapes) = 0 ORDER BY job_sha256
    """  # noqa: S608 - our own text
    empty = f"No model of known cost was measured. {NOT_MEASURED}"
    limit = 1_000

    def derive(self, frame: Frame) -> Frame:
        """Latency with its interval, and the law of each series, where it has enough models."""
        frame = with_latency(frame)
        laws = _laws(frame)
        series = frame.labels("series")
        fits = [laws.get(name) for name in series]
        fitted = [
            None if law is None or not macs else law.at(macs)
            for law, macs in zip(fits, frame.reals("macs"), strict=True)
        ]
        shown = (
            "exponent",
            "exponent_low",
            "exponent_high",
            "r_squared",
            "spread",
            "farthest",
            "n",
        )
        columns: dict[str, list[float | None]] = {"fitted_ms": fitted}
        for name in shown:
            columns[f"law_{name}"] = [
                None if law is None else float(getattr(law, name)) for law in fits
            ]
        return frame.with_columns(columns, like=float)

    def chart(self, frame: Frame) -> Chart:
        """Both axes are logarithmic."""
        columns = ["label", "setting", "series", "engine", "macs", "verdict", "marks", "fitted_ms"]
        ends = ["latency_ms", "latency_ms_low", "latency_ms_high", "latency_ms_n"]
        macs = frame.reals("macs")
        latencies = [value for name in [*ends[:3], "fitted_ms"] for value in frame.reals(name)]
        base = alt.Chart(frame.rows.select([*columns, *ends])).encode(
            x=alt.X(
                "macs:Q",
                title="MACs of one inference",
                scale=log_scale(macs),
                axis=log_axis(macs, metric=True),
            ),
            color=alt.Color("engine:N", title="engine"),
            detail="series:N",
        )
        axis, scale = log_axis(latencies), log_scale(latencies)
        bars = base.mark_rule().encode(
            y=alt.Y("latency_ms_low:Q", title="latency (ms)", scale=scale, axis=axis),
            y2="latency_ms_high:Q",
        )
        lines = (
            base.transform_filter("isValid(datum.fitted_ms)")
            .mark_line(strokeDash=[5, 4], opacity=0.8)
            .encode(y=alt.Y("fitted_ms:Q", scale=scale, axis=axis))
        )
        points = base.mark_point().encode(
            y=alt.Y("latency_ms:Q", scale=scale, axis=axis),
            shape=alt.Shape(
                "verdict:N",
                title="verdict",
                scale=alt.Scale(
                    domain=["valid", "semivalid", "invalid"],
                    range=["circle", "triangle-up", "cross"],
                ),
            ),
            tooltip=[
                "label:N",
                "setting:N",
                alt.Tooltip("macs:Q", format=",d", title="MACs"),
                alt.Tooltip("latency_ms:Q", format=".4~r", title="latency, ms"),
                alt.Tooltip("fitted_ms:Q", format=".4~r", title="the line's, ms"),
                alt.Tooltip("latency_ms_n:Q", format="d", title="launches"),
                alt.Tooltip("marks:N", title="remarks"),
            ],
        )
        return sized(alt.layer(lines, bars, points), SCATTER_HEIGHT)

    def table(self, frame: Frame) -> Table | None:
        """One row a fit, the one with the largest spread first."""
        laws = sorted(_laws(frame).items(), key=lambda pair: (-pair[1].spread, pair[0]))
        if not laws:
            return None
        exponents = [
            f"{law.exponent:.2f} [{law.exponent_low:.2f}, {law.exponent_high:.2f}]"
            for _, law in laws
        ]
        return Table(
            columns=(
                names("Library, settings, device", [name for name, _ in laws], 60),
                numbers("Models", [law.n for _, law in laws]),
                prepared("Exponent [95 % interval]", exponents, [law.exponent for _, law in laws]),
                numbers("R² on logarithms", [law.r_squared for _, law in laws], _two),
                numbers("Typical miss, times", [law.spread for _, law in laws], _two),
                numbers("Worst miss, times", [law.farthest for _, law in laws], _two),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """Who is missing, and how to read the line."""
        drawn = (
            f" Drawn are {len(frame):,}, chosen by digest, which is as good as by chance."
            if len(frame) < frame.total
            else ""
        )
        return (
            f"n = {frame.total:,} of {_text.plural(summary.jobs_measured, 'measured experiment')}: "
            "those on one sample in the model's own size, whose model has a known number of MACs (a "
            "lower bound where a node's "
            "cost is unknown). Latency in ms, bars are 95 % intervals; both axes are logarithmic. A "
            "broken line is the least-squares power law of a library with its settings on a device, "
            f"fitted to valid and semivalid experiments on {FEWEST_POINTS} models or more. Its typical "
            "miss is the residuals' standard deviation as a factor: 1.5 says that latencies are often "
            "1.5 times what the operations say, or less by as much; with an exponent of 1 and no miss, "
            f"operations would tell all. {INTERVAL}{drawn}"
        )


def _laws(frame: Frame) -> dict[str, PowerLaw]:
    """The law of each series; one point a model, the first experiment where there are more."""
    points: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    rows = zip(
        frame.labels("series"),
        frame.labels("model_sha256"),
        frame.reals("macs"),
        frame.reals("latency_ms"),
        frame.labels("verdict"),
        strict=True,
    )
    for series, model, macs, latency, verdict in rows:
        if macs and latency and verdict != "invalid":
            points[series].setdefault(model, (macs, latency))
    found = {
        series: fit_power_law(*zip(*models.values(), strict=True))
        for series, models in points.items()
    }
    return {series: law for series, law in found.items() if law is not None}


def _two(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.2f}"

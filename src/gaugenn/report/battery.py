"""What everyday use of a model takes out of a battery."""

from collections.abc import Sequence

import altair as alt

from gaugenn.analysis.energy import Quantity
from gaugenn.analysis.scenarios import (
    DEFAULT_BATTERY,
    Discharge,
    Scenario,
    discharge,
    input_length_s,
    over_launches,
    scenarios,
)
from gaugenn.records import Modality
from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, height, log_axis, log_scale, sized, two_lines
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._results import INTERVAL, MEASURED
from gaugenn.report._summary import Summary
from gaugenn.report._table import Column, Table, names, numbers, prepared

_DRAWN = 40
_KEEPS_UP = {True: "keeps up", False: "too slow", None: "nothing is due"}


class BatteryDrain(Figure):
    """One row a scenario, experiment and rail."""

    section = Section.SPEED
    order = 441
    title = "Everyday use"
    question = "What does an hour, a day or a library of photos with a model take out of a battery?"
    query = f"""
        SELECT m.job_sha256, m.label, m.setting, m.batch, m.medians_s, k.task, k.modality,
               list_transform(k.inputs, lambda i: array_to_string(i.shape, ' ')) AS shapes,
               e.source || ': ' || e.rail AS meter,
               e.gross_j, e.gross_low_j, e.gross_high_j, e.net_j, e.net_low_j, e.net_high_j
        FROM ({MEASURED}) m
        JOIN (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) k
            ON k.model_sha256 = m.model_sha256 AND k.task != 'unknown'
        LEFT JOIN inference_energies e ON e.job_sha256 = m.job_sha256
        WHERE m.validity != 'invalid'
        ORDER BY m.label, m.setting, m.job_sha256, meter
    """  # noqa: S608 - our own text
    empty = (
        "No measured model has a task that a scenario is for. gaugenn scenarios STUDY --every shows "
        "every model in every scenario"
    )
    limit = 10_000

    def derive(self, frame: Frame) -> Frame:
        """Each experiment in every scenario that is for its model's task."""
        known = scenarios()
        rows: list[tuple[dict[str, object], Scenario, Discharge | None]] = []
        for row in frame.rows.to_pylist():
            found = _discharges(row, known)
            rows += [(row, scenario, taken) for scenario, taken in found]
        rows.sort(key=lambda r: (r[1].name, str(r[0]["label"]), str(r[0]["setting"])))
        found_ = [taken for _, _, taken in rows]
        made = Frame.made(
            {
                "scenario": [scenario.title for _, scenario, _ in rows],
                "label": [str(row["label"]) for row, _, _ in rows],
                "setting": [str(row["setting"]) for row, _, _ in rows],
                "meter": [str(row["meter"] or "not measured") for row, _, _ in rows],
                "row": [
                    f"{scenario.name}: {row['label']}\n{row['setting']}"
                    for row, scenario, _ in rows
                ],
                "keeps_up": [
                    "input length unknown" if taken is None else _KEEPS_UP[taken.real_time]
                    for taken in found_
                ],
            },
            {
                "inferences": [None if t is None else float(t.inferences) for t in found_],
                "busy_s": [None if t is None else t.busy_s for t in found_],
            },
        )
        columns: dict[str, list[float | None]] = {}
        for name, quantities, scale in (
            ("charge_mah", [None if t is None else t.charge_mah for t in found_], 1.0),
            ("net_charge_mah", [None if t is None else t.net_charge_mah for t in found_], 1.0),
            ("share_percent", [None if t is None else t.share for t in found_], 100.0),
        ):
            columns |= _ends(name, quantities, scale)
        return made.with_columns(columns, like=float)

    def chart(self, frame: Frame) -> Chart | None:
        """A point with its interval for each row with energy; none where no energy was measured."""
        ends = ["share_percent", "share_percent_low", "share_percent_high"]
        rows = [
            row
            for row, share in zip(frame.labels("row"), frame.reals(ends[0]), strict=True)
            if share is not None
        ]
        rows = list(dict.fromkeys(rows))[:_DRAWN]
        if not rows:
            return None
        values = [value for name in ends for value in frame.reals(name)]
        axis, scale = log_axis(values), log_scale(values)
        kinds, legend = alt.Scale(domain=list(_KEEPS_UP.values())), alt.Legend(columns=1)
        columns = ["row", "meter", "keeps_up", "charge_mah", *ends]
        base = (
            alt.Chart(frame.rows.select(columns))
            .transform_filter(alt.FieldOneOfPredicate(field="row", oneOf=rows))
            .encode(
                y=alt.Y("row:N", title=None, sort=rows, axis=two_lines()),
                color=alt.Color("keeps_up:N", title=None, scale=kinds, legend=legend),
            )
        )
        bars = base.mark_rule().encode(
            x=alt.X(f"{ends[1]}:Q", title="share of the battery (%)", axis=axis, scale=scale),
            x2=f"{ends[2]}:Q",
        )
        points = base.mark_point().encode(
            x=alt.X(f"{ends[0]}:Q", axis=axis, scale=scale),
            shape=alt.Shape("keeps_up:N", title=None, scale=kinds, legend=legend),
            tooltip=[
                alt.Tooltip("row:N", title="scenario"),
                alt.Tooltip("meter:N", title="meter: rail"),
                alt.Tooltip("charge_mah:Q", format=".3~r", title="mAh"),
                alt.Tooltip(f"{ends[0]}:Q", format=".3~r", title="% of the battery"),
            ],
        )
        return sized(alt.layer(bars, points), height(rows, TALL_STEP))

    def table(self, frame: Frame) -> Table:
        """One row a scenario, experiment and rail."""
        return Table(
            columns=(
                names("Scenario", frame.texts("scenario"), 70),
                names("Model", frame.texts("label")),
                names("Engine", frame.texts("setting"), 60),
                names("Meter: rail", frame.texts("meter")),
                numbers("Inferences", frame.reals("inferences")),
                _quantities("mAh [95 % interval]", frame, "charge_mah"),
                _quantities("Of it above idle, mAh", frame, "net_charge_mah"),
                _quantities("Of the battery, %", frame, "share_percent"),
                numbers("Busy", frame.reals("busy_s"), _text.seconds),
                names("In time", frame.texts("keeps_up")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """Which battery, and what keeping up is."""
        del summary
        battery = DEFAULT_BATTERY
        drawn = f" The chart shows the first {_DRAWN}." if len(frame) > _DRAWN else ""
        return (
            f"n = {_text.plural(len(frame), 'row')}: every result that is not invalid in every "
            "scenario "
            "that is for its model's task, a row a rail. The battery has "
            f"{battery.capacity_mah:g} mAh at "
            f"{battery.volts:g} V nominal; gaugenn scenarios takes another one, and scenarios of your "
            "own. Charge: inferences times the energy of one, over the voltage; it holds all that the "
            "rail draws during inferences, and above idle what is left without idle power. In time: "
            f"going by the upper end of the latency's interval. {INTERVAL}{drawn}"
        )


def _discharges(
    row: dict[str, object], known: Sequence[Scenario]
) -> list[tuple[Scenario, Discharge | None]]:
    batch = row["batch"]
    samples = batch if isinstance(batch, int) and batch > 0 else 1
    latency_s = over_launches([value / samples for value in _reals(row["medians_s"])])
    shapes = [str(item).split() for item in _items(row["shapes"])]
    length_s = input_length_s(Modality(str(row["modality"])), shapes)
    return [
        (
            scenario,
            discharge(
                scenario,
                DEFAULT_BATTERY,
                latency_s=latency_s,
                inference_j=_energy(row, "gross"),
                net_inference_j=_energy(row, "net"),
                input_length_s=length_s,
            ),
        )
        for scenario in known
        if row["task"] in scenario.tasks
    ]


def _energy(row: dict[str, object], name: str) -> Quantity | None:
    value, low, high = (row[f"{name}{end}_j"] for end in ("", "_low", "_high"))
    if not isinstance(value, float):
        return None
    return Quantity(
        value=value,
        low=low if isinstance(low, float) else None,
        high=high if isinstance(high, float) else None,
    )


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _reals(value: object) -> list[float]:
    return [item for item in _items(value) if isinstance(item, float)]


def _ends(
    name: str, quantities: Sequence[Quantity | None], scale: float
) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    for end, field in (("", "value"), ("_low", "low"), ("_high", "high")):
        values = [None if q is None else getattr(q, field) for q in quantities]
        found[name + end] = [None if v is None else scale * v for v in values]
    return found


def _quantities(title: str, frame: Frame, name: str) -> Column:
    values, lows, highs = (frame.reals(name + end) for end in ("", "_low", "_high"))
    texts = [
        _text.NOTHING
        if value is None
        else f"{value:.3g}"
        if low is None or high is None
        else f"{value:.3g} [{low:.3g}, {high:.3g}]"
        for value, low, high in zip(values, lows, highs, strict=True)
    ]
    return prepared(title, texts, values)

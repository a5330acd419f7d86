"""Which library is the fastest for which model, and what the wrong one costs."""

from collections import Counter, defaultdict

import altair as alt

from gaugenn.analysis.ranking import Place, Ranking, rank
from gaugenn.analysis.statistics import estimate
from gaugenn.records import version_key
from gaugenn.report import _text
from gaugenn.report._charts import height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._experiments import COMPARABLE, LIMIT, Experiment, experiments
from gaugenn.report._frame import Frame
from gaugenn.report._ratios import ratio_column
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, marks, names, numbers

_DRAWN = 40
_LABEL = 320

SEVERAL_LIBRARIES = f"""
    SELECT * FROM ({COMPARABLE})
    WHERE processor = 'cpu' AND affinity = '' AND batch = 1
    QUALIFY count(DISTINCT engine) OVER (
        PARTITION BY weights, device, threads, precision, shapes, page_cache) > 1
    ORDER BY macs NULLS LAST, network_label, weights, device, threads, engine, job_sha256
"""  # noqa: S608 - our own text
"""Experiments on the CPU whose weights also ran in another library under the same settings."""


class Fragmentation(Figure):
    """One row a model, device, number of threads and library."""

    section = Section.SPEED
    order = 417
    title = "Which library wins where"
    question = "Is one library the fastest everywhere, and what does the slowest cost?"
    query = SEVERAL_LIBRARIES
    empty = (
        "No model was run in two libraries under the same settings. Do that with: "
        "gaugenn bench STUDY --engine all, or with reference models: gaugenn bench STUDY --zoo paper"
    )
    limit = LIMIT

    def derive(self, frame: Frame) -> Frame:
        """Each library over the fastest one of its row."""
        texts: dict[str, list[str]] = {
            c: [] for c in ("row", "model", "device", "library", "outcome", "conditions")
        }
        reals: dict[str, list[float | None]] = {
            c: [] for c in ("threads", "latency_ms", "ratio", "ratio_low", "ratio_high")
        }
        for key, (ranking, libraries) in rankings(experiments(frame)).items():
            label, device, threads = key
            differ = len({one.environments for one in libraries.values()}) > 1
            for place in ranking.places:
                over = place.over_best
                texts["row"].append(row_name(key))
                texts["model"].append(label)
                texts["device"].append(device)
                texts["library"].append(place.name)
                texts["outcome"].append(_outcome(ranking, place))
                texts["conditions"].append("conditions differ" if differ else "")
                reals["threads"].append(float(threads))
                reals["latency_ms"].append(1e3 * place.latency_s)
                reals["ratio"].append(place.ratio)
                reals["ratio_low"].append(1.0 if over is None else over.low)
                reals["ratio_high"].append(1.0 if over is None else over.high)
        return Frame.made(texts, {}).with_columns(reals, like=float)

    def chart(self, frame: Frame) -> Chart:
        """A field for each library, with its ratio written in."""
        rows = list(dict.fromkeys(frame.labels("row")))[:_DRAWN]
        libraries = sorted(set(frame.labels("library")))
        base = (
            alt.Chart(frame.rows.select(["row", "library", "ratio", "outcome", "latency_ms"]))
            .transform_filter(alt.FieldOneOfPredicate(field="row", oneOf=rows))
            .encode(
                x=alt.X(
                    "library:N",
                    title=None,
                    sort=libraries,
                    axis=alt.Axis(labelAngle=-30, orient="top", labelLimit=160),
                ),
                y=alt.Y("row:N", title=None, sort=rows, axis=alt.Axis(labelLimit=_LABEL)),
            )
        )
        largest = max(2.0, *(value or 1.0 for value in frame.reals("ratio")))
        fields = base.mark_rect().encode(
            color=alt.Color(
                "ratio:Q",
                title="latency over the fastest",
                scale=alt.Scale(type="log", scheme="cividis", reverse=True, domain=[1, largest]),
            ),
            tooltip=[
                alt.Tooltip("row:N", title="model"),
                alt.Tooltip("library:N", title="library"),
                alt.Tooltip("ratio:Q", format=".3~r", title="over the fastest"),
                alt.Tooltip("latency_ms:Q", format=".4~r", title="latency, ms"),
                alt.Tooltip("outcome:N", title="outcome"),
            ],
        )
        dark = f"datum.ratio > {largest**0.5}"
        written = base.transform_calculate(
            text="(datum.outcome == 'fastest' ? '\u2605 ' : datum.outcome == 'ties' ? '= '"
            " : datum.outcome == 'too few launches' ? '? ' : '')"
            " + format(datum.ratio, '.2f')"
        )
        texts = written.mark_text(fontSize=11).encode(
            text="text:N",
            color=alt.condition(dark, alt.value("white"), alt.value("black")),
        )
        return sized(alt.layer(fields, texts), height(rows, 26) + 40)

    def table(self, frame: Frame) -> Table:
        """One row a library on a model."""
        return Table(
            columns=(
                names("Model", frame.texts("model")),
                names("Device", frame.texts("device")),
                numbers("Threads", frame.reals("threads")),
                names("Library", frame.texts("library")),
                numbers(
                    "Latency", [v and v / 1e3 for v in frame.reals("latency_ms")], _text.seconds
                ),
                ratio_column("Over the fastest [95 % interval]", frame, "ratio"),
                names("Outcome", frame.texts("outcome")),
                marks("Remarks", [[t] if t else [] for t in frame.labels("conditions")]),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """Who wins how often, and the spread."""
        del summary
        outcomes: dict[str, list[tuple[str, str, float]]] = defaultdict(list)
        for row, library, outcome, ratio in zip(
            *(frame.labels(c) for c in ("row", "library", "outcome")),
            frame.reals("ratio"),
            strict=True,
        ):
            outcomes[row].append((library, outcome, ratio or 1.0))
        wins = Counter(
            library
            for group in outcomes.values()
            for library, outcome, _ in group
            if outcome == "fastest"
        )
        tied = sum(all(outcome != "fastest" for _, outcome, _ in g) for g in outcomes.values())
        spread = estimate([max(ratio for *_, ratio in group) for group in outcomes.values()])
        between = (
            ""
            if spread.low is None or spread.high is None
            else f" [{spread.low:.2f}, {spread.high:.2f}]"
        )
        won = ", ".join(f"{library} {count}" for library, count in wins.most_common())
        drawn = f" The chart shows the first {_DRAWN}." if len(outcomes) > _DRAWN else ""
        return (
            f"n = {_text.plural(len(outcomes), 'model')} on their devices and threads, on the CPU, one "
            "sample at a time, each library in its newest release here and all computing in one "
            "precision; invalid results are left out. "
            f"Fastest, told from all others by the 95 % intervals of the ratios (over launches): "
            f"{won or 'none'}; no single fastest: {tied}. The slowest over the fastest: "
            f"{spread.value:.2f}"
            f"{between}, geometric mean and interval over rows. A star is the fastest, = a tie, ? too "
            "few launches to tell; intervals are not corrected for the number of "
            f"comparisons.{drawn}"
        )


def _outcome(ranking: Ranking, place: Place) -> str:
    if place is ranking.best:
        told = any(not other.undecided for other in ranking.tied)
        return "fastest" if ranking.winner else "ties" if told else "too few launches"
    return "too few launches" if place.undecided else "ties" if place.ties else "slower"


Key = tuple[str, str, int]
"""Model, device, threads."""


def row_name(key: Key) -> str:
    """How a row of the chart is called."""
    label, device, threads = key
    where = "" if device == "host" else f", {device}"
    return f"{label}, {_text.plural(threads, 'thread')}{where}"


def rankings(every: list[Experiment]) -> dict[Key, tuple[Ranking, dict[str, Experiment]]]:
    """Libraries in order for each model, device and number of threads that two of them ran.

    Of a library the newest release counts; only libraries that computed in the precision of most are
    ranked, where they tell it.
    """
    groups: dict[tuple[object, ...], dict[str, Experiment]] = defaultdict(dict)
    for one in every:
        m = one.measured
        key = (m.weights, m.device, m.threads, m.precision, m.rest)
        known = groups[key].get(m.engine)
        if known is None or version_key(known.measured.version) < version_key(m.version):
            groups[key][m.engine] = one
    found: dict[Key, tuple[Ranking, dict[str, Experiment]]] = {}
    for engines in groups.values():
        told = Counter(o.measured.observed for o in engines.values() if o.measured.observed)
        usual = told.most_common(1)[0][0] if told else ""
        libraries = {
            one.measured.library: one
            for one in engines.values()
            if one.measured.observed in {"", usual}
        }
        if len(libraries) < 2:
            continue
        first = next(iter(libraries.values()))
        m = first.measured
        rest = "" if m.precision == "as-stored" else f", {m.precision}"
        found[f"{first.name}{rest}", m.device, m.threads] = (
            rank({name: one.measured.launches for name, one in libraries.items()}),
            libraries,
        )
    return found

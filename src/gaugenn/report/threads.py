"""What more threads, and threads on chosen cores, do to a latency."""

from collections import defaultdict

import altair as alt

from gaugenn.analysis.comparison import Difference, compare_launches
from gaugenn.report import _text
from gaugenn.report._charts import SCATTER_HEIGHT, number_axis, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._experiments import COMPARABLE, LIMIT, Experiment, experiments
from gaugenn.report._frame import Frame
from gaugenn.report._ratios import ends, ratio_column
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, marks, names, numbers

_DRAWN = 7
"""As many as there are colours that can be told apart."""
_LEGEND_WIDTH = 420


class Threads(Figure):
    """One row a model, library and placement of threads."""

    section = Section.SPEED
    order = 415
    title = "Threads and cores"
    question = "What do more threads, or threads on chosen cores, gain?"
    query = f"""
        SELECT * FROM ({COMPARABLE})
        QUALIFY count(DISTINCT threads || ' ' || affinity) OVER (
            PARTITION BY model_sha256, engine, engine_version, device, processor, precision, batch,
                         shapes, page_cache) > 1
        ORDER BY network_label, engine, engine_version, device, threads, affinity, job_sha256
    """  # noqa: S608 - our own text
    empty = (
        "No model was run with several numbers of threads. "
        "Do that with: gaugenn bench STUDY --threads 1,2,4,4a2"
    )
    limit = LIMIT

    def derive(self, frame: Frame) -> Frame:
        """Each placement against the line's first: the fewest threads, unpinned before pinned."""
        lines: dict[tuple[object, ...], list[Experiment]] = defaultdict(list)
        for one in experiments(frame):
            m = one.measured
            lines[
                (
                    *(one.label, one.model_sha256, m.engine, m.version, m.device, m.processor),
                    *(m.precision, m.batch, m.rest),
                )
            ].append(one)
        rows: list[tuple[str, Experiment, str, Difference | None, bool]] = []
        for line in lines.values():
            line.sort(key=_order)
            first, best = line[0], min(line, key=lambda one: one.measured.latency_s)
            for one in line:
                over = (
                    None
                    if one is first
                    else compare_launches(one.measured.launches, first.measured.launches)
                )
                rows.append((_line(one), one, placement(one), over, one is best))
        found = Frame.made(
            {
                "line": [row[0] for row in rows],
                "placement": [row[2] for row in rows],
                "job_sha256": [row[1].measured.job_sha256 for row in rows],
                "best": ["fastest" if row[4] else "" for row in rows],
            },
            {
                "threads": [float(row[1].measured.threads) for row in rows],
                "latency_ms": [1e3 * row[1].measured.latency_s for row in rows],
            },
        )
        return found.with_columns(ends([row[3] for row in rows], "speedup"), like=float)

    def chart(self, frame: Frame) -> Chart:
        """A line a model and library."""
        shown = list(dict.fromkeys(frame.labels("line")))[:_DRAWN]
        placements = sorted(set(frame.labels("placement")), key=_notation)
        columns = ["line", "placement", "latency_ms", "speedup", "speedup_low", "speedup_high"]
        base = (
            alt.Chart(frame.rows.select(columns))
            .transform_filter(alt.FieldOneOfPredicate(field="line", oneOf=shown))
            .transform_calculate(shown="isValid(datum.speedup) ? datum.speedup : 1")
            .encode(
                x=alt.X(
                    "placement:N",
                    title="threads, a: on so many of the biggest cores",
                    sort=placements,
                    axis=alt.Axis(labelAngle=0),
                ),
                color=alt.Color(
                    "line:N",
                    title=None,
                    sort=shown,
                    legend=alt.Legend(columns=1, labelLimit=_LEGEND_WIDTH),
                ),
            )
        )
        bars = base.mark_rule().encode(
            y=alt.Y("speedup_low:Q", title="times as fast as the fewest threads"),
            y2="speedup_high:Q",
        )
        lines = base.mark_line(point=True).encode(
            y=alt.Y("shown:Q", axis=number_axis(), scale=alt.Scale(zero=True)),
            tooltip=[
                alt.Tooltip("line:N", title="experiment"),
                alt.Tooltip("placement:N", title="threads"),
                alt.Tooltip("latency_ms:Q", format=".4~r", title="latency, ms"),
                alt.Tooltip("shown:Q", format=".3~r", title="times as fast"),
            ],
        )
        return sized(alt.layer(bars, lines), SCATTER_HEIGHT)

    def table(self, frame: Frame) -> Table:
        """One row a placement."""
        return Table(
            columns=(
                names("Experiment", frame.texts("line"), 70),
                names("Threads", frame.texts("placement")),
                numbers(
                    "Latency", [v and v / 1e3 for v in frame.reals("latency_ms")], _text.seconds
                ),
                ratio_column("Times as fast [95 % interval]", frame, "speedup"),
                marks("Fastest", [[text] if text else [] for text in frame.labels("best")]),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """How to read the notation."""
        del summary
        lines = len(set(frame.labels("line")))
        drawn = f" The chart shows the first {_DRAWN}." if lines > _DRAWN else ""
        return (
            f"n = {_text.plural(len(frame), 'experiment')} on {_text.plural(lines, 'model')} "
            "with their "
            "library and device, run with several placements of threads; invalid results are left out. "
            "4a2: four threads "
            "on the two biggest cores; 4: four threads where the system puts them. Times as fast: the "
            "latency with the fewest threads over this one's, with the 95 % interval over launches (of "
            "pairs where launches took turns, else Welch's). An interval that holds 1 says that more "
            f"threads were not shown to help. The fastest is so by its mean, tied or not.{drawn}"
        )


def placement(one: Experiment) -> str:
    """`4` or `4a2`, as the bench's options have it."""
    m = one.measured
    return f"{m.threads}a{cores(m.affinity)}" if m.affinity else str(m.threads)


def cores(affinity: str) -> int:
    """How many cores a list such as `4,6-7` names."""
    count = 0
    for part in affinity.split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count


def _order(one: Experiment) -> tuple[int, bool, int]:
    m = one.measured
    return m.threads, bool(m.affinity), cores(m.affinity) if m.affinity else 0


def _notation(text: str) -> tuple[int, bool, int]:
    threads, pinned, number = text.partition("a")
    return int(threads), bool(pinned), int(number or 0)


def _line(one: Experiment) -> str:
    m = one.measured
    parts = [one.name, m.library]
    parts += [m.processor] if m.processor != "cpu" else []
    parts += [m.precision] if m.precision != "as-stored" else []
    parts += [f"batch {m.batch}"] if m.batch > 1 else []
    parts += [m.device] if m.device != "host" else []
    return ", ".join(parts)

"""What the best of all libraries for every part of a model would give."""

from collections.abc import Sequence

from gaugenn.analysis.oracle import TimedOperator, align, oracle
from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, lists, marks, names, numbers

PROFILED = """
    SELECT j.job.model_sha256 AS model_sha256, n.name,
           j.job.engine || ' ' || j.job.engine_version
           || CASE WHEN j.job.processor != 'cpu' THEN ', ' || j.job.processor ELSE '' END
           || CASE WHEN j.job.precision != 'as-stored' THEN ', ' || j.job.precision ELSE '' END
               AS library,
           j.job.threads AS threads, j.job.batch AS batch, t.job_sha256, t.position,
           t.name AS node, t.operator, list_aggregate(t.durations_s, 'median') AS duration_s
    FROM operator_timings t
    JOIN jobs j USING (job_sha256)
    LEFT JOIN model_names n ON n.model_sha256 = j.job.model_sha256
    ORDER BY n.name, model_sha256, threads, batch, library, t.job_sha256, t.position
"""
"""Operators of every profile with the median of their times."""


class OperatorOracle(Figure):
    """One row a model and number of threads."""

    section = Section.SPEED
    order = 445
    title = "The best library for every operator"
    question = (
        "What would be gained if each part of a model ran in the library that is fastest there?"
    )
    query = PROFILED
    empty = (
        "No operator was timed. Time the operators of measured models with: gaugenn profile STUDY"
    )
    limit = 1_000_000

    def derive(self, frame: Frame) -> Frame:
        """Profiles of a model are aligned and the oracle computed, conversions for nothing."""
        columns = ("model_sha256", "threads", "batch")
        keys = list(zip(*(frame.rows.column(c).to_pylist() for c in columns), strict=True))
        labels = frame.labels("library")
        rows = [
            TimedOperator(name=name, operator=operator, duration_s=duration or 0.0)
            for name, operator, duration in zip(
                frame.labels("node"),
                frame.labels("operator"),
                frame.reals("duration_s"),
                strict=True,
            )
        ]
        found: dict[tuple[object, ...], dict[str, list[TimedOperator]]] = {}
        titles: dict[tuple[object, ...], str] = {}
        for key, library, title, row in zip(keys, labels, frame.labels("name"), rows, strict=True):
            found.setdefault(key, {}).setdefault(library, []).append(row)
            titles[key] = title
        texts: dict[str, list[str]] = {
            c: [] for c in ("name", "model_sha256", "single", "libraries", "left_out")
        }
        figures: dict[str, list[float]] = {
            c: [] for c in ("threads", "stretches", "single_s", "oracle_s", "gain")
        }
        for key, profiles in found.items():
            aligned = align(profiles)
            best = oracle(aligned.stretches)
            texts["name"].append(titles[key])
            texts["model_sha256"].append(str(key[0]))
            texts["single"].append(best.single)
            texts["libraries"].append("\n".join(_shares(best.choices)))
            texts["left_out"].append(
                "\n".join(f"{name}: {why}" for name, why in aligned.left_out.items())
            )
            figures["threads"].append(float(str(key[1])))
            figures["stretches"].append(float(len(aligned.stretches)))
            figures["single_s"].append(best.single_s)
            figures["oracle_s"].append(best.total_s)
            figures["gain"].append(best.gain)
        return Frame.made(texts, figures)

    def table(self, frame: Frame) -> Table:
        """One row a model and number of threads."""
        lines = [text.split("\n") if text else [] for text in frame.labels("libraries")]
        out = [text.split("\n") if text else [] for text in frame.labels("left_out")]
        return Table(
            columns=(
                names("Model", frame.texts("name")),
                numbers("Threads", frame.reals("threads")),
                numbers("Parts", frame.reals("stretches")),
                names("Best library", frame.texts("single")),
                numbers("Its operators", frame.reals("single_s"), _text.seconds),
                numbers("Best of each", frame.reals("oracle_s"), _text.seconds),
                numbers("Times as fast", frame.reals("gain"), _ratio),
                lists("Parts by library", lines),
                marks("Left out", out),
                digests("Model SHA-256", frame.texts("model_sha256")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """How a profile is made and cut, and that it is no latency."""
        del summary
        return (
            f"n = {len(frame):,} models by numbers of threads. A part is a product "
            "with weights and all that follows it up to the next; its time is the sum of the medians "
            "of its operators in a launch that times operators, which perturbs and never counts as a "
            "latency. Handing over between libraries costs nothing here; `gaugenn oracle` adds the "
            "conversion of a layout."
        )


def _shares(choices: Sequence[str]) -> list[str]:
    counts: dict[str, int] = {}
    for choice in choices:
        counts[choice] = counts.get(choice, 0) + 1
    return [f"{name}: {count}" for name, count in sorted(counts.items(), key=lambda i: -i[1])]


def _ratio(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.2f}"

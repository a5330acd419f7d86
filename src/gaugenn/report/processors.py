"""What another processor gains over the CPU, in latency and in energy."""

from collections import defaultdict

from gaugenn.analysis.changes import Kind, changes
from gaugenn.analysis.comparison import over_models
from gaugenn.report import _text
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._experiments import COMPARABLE, LIMIT, experiments
from gaugenn.report._frame import Frame
from gaugenn.report._ratios import ratio_chart, ratio_column, ratio_text
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers

_DRAWN = 40


class Processors(Figure):
    """One row a model, library and processor other than the CPU."""

    section = Section.SPEED
    order = 416
    title = "Processors and delegates"
    question = "How much faster is a model on another processor than on the CPU?"
    query = f"""
        SELECT c.*, e.inference_j FROM ({COMPARABLE}) c
        LEFT JOIN (
            SELECT DISTINCT ON (job_sha256) job_sha256, gross_j AS inference_j
            FROM inference_energies ORDER BY job_sha256, source, rail
        ) e USING (job_sha256)
        QUALIFY count(DISTINCT c.processor) OVER (
            PARTITION BY c.weights, c.engine, c.engine_version, c.device) > 1
        ORDER BY c.network_label, c.setting, c.job_sha256
    """  # noqa: S608 - our own text
    empty = (
        "No model was run on two processors with one library. Do that with: "
        "gaugenn bench STUDY --processor cpu,gpu"
    )
    limit = LIMIT

    def derive(self, frame: Frame) -> Frame:
        """Pairs that differ in the processor only; speed and efficiency are gains, above 1 better."""
        every = experiments(frame)
        labels = {one.measured.job_sha256: one.name for one in every}
        energies = dict(zip(frame.labels("job_sha256"), frame.reals("inference_j"), strict=True))
        pairs = [
            change
            for change in changes(one.measured for one in every)
            if change.kind is Kind.PROCESSOR and change.before == "cpu"
        ]
        pairs.sort(key=lambda c: (c.after, labels[c.first.job_sha256], c.first.library))
        found = Frame.made(
            {
                "row": [
                    f"{labels[c.first.job_sha256]}\n{c.first.library}, "
                    f"{_text.plural(c.first.threads, 'thread')}, "
                    f"{c.after} on {c.first.device}"
                    for c in pairs
                ],
                "network": [c.network for c in pairs],
                "model": [labels[c.first.job_sha256] for c in pairs],
                "library": [c.first.library for c in pairs],
                "device": [c.first.device for c in pairs],
                "processor": [c.after for c in pairs],
            },
            {},
        )
        gains = [_inverted(c.difference.ratio, c.difference.low, c.difference.high) for c in pairs]
        saved = []
        for change in pairs:
            before, after = (
                energies.get(side.job_sha256) for side in (change.first, change.second)
            )
            saved.append(before / after if before and after else None)
        return found.with_columns(
            {
                "speedup": [gain[0] for gain in gains],
                "speedup_low": [gain[1] for gain in gains],
                "speedup_high": [gain[2] for gain in gains],
                "efficiency": saved,
            },
            like=float,
        )

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval for each pair."""
        return ratio_chart(
            frame.first(_DRAWN), "speedup", "times as fast as the CPU", "processor", "processor"
        )

    def table(self, frame: Frame) -> Table:
        """One row a pair."""
        return Table(
            columns=(
                names("Model", frame.texts("model")),
                names("Library", frame.texts("library")),
                names("Device", frame.texts("device")),
                names("Processor", frame.texts("processor")),
                ratio_column("Times as fast [95 % interval]", frame, "speedup"),
                numbers("Times as efficient", frame.reals("efficiency"), _two),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """Over all models."""
        del summary
        groups: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for processor, library, network, gain in zip(
            *(frame.labels(c) for c in ("processor", "library", "network")),
            frame.reals("speedup"),
            strict=True,
        ):
            if gain:
                groups[processor, library][network].append(gain)
        texts = []
        for (processor, library), networks in sorted(groups.items()):
            found = over_models([sum(g) / len(g) for g in networks.values()])
            texts.append(
                f"{library} on the {processor}: {ratio_text(found.value, found.low, found.high)} over "
                f"{_text.plural(len(networks), 'model')}"
            )
        drawn = f" The chart shows the first {_DRAWN}." if len(frame) > _DRAWN else ""
        return (
            f"n = {_text.plural(len(frame), 'pair')} of experiments that differ in the processor only; "
            "invalid results, such as a silent fallback to the CPU, are left out. Times as "
            "fast: the CPU's "
            "latency over the other's; 1 is no gain. The 95 % interval is over launches (of "
            "pairs where "
            "launches took turns, else Welch's). Times as efficient: the CPU's energy of one inference "
            "over the other's, where a meter ran; it has no interval. Geometric means, with intervals "
            f"over models: {'; '.join(texts) or 'none'}.{drawn}"
        )


def _inverted(
    ratio: float, low: float | None, high: float | None
) -> tuple[float, float | None, float | None]:
    return 1 / ratio, high and 1 / high, low and 1 / low


def _two(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.2f}"

"""How far libraries keep their order from one device to the next."""

from collections import defaultdict
from itertools import combinations

from gaugenn.analysis.ranking import Stability, stability
from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._experiments import LIMIT, experiments
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers, prepared
from gaugenn.report.fragmentation import SEVERAL_LIBRARIES, rankings


class RankStability(Figure):
    """One row a pair of devices and a number of threads."""

    section = Section.SPEED
    order = 418
    title = "Do libraries keep their order?"
    question = "Is the fastest library on one device also the fastest on another?"
    query = f"""
        SELECT * FROM ({SEVERAL_LIBRARIES})
        QUALIFY count(DISTINCT device) OVER (PARTITION BY weights, threads) > 1
        ORDER BY macs NULLS LAST, network_label, weights, device, threads, engine, job_sha256
    """  # noqa: S608 - our own text
    empty = (
        "No model was run in two libraries on two devices. "
        "Do that with: gaugenn bench STUDY --device host,adb:SERIAL --engine all"
    )
    limit = LIMIT

    def derive(self, frame: Frame) -> Frame:
        """Kendall's tau of each pair of devices, mean over models."""
        levels: dict[int, dict[str, dict[str, dict[str, float]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        for (label, device, threads), (ranking, libraries) in rankings(experiments(frame)).items():
            levels[threads][device][label] = {
                libraries[place.name].measured.engine: place.latency_s for place in ranking.places
            }
        found: list[tuple[str, str, int, Stability]] = []
        for threads, devices in sorted(levels.items()):
            for one, two in combinations(sorted(devices), 2):
                kept = stability(devices[one], devices[two])
                if kept is not None:
                    found.append((one, two, threads, kept))
        made = Frame.made(
            {"first": [row[0] for row in found], "second": [row[1] for row in found]},
            {
                "threads": [float(row[2]) for row in found],
                "tau": [row[3].tau for row in found],
                "models": [float(row[3].models) for row in found],
                "same_best": [float(row[3].same_best) for row in found],
            },
        )
        return made.with_columns(
            {
                "tau_low": [row[3].low for row in found],
                "tau_high": [row[3].high for row in found],
            },
            like=float,
        )

    def table(self, frame: Frame) -> Table:
        """One row a pair of devices."""
        taus = frame.reals("tau")
        texts = [
            f"{tau or 0.0:+.2f} [no interval]"
            if low is None or high is None
            else f"{tau or 0.0:+.2f} [{low:+.2f}, {high:+.2f}]"
            for tau, low, high in zip(
                taus, frame.reals("tau_low"), frame.reals("tau_high"), strict=True
            )
        ]
        same = zip(frame.reals("same_best"), frame.reals("models"), strict=True)
        return Table(
            columns=(
                names("Device", frame.texts("first")),
                names("Other device", frame.texts("second")),
                numbers("Threads", frame.reals("threads")),
                prepared("Kendall's tau [95 % interval]", texts, taus),
                names("Same fastest library", [f"{a or 0:.0f} of {b or 0:.0f}" for a, b in same]),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What tau is."""
        del summary
        return (
            f"n = {_text.plural(len(frame), 'pair')} of devices by numbers of threads. Kendall's tau-b "
            "between the latencies of the libraries that ran a model on both devices, mean over models "
            "with Student's 95 % interval over models: 1 is the same order everywhere, 0 no "
            "relation, -1 "
            "the reverse. With two libraries a model's tau is 1 or -1. The order is by "
            "geometric means; "
            "libraries that tie in their intervals can change places by chance."
        )

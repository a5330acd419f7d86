"""With which library, threads and precision to run each model, and what another choice gives up."""

from collections.abc import Sequence

from gaugenn.analysis.recommendation import Recommendation, Way, recommend
from gaugenn.report import _text
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._experiments import COMPARABLE, LIMIT, Experiment, experiments
from gaugenn.report._frame import Frame
from gaugenn.report._ratios import ratio_chart
from gaugenn.report._results import NOT_MEASURED
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers, prepared

_DRAWN = 40

VALID = f"""
    SELECT * FROM ({COMPARABLE}) WHERE validity = 'valid' AND batch = 1
    ORDER BY macs NULLS LAST, network_label, device, setting, job_sha256
"""  # noqa: S608 - our own text
"""Experiments that may be recommended."""


class RecommendationFigure(Figure):
    """One row a model, device and way to run it."""

    section = Section.SPEED
    order = 449
    title = "What to run each model with"
    question = "Which library, threads and precision does a model run fastest with on a device?"
    query = VALID
    empty = f"No experiment is valid: see the verdicts under Latency. {NOT_MEASURED}"
    limit = LIMIT

    def derive(self, frame: Frame) -> Frame:
        """Every way with what it gives up, the fastest of each model and device first."""
        every = experiments(frame)
        shown = {one.measured.job_sha256: one for one in every}
        rows = [
            (found, way, shown[way.experiment.job_sha256])
            for found in recommend(one.measured for one in every)
            for way in found.ways
        ]
        made = Frame.made(
            {
                "network": [found.network for found, _, _ in rows],
                "model": [one.label for _, _, one in rows],
                "device": [found.device for found, _, _ in rows],
                "way": [way_name(one) for _, _, one in rows],
                "library": [way.experiment.library for _, way, _ in rows],
                "outcome": [outcome(found, way) for found, way, _ in rows],
                "row": [f"{one.label}\n{way_name(one)}" for _, _, one in rows],
                "job_sha256": [way.experiment.job_sha256 for _, way, _ in rows],
                "model_sha256": [one.model_sha256 for _, _, one in rows],
                "file": [one.file for _, _, one in rows],
                "speed_given_up": [_given_up(found, way) for found, way, _ in rows],
            },
            {
                "threads": [float(way.experiment.threads) for _, way, _ in rows],
                "latency_ms": [1e3 * way.place.latency_s for _, way, _ in rows],
                "launches": [float(len(way.experiment.launches)) for _, way, _ in rows],
                "ratio": [way.place.ratio for _, way, _ in rows],
                "ratio_low": [_end(way, "low") for _, way, _ in rows],
                "ratio_high": [_end(way, "high") for _, way, _ in rows],
            },
        )
        columns = zip(*(way.given_up for _, way, _ in rows), strict=True) if rows else ((), (), ())
        return made.with_columns(
            {
                name: [None if share is None else 100 * share for share in column]
                for name, column in zip(
                    ("given_up", "given_up_low", "given_up_high"), columns, strict=True
                )
            },
            like=float,
        )

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval for each way; 1 is the fastest."""
        drawn = frame.first(_DRAWN)
        return ratio_chart(drawn, "ratio", "latency over the fastest way's", "outcome", None)

    def table(self, frame: Frame) -> Table:
        """One row a way."""
        return Table(
            columns=(
                names("Model", frame.texts("model")),
                names("Device", frame.texts("device")),
                names("Way to run it", frame.texts("way"), 70),
                names("Outcome", frame.texts("outcome")),
                numbers(
                    "Latency", [v and v / 1e3 for v in frame.reals("latency_ms")], _text.seconds
                ),
                prepared(
                    "Speed given up [95 % interval]",
                    frame.labels("speed_given_up"),
                    frame.reals("given_up"),
                ),
                numbers("Launches", frame.reals("launches")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """Who is in it."""
        places = set(zip(frame.labels("network"), frame.labels("device"), strict=True))
        drawn = f" The chart shows the first {_DRAWN}." if len(frame) > _DRAWN else ""
        return (
            f"n = {_text.plural(len(frame), 'valid experiment')} of {summary.jobs_measured:,} "
            "measured, "
            f"for {_text.plural(len(places), 'model')} on their devices; semivalid and invalid "
            "ones are "
            "never recommended. The fastest way is recommended; where it ties with others, the "
            "launches "
            "do not tell them apart (the 95 % interval of the ratio of latencies holds 1, or there is "
            "none) and any of them may be taken. Speed given up: 1 less the fastest's latency "
            "over this "
            "one's. Accuracy is not judged: whether a quantised variant will do is yours to say. "
            f"Intervals are over launches and not corrected for the number of ways.{drawn}"
        )


def outcome(found: Recommendation, way: Way) -> str:
    """What is said of a way."""
    if way is found.best:
        return "fastest, tied" if found.ties else "recommended"
    return "ties with the fastest" if way.place.ties else "slower"


def way_name(one: Experiment) -> str:
    """A way to run a model, as the report shows it."""
    scheme = one.name.removeprefix(one.label)
    return f"{one.setting},{scheme} weights" if scheme else one.setting


def _given_up(found: Recommendation, way: Way) -> str:
    """`23 % [21, 25]`."""
    if way is found.best:
        return "nothing"
    value, low, high = way.given_up
    between = "no interval" if low is None or high is None else f"{100 * low:.0f}, {100 * high:.0f}"
    return f"{100 * value:.0f} % [{between}]"


def _end(way: Way, name: str) -> float | None:
    over = way.place.over_best
    if over is None:
        return None
    found: Sequence[float | None] = (over.low, over.high)
    return found[name == "high"]

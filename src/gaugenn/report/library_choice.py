"""Whether predictions choose the right library for a model that was not measured."""

from gaugenn.analysis.library_choice import Measurement, selectors
from gaugenn.report import _text
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._predicted import NOT_PREDICTED, PREDICTED
from gaugenn.report._ratios import ratio_chart, ratio_column
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names


class LibraryChoice(Figure):
    """One row a device, number of threads and way to choose."""

    section = Section.SPEED
    order = 444
    title = "Choosing a library unmeasured"
    question = "Which library to take unmeasured, and what does a wrong choice cost?"
    query = f"""
        SELECT * FROM ({PREDICTED})
        WHERE measured_ms > 0 AND processor = 'cpu' AND affinity = '' AND precision = 'as-stored'
        ORDER BY device, threads, network, engine, engine_version, model_sha256
    """  # noqa: S608 - our own text
    empty = f"No two libraries have predictions for the same reference models. {NOT_PREDICTED}"
    limit = 100_000

    def derive(self, frame: Frame) -> Frame:
        """Each way to choose, with how often it is right and what its choices cost."""
        rows = zip(
            *(frame.labels(c) for c in ("device", "network", "engine", "engine_version")),
            frame.integers("threads"),
            frame.reals("measured_ms"),
            frame.reals("predicted_ms"),
            strict=True,
        )
        found = selectors(
            Measurement(
                device=device,
                threads=threads or 0,
                network=network,
                library=f"{engine} {version}",
                measured=measured or 0.0,
                predicted=predicted or 0.0,
            )
            for device, network, engine, version, threads, measured, predicted in rows
        )
        return Frame.made(
            {
                "row": [f"{s.name}\n{s.device}, threads: {s.threads}" for s in found],
                "choice": [s.name for s in found],
                "kind": [s.kind for s in found],
                "device": [s.device for s in found],
                "right": [f"{s.right} of {s.networks}" for s in found],
            },
            {
                "threads": [float(s.threads) for s in found],
                "cost": [s.cost.value for s in found],
                "cost_low": [s.cost.low for s in found],
                "cost_high": [s.cost.high for s in found],
            },
        )

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval for each way to choose; 1 is always right."""
        return ratio_chart(frame, "cost", "latency over the best library's", "kind", None)

    def table(self, frame: Frame) -> Table:
        """One row a way to choose."""
        return Table(
            columns=(
                names("Choice", frame.texts("choice")),
                names("Device", frame.texts("device")),
                names("Threads", [f"{t or 0:.0f}" for t in frame.reals("threads")]),
                names("Takes the best", frame.texts("right")),
                ratio_column("Latency over the best [95 % interval]", frame, "cost"),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What each way knows."""
        del summary
        return (
            f"n = {_text.plural(len(frame), 'way')} to choose by devices and threads, on the "
            "networks that "
            "all libraries there ran. By prediction: the library whose predicted latency is "
            "the least, each "
            "predicted without the network itself. Always: the same library for all. As on "
            "other devices: "
            "the best library for this network, going by measurements on the other devices "
            "alone. The cost is "
            "the measured latency of the choice over that of the best library, geometric mean "
            "with a 95 % "
            "interval over networks; a choice is worth it where it costs less than the best of "
            "the always."
        )

"""Experiments as tables, wherever pages show them: each with its interval and its verdict."""

from collections.abc import Sequence

from gaugenn.explorer._contract import address
from gaugenn.explorer._database import Reader
from gaugenn.report import _text
from gaugenn.report._frame import Frame
from gaugenn.report._results import milliseconds_column, with_estimate
from gaugenn.report._table import Column, Table, digests, links, marks, names, numbers

MOST = 100
"""Experiments that a page of something else shows."""

SORT_KEYS = ("model", "setting", "latency_s", "launches_ok", "validity", None, "device", None)
"""What a list sorts the columns of `table` by."""


def load(reader: Reader, rest: str, parameters: Sequence[object]) -> Frame:
    """Some experiments, the fastest first."""
    query = (
        f"SELECT * FROM page_experiments r WHERE {rest}"  # noqa: S608
        " ORDER BY r.latency_s NULLS LAST, r.job_sha256"
    )
    return reader.frame(query, parameters, MOST)


def with_latency(frame: Frame) -> Frame:
    """Adds the estimate `latency_ms` of the launches' medians."""
    medians = [[1e3 * s for s in values] for values in frame.real_lists("medians_s")]
    return with_estimate(frame, "latency_ms", medians)


def table(frame: Frame) -> Table | None:
    """One row an experiment; None where there is none."""
    if not len(frame):
        return None
    frame = with_latency(frame)
    shown = zip(frame.text_lists("reasons"), frame.text_lists("notes"), strict=True)
    remarks = [[text.replace("_", " ") for text in (*a, *b)] for a, b in shown]
    jobs = [address("experiments", job) for job in frame.labels("job_sha256")]
    models = [address("models", model) for model in frame.labels("model_sha256")]
    devices = [address("devices", key) for key in frame.labels("device_key")]
    return Table(
        columns=(
            links(names("Model", frame.texts("model")), models),
            links(names("Setting", frame.texts("setting"), 60), jobs),
            milliseconds_column("Latency [95 % interval]", frame, "latency_ms"),
            _launches(frame),
            names("Verdict", [v or "not run" for v in frame.labels("validity")]),
            marks("Reasons", remarks),
            links(names("Device", frame.texts("device")), devices),
            links(digests("Experiment", frame.texts("job_sha256")), jobs),
        )
    )


def _launches(frame: Frame) -> Column:
    good, tried = frame.integers("launches_ok"), frame.integers("launches_tried")
    column = numbers("Good launches", good)
    texts = [f"{ok or 0:,} of {all_ or 0:,}" for ok, all_ in zip(good, tried, strict=True)]
    return Column(
        title=column.title,
        style=column.style,
        cells=tuple(
            type(cell)(text=text, sort=cell.sort)
            for cell, text in zip(column.cells, texts, strict=True)
        ),
    )


def more(frame: Frame) -> str:
    """What is not shown of experiments that were loaded by `load`; "" where all are."""
    if frame.total <= len(frame):
        return ""
    return f"The fastest {len(frame):,} of {_text.plural(frame.total, 'experiment')}."

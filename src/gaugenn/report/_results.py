"""What the figures about speed share: one row an experiment, its estimates and its remarks."""

from collections.abc import Sequence

from gaugenn.analysis.statistics import BOOTSTRAP_LAUNCHES, MINIMUM_LAUNCHES, Estimate, estimate
from gaugenn.report import _text
from gaugenn.report._frame import Frame
from gaugenn.report._table import Column, prepared
from gaugenn.report._text import Units

LABEL = "left(coalesce(n.name, 'model'), 28) || ' ' || left(r.model_sha256, 6)"
"""SQL: a model's short name; `n` is `model_names`, `r` an experiment."""

SETTING = """r.engine || ' ' || r.engine_version
           || CASE r.threads WHEN 0 THEN '' WHEN 1 THEN ', 1 thread'
                             ELSE ', ' || r.threads || ' threads' END
           || CASE WHEN r.affinity != '' THEN ' on ' || r.affinity ELSE '' END
           || CASE WHEN r.processor != 'cpu' THEN ', ' || r.processor ELSE '' END
           || CASE WHEN r.precision != 'as-stored' THEN ', ' || r.precision ELSE '' END
           || CASE WHEN r.imported IS NOT NULL THEN ', imported' ELSE '' END
           || CASE WHEN r.batch > 1 THEN ', batch ' || r.batch ELSE '' END
           || CASE WHEN len(r.input_shapes) > 0 THEN ', ' || array_to_string(
               list_transform(r.input_shapes, lambda i:
                   i.name || ' ' || array_to_string(i.shape, 'x')), ', ') ELSE '' END
           || CASE WHEN r.device != 'host' THEN ', ' || r.device ELSE '' END"""
"""SQL: engine, version and each setting that is not the usual one; `r` is an experiment.

Two experiments can have the same: `MEASURED` adds in what else they differ.
"""

_TIMES = (
    ("page_cache", "'page cache ' || {}"),
    ("warmup_minimum_count", "'warm-up of ' || {} || ' or more'"),
    ("warmup_minimum_s", "'warm-up of ' || printf('%g', {}) || ' s or more'"),
    ("warmup_maximum_s", "'warm-up until flat, ' || printf('%g', {}) || ' s at most'"),
    ("steady_minimum_count", "{} || ' samples or more'"),
    ("steady_minimum_s", "'steady for ' || printf('%g', {}) || ' s or more'"),
    ("steady_maximum_s", "'steady for ' || printf('%g', {}) || ' s at most'"),
    ("maximum_samples", "{} || ' samples at most'"),
    ("launch_maximum_s", "'launch of ' || printf('%g', {}) || ' s at most'"),
    ("format", "{}"),
    ("seed", "'seed ' || {}"),
)
"""SQL: fields of a job that a setting does not name, and how they read where they differ."""

_DIFFERING = " || ".join(
    f"CASE WHEN count(DISTINCT job.{name}) OVER same > 1 "
    f"THEN ', ' || {text.format(f'job.{name}')} ELSE '' END"
    for name, text in _TIMES
)

MEASURED_FROM_RUNS = f"""
    SELECT * EXCLUDE (job), usual || {_DIFFERING} AS setting
    FROM (
        SELECT n.name, {LABEL} AS label, {SETTING} AS usual, j.job,
               r.*, m.macs, v.validity,
               list_distinct(list_concat(v.reasons, coalesce(r.notes, []))) AS remarks
        FROM results r
        JOIN jobs j USING (job_sha256)
        LEFT JOIN model_names n USING (model_sha256)
        LEFT JOIN verdicts v USING (job_sha256)
        LEFT JOIN (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) m
            USING (model_sha256)
        WHERE r.launches_ok > 0
    )
    WINDOW same AS (PARTITION BY model_sha256, usual)
    ORDER BY macs NULLS LAST, label, setting, job_sha256
"""  # noqa: S608 - our own text
"""What the relation `measured` holds: experiments with at least one good launch, the cheapest model
first. `usual` says which settings are not the usual ones, `setting` also what else differs from the
model's other experiments.
"""

MEASURED = "SELECT * FROM measured ORDER BY macs NULLS LAST, label, setting, job_sha256"
"""The same as figures read it: derived once for all of them."""

NOT_MEASURED = (
    "Nothing was measured. Install engines with: gaugenn engines install, "
    "then run the models with: gaugenn bench STUDY"
)

INTERVAL = (
    "Each number is the geometric mean over n launches, a launch being a fresh process, with its 95 % "
    "interval in brackets (on the logarithms: Student's t, from "
    f"{BOOTSTRAP_LAUNCHES} launches on a bootstrap over launches). Iterations inside a launch are not "
    f"independent and are never pooled; fewer than {MINIMUM_LAUNCHES} launches give no interval."
)


def with_estimate(frame: Frame, name: str, samples: Sequence[Sequence[float]]) -> Frame:
    """Adds `NAME`, `NAME_low`, `NAME_high` and `NAME_n`, in the unit of the samples."""
    found = [_estimate(values) for values in samples]
    return frame.with_columns(
        {
            name: [None if e is None else e.value for e in found],
            f"{name}_low": [None if e is None else e.low for e in found],
            f"{name}_high": [None if e is None else e.high for e in found],
            f"{name}_n": [0 if e is None else e.n for e in found],
        },
        like=float,
    )


def _estimate(values: Sequence[float]) -> Estimate | None:
    # A phase that took no measurable time has no logarithm, hence no estimate.
    return estimate(values) if values and min(values) > 0 else None


def with_latency(frame: Frame) -> Frame:
    """Adds the estimate `latency_ms` of the launches' medians, and `verdict`."""
    medians = [[1e3 * s for s in values] for values in frame.real_lists("medians_s")]
    found = with_estimate(frame, "latency_ms", medians)
    remarks = [[reason.replace("_", " ") for reason in row] for row in frame.text_lists("remarks")]
    verdicts = [
        "semivalid" if row and validity == "valid" else validity
        for row, validity in zip(remarks, frame.texts("validity"), strict=True)
    ]
    return found.with_columns(
        {
            "marks": ["; ".join(row) for row in remarks],
            "verdict": verdicts,
        },
        like=str,
    )


def with_rows(frame: Frame) -> Frame:
    """Adds `row`: the model's label and the setting below each other."""
    pairs = zip(frame.texts("label"), frame.texts("setting"), strict=True)
    return frame.with_columns(
        {"row": [f"{label}\n{setting}" for label, setting in pairs]}, like=str
    )


def estimate_column(
    title: str, frame: Frame, name: str, units: Units, scale: float = 1.0
) -> Column:
    """Estimates as `2.40 ms [2.31, 2.50], n = 5`, sorted by the estimate.

    Args:
        title: of the column.
        frame: with the columns that `with_estimate` added.
        name: of the estimate.
        units: to choose from.
        scale: what one of the frame's units is in the units' base.
    """
    values, low, high = (
        [None if value is None else scale * value for value in frame.reals(name + end)]
        for end in ("", "_low", "_high")
    )
    numbers = [int(n or 0) for n in frame.reals(f"{name}_n")]
    rows = zip(values, low, high, numbers, strict=True)
    texts = [_text.interval(*row, units) for row in rows]
    return prepared(title, texts, values)


def milliseconds_column(title: str, frame: Frame, name: str) -> Column:
    """Estimates that are in milliseconds."""
    return estimate_column(title, frame, name, _text.SECONDS, scale=1e-3)

"""Experiments that may be compared: not invalid, one an identity, each with its launches."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from gaugenn.analysis.changes import Measured
from gaugenn.records import PageCache
from gaugenn.report._frame import Frame
from gaugenn.report._results import MEASURED

COMPARABLE = f"""
    SELECT m.job_sha256, m.name AS file, coalesce(z.model, m.label) AS network_label,
           coalesce(z.model, k.architecture_sha256, m.model_sha256) AS network,
           coalesce(z.model || ' ' || z.variant, m.model_sha256) AS weights,
           coalesce(z.variant, k.quantization, 'unknown') AS scheme,
           m.model_sha256, m.label, m.setting, m.format, m.engine, m.engine_version, m.device,
           m.processor, m.precision, list_aggregate(m.observed_precisions, 'string_agg', '+')
               AS observed_precision,
           m.threads, m.affinity, m.batch, m.page_cache,
           array_to_string(list_transform(m.input_shapes, lambda i:
               i.name || ' ' || array_to_string(i.shape, 'x')), ', ') AS shapes,
           m.validity, m.macs, m.environments, m.launch_numbers, m.launch_starts, m.medians_s
    FROM ({MEASURED}) m
    LEFT JOIN reference_files z ON z.model_sha256 = m.model_sha256
    LEFT JOIN (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) k
        ON k.model_sha256 = m.model_sha256
    WHERE m.validity != 'invalid'
    ORDER BY m.macs NULLS LAST, network_label, m.label, m.setting, m.job_sha256
"""  # noqa: S608 - our own text
"""Experiments that were not found invalid, with what must be equal for a comparison."""

LIMIT = 100_000
"""Experiments that a comparison takes in."""

NO_PAIR = (
    "No two experiments differ in one thing only. Run a model with several libraries, processors or "
    "numbers of threads: gaugenn bench STUDY --engine all --threads 1,4"
)


_FLOATS = frozenset({"none", "unknown", "fp32"})
"""Schemes that go without saying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment with how it is shown.

    Attributes:
        measured: what comparisons need.
        model_sha256: of its file.
        file: its name.
        label: the network's: a reference model's name, else the file's with its digest.
        setting: engine, version and settings that are not the usual ones.
        valid: whether no rule was against it.
        macs: of one inference; None where that is not known.
        environments: what its launches ran on.
    """

    measured: Measured
    model_sha256: str
    file: str
    label: str
    setting: str
    valid: bool
    macs: float | None
    environments: tuple[str, ...]

    @property
    def name(self) -> str:
        """The network, how its weights are quantised where they are, and what else is unusual."""
        scheme, rest = self.measured.scheme, self.measured.rest
        quantised = "" if scheme in _FLOATS else f" {scheme}"
        return f"{self.label}{quantised}{f' ({rest})' if rest else ''}"


def experiments(frame: Frame) -> list[Experiment]:
    """The experiments of a frame of `COMPARABLE`.

    Of several that differ only in how long was measured, the one with the most launches counts.
    """
    rows = frame.rows.to_pylist()
    chosen: dict[tuple[object, ...], Experiment] = {}
    for row in rows:
        one = _experiment(row)
        m = one.measured
        if not m.launches:  # a clock too coarse to see anything
            continue
        key = (
            *(one.model_sha256, m.engine, m.version, m.device, m.processor, m.precision),
            *(m.threads, m.affinity, m.batch, m.rest),
        )
        known = chosen.get(key)
        if known is None or _preferred(known) < _preferred(one):
            chosen[key] = one
    return list(chosen.values())


def by_device_and_network(every: Iterable[Experiment]) -> dict[tuple[str, str], list[Experiment]]:
    """Experiments on one network and device, in the order in which networks come."""
    found: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    for one in every:
        found[one.measured.network, one.measured.device].append(one)
    return dict(found)


def _page_cache(state: str) -> str:
    return "" if state == PageCache.WARM else f"page cache {state}"


def _preferred(one: Experiment) -> tuple[bool, int, str]:
    return one.valid, len(one.measured.launches), one.measured.job_sha256


def _experiment(row: dict[str, object]) -> Experiment:
    def text(name: str) -> str:
        value = row[name]
        return value if isinstance(value, str) else ""

    def items(name: str) -> list[object]:
        value = row[name]
        return value if isinstance(value, list) else []

    def whole(name: str) -> int:
        value = row[name]
        return value if isinstance(value, int) else 0

    launches = {
        number: (str(start), float(median))
        for number, start, median in zip(
            *(items(name) for name in ("launch_numbers", "launch_starts", "medians_s")), strict=True
        )
        if isinstance(number, int) and isinstance(median, float) and median > 0
    }
    macs = row["macs"]
    return Experiment(
        measured=Measured(
            job_sha256=text("job_sha256"),
            network=text("network"),
            weights=text("weights"),
            scheme=text("scheme"),
            format=text("format"),
            engine=text("engine"),
            version=text("engine_version"),
            device=text("device"),
            processor=text("processor"),
            precision=text("precision"),
            observed=text("observed_precision"),
            threads=whole("threads"),
            affinity=text("affinity"),
            batch=whole("batch"),
            rest=", ".join(filter(None, (text("shapes"), _page_cache(text("page_cache"))))),
            launches=launches,
        ),
        model_sha256=text("model_sha256"),
        file=text("file"),
        label=text("network_label"),
        setting=text("setting"),
        valid=text("validity") == "valid",
        macs=float(macs) if isinstance(macs, int | float) else None,
        environments=tuple(str(item) for item in items("environments")),
    )

"""Profiles of a study joined to the best choice of libraries; see `analysis.oracle`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gaugenn.analysis.oracle import Oracle, Stretch, TimedOperator, align, is_product, oracle
from gaugenn.errors import UsageError
from gaugenn.records import LayerClass
from gaugenn.store import Study

PRODUCTS = (
    LayerClass.CONVOLUTION,
    LayerClass.DEPTHWISE_CONVOLUTION,
    LayerClass.DENSE,
    LayerClass.RECURRENT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOracle:
    """A model with the profiles of its libraries side by side.

    Attributes:
        model: its name, or those of its files in several formats.
        threads: that computed.
        batch: samples in an inference.
        stretches: its parts; see `analysis.oracle.Stretch`.
        left_out: libraries that cannot be compared, and why.
        oracle: the best choice.
    """

    model: str
    threads: int
    batch: int
    stretches: tuple[Stretch, ...]
    left_out: Mapping[str, str]
    oracle: Oracle


def oracles(
    study: Study,
    conversion_gb_per_s: float | None = None,
    together: Sequence[Sequence[str]] = (),
) -> tuple[ModelOracle, ...]:
    """The oracle of every model that was profiled.

    Args:
        study: with profiles.
        conversion_gb_per_s: a change of library between two parts reads and writes the tensor between
            them at this rate, 1e9 bytes a second; None for nothing.
        together: models, by name or start of their digest, that are one model in several formats.

    Raises:
        UsageError: there is no profile, no such model, or the size of a tensor is not known.
    """
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT j.job.model_sha256, coalesce(n.name, left(j.job.model_sha256, 12)),"
            "       j.job.threads, j.job.batch, j.job.engine || '==' || j.job.engine_version"
            "       || CASE WHEN j.job.processor != 'cpu' THEN ' ' || j.job.processor ELSE '' END"
            "       || CASE WHEN j.job.precision != 'as-stored' THEN ' ' || j.job.precision"
            "          ELSE '' END,"
            "       t.name, t.operator, list_aggregate(t.durations_s, 'median')"
            " FROM operator_timings t JOIN jobs j USING (job_sha256)"
            " LEFT JOIN model_names n ON n.model_sha256 = j.job.model_sha256"
            " ORDER BY t.job_sha256, t.position"
        ).fetchall()
    if not rows:
        raise UsageError("no operator was timed; do that with: gaugenn profile STUDY")
    names = {digest: name for digest, name, *_ in rows}
    groups = _groups(names, together)
    found: dict[tuple[str, int, int], dict[str, list[TimedOperator]]] = {}
    for digest, _, threads, batch, library, name, operator, duration in rows:
        profiles = found.setdefault((groups[digest], threads, batch), {})
        item = TimedOperator(name=name, operator=operator, duration_s=duration)
        profiles.setdefault(library, []).append(item)
    made = []
    for (digest, threads, batch), profiles in sorted(found.items()):
        aligned = align(profiles)
        costs = None
        if conversion_gb_per_s is not None:
            sizes = _sizes_between(study, digest, len(aligned.stretches))
            costs = [2 * batch * size / (1e9 * conversion_gb_per_s) for size in sizes]
        made.append(
            ModelOracle(
                model=" + ".join(n for d, n in names.items() if groups[d] == digest),
                threads=threads,
                batch=batch,
                stretches=aligned.stretches,
                left_out=aligned.left_out,
                oracle=oracle(aligned.stretches, costs),
            )
        )
    return tuple(made)


def _groups(names: Mapping[str, str], together: Sequence[Sequence[str]]) -> dict[str, str]:
    """For each model the one that stands for it."""
    groups = {digest: digest for digest in names}
    for members in together:
        digests = []
        for text in members:
            hits = [d for d, name in names.items() if text == name or d.startswith(text or "-")]
            if not hits:
                known = ", ".join(sorted(names.values()))
                raise UsageError(f"no profile of a model {text!r}; there are those of {known}")
            digests.extend(hits)
        for digest in digests:
            groups[digest] = digests[0]
    return groups


def _sizes_between(study: Study, digest: str, stretches: int) -> list[int]:
    """Bytes that leave each part for the next: the output of the last node before its product.

    Raises:
        UsageError: the graph has another number of products, or a size is not known.
    """
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT ON (position) layer_class, output_bytes, operator FROM layers"
            " WHERE model_sha256 = ? AND graph = 0 ORDER BY position",
            [digest],
        ).fetchall()
    places = [
        i for i, (kind, _, operator) in enumerate(rows) if kind in PRODUCTS or is_product(operator)
    ]
    sizes = [rows[place - 1][1] for place in places[1:]]
    if len(places) != stretches or any(size is None for size in sizes):
        raise UsageError(
            f"model {digest[:12]}: its graph has {len(places)} products for {stretches} parts, or "
            "sizes that are not known; leave the conversion out"
        )
    return [int(size) for size in sizes]

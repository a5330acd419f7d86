"""The relatives of one model, by the same rules as `analysis.lineage` has for all of a study."""

from dataclasses import dataclass

from gaugenn.analysis.lineage import Sibling, are_copies, are_siblings
from gaugenn.explorer._database import Reader

MOST = 200
"""Relatives of a kind that are looked at, those with most layers in common first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """Another model, and what it has in common with the one that is asked about.

    Attributes:
        model_sha256: the other's digest.
        shared_layers: weighted layers that both have.
        share: of the model that has more of them.
    """

    model_sha256: str
    shared_layers: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Relatives:
    """A model's relatives.

    Attributes:
        duplicates: other files with the same network and the same weights.
        architecture: models of the same architecture with other weights.
        fine_tuned: models with trained layers in common.
        copies: the same values in another format, or in another width of floats.
    """

    duplicates: tuple[str, ...]
    architecture: tuple[str, ...]
    fine_tuned: tuple[Relative, ...]
    copies: tuple[Relative, ...]


def relatives(reader: Reader, model_sha256: str) -> Relatives:
    """Finds a model's relatives."""
    duplicates = reader.texts(
        """SELECT o.model_sha256 FROM page_read m JOIN page_read o
             ON o.architecture_sha256 = m.architecture_sha256
            AND o.weights_sha256 = m.weights_sha256 AND o.model_sha256 != m.model_sha256
           WHERE m.model_sha256 = ? ORDER BY 1""",
        [model_sha256],
    )
    alike = reader.texts(
        """SELECT o.model_sha256 FROM page_read m JOIN page_read o
             ON o.architecture_sha256 = m.architecture_sha256
            AND o.weights_sha256 IS DISTINCT FROM m.weights_sha256
           WHERE m.model_sha256 = ? ORDER BY 1""",
        [model_sha256],
    )
    same = {model_sha256, *duplicates}
    tuned = [
        pair
        for pair, _ in _sharing(reader, model_sha256, "weights_sha256")
        if are_siblings(pair) and not {pair.first, pair.second} <= same
    ]
    copies = [
        pair
        for pair, elsewhere in _sharing(reader, model_sha256, "weights_values_sha256")
        if are_copies(pair, elsewhere=elsewhere) and not {pair.first, pair.second} <= same
    ]
    return Relatives(
        duplicates=tuple(duplicates),
        architecture=tuple(alike),
        fine_tuned=tuple(_other(pair, model_sha256) for pair in tuned),
        copies=tuple(_other(pair, model_sha256) for pair in copies),
    )


def _other(pair: Sibling, model_sha256: str) -> Relative:
    other = pair.second if pair.first == model_sha256 else pair.first
    return Relative(model_sha256=other, shared_layers=pair.shared_layers, share=pair.share)


def _sharing(reader: Reader, model_sha256: str, digest: str) -> list[tuple[Sibling, bool]]:
    """Models with layers in common, and whether they differ in format or quantisation."""
    rows = reader.connection.execute(
        f"""
        WITH mine AS (
            SELECT {digest} AS digest, count(*) AS times FROM page_weights
            WHERE model_sha256 = ? AND {digest} IS NOT NULL GROUP BY digest
        ),
        theirs AS (
            SELECT model_sha256, {digest} AS digest, count(*) AS times FROM page_weights
            WHERE {digest} IN (SELECT digest FROM mine) AND model_sha256 != ?
            GROUP BY ALL
        ),
        shared AS (
            SELECT model_sha256, sum(least(t.times, m.times))::BIGINT AS shared
            FROM theirs t JOIN mine m USING (digest) GROUP BY model_sha256
            ORDER BY shared DESC, model_sha256 LIMIT {MOST}
        )
        SELECT s.model_sha256, s.shared, (SELECT sum(times)::BIGINT FROM mine),
               count(w.{digest}),
               any_value(o.format IS DISTINCT FROM m.format
                         OR o.quantization IS DISTINCT FROM m.quantization)
        FROM shared s JOIN page_weights w USING (model_sha256)
        JOIN page_read o USING (model_sha256)
        JOIN page_read m ON m.model_sha256 = ?
        GROUP BY s.model_sha256, s.shared ORDER BY s.shared DESC, s.model_sha256
        """,  # noqa: S608
        [model_sha256, model_sha256, model_sha256],
    ).fetchall()
    found = []
    for other, shared, mine, theirs, elsewhere in rows:
        pair = Sibling(
            first=model_sha256,
            second=other,
            shared_layers=shared,
            first_layers=mine,
            second_layers=theirs,
        )
        found.append((pair, bool(elsewhere)))
    return found

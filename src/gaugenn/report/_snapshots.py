"""States of the world out of a study: all that it holds, or what one crawl snapshot brought."""

from collections.abc import Iterable, Sequence

from gaugenn.analysis.snapshots import AppState, ModelPlace, Snapshot
from gaugenn.errors import UsageError
from gaugenn.store import Study

COLUMNS = """
    app, title, category, app_sha256, version_code, version_name, member, model_sha256, format,
    architecture_sha256, weights_sha256
"""
"""Of one row a place of a model, or an app without any."""

_MODELS = """
    LEFT JOIN (SELECT app_sha256, member, model_sha256, format FROM instances) i USING (app_sha256)
    LEFT JOIN (
        SELECT DISTINCT ON (model_sha256) model_sha256, architecture_sha256, weights_sha256
        FROM models ORDER BY model_sha256
    ) m ON m.model_sha256 = i.model_sha256
"""

_NEWEST_FILES = """
    SELECT DISTINCT ON (app_sha256) * FROM packages WHERE kind != 'none' ORDER BY app_sha256, path
"""

IN_SNAPSHOTS = f"""
    SELECT l.snapshot, coalesce(a.package, l.package, l.reference) AS app,
           coalesce(l.title, a.label) AS title, l.categories[1] AS category,
           CASE WHEN a.path IS NOT NULL THEN app_sha256 END AS app_sha256,
           a.version_code, a.version_name, i.member, i.model_sha256, i.format,
           m.architecture_sha256, m.weights_sha256
    FROM listings l
    LEFT JOIN (SELECT snapshot, source, address, reference, sha256 AS app_sha256 FROM downloads) d
        USING (snapshot, source, address, reference)
    LEFT JOIN ({_NEWEST_FILES}) a USING (app_sha256)
    {_MODELS}
"""  # noqa: S608
"""What each snapshot of a study holds. Listed apps without a scanned package have no `app_sha256`."""

_SCANNED = f"""
    SELECT coalesce(a.package, regexp_extract(a.path, '[^/]*$')) AS app,
           coalesce(l.title, a.label) AS title, l.category, app_sha256, a.version_code,
           a.version_name, i.member, i.model_sha256, i.format, m.architecture_sha256,
           m.weights_sha256
    FROM ({_NEWEST_FILES}) a
    LEFT JOIN (
        SELECT app_sha256, max_by(title, listed_at) AS title,
               max_by(categories[1], listed_at) AS category
        FROM provenance GROUP BY app_sha256
    ) l USING (app_sha256)
    {_MODELS}
"""  # noqa: S608

_IN_STUDY = f"""
    WITH scanned AS ({_SCANNED})
    SELECT {COLUMNS} FROM scanned
    UNION ALL
    SELECT {COLUMNS} FROM ({IN_SNAPSHOTS})
    WHERE app_sha256 IS NULL AND app NOT IN (SELECT app FROM scanned) AND snapshot IN (
        SELECT max_by(snapshot, started_at) FROM crawls GROUP BY source, address)
"""  # noqa: S608
"""The packages, and what a store lists in its newest snapshot and of which there is no package."""


def snapshot(study: Study, name: str | None = None) -> Snapshot:
    """A state of the world.

    Args:
        study: to read.
        name: of a crawl snapshot in it; None for all packages that the study holds, and
            what stores list of which it holds none.

    Raises:
        UsageError: no such snapshot; the message lists those there are.
    """
    with study.connect() as connection:
        if name is None:
            rows = connection.execute(f"SELECT {COLUMNS} FROM ({_IN_STUDY})").fetchall()  # noqa: S608
        else:
            known = connection.execute(
                "SELECT DISTINCT snapshot FROM crawls ORDER BY ALL"
            ).fetchall()
            if (name,) not in known:
                listed = ", ".join(str(row[0]) for row in known) or "none"
                raise UsageError(f"{study.path} has no snapshot {name!r}; there are: {listed}")
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM ({IN_SNAPSHOTS}) WHERE snapshot = ?",  # noqa: S608
                [name],
            ).fetchall()
    return from_rows(rows)


def from_rows(rows: Iterable[Sequence[object]]) -> Snapshot:
    """A state from rows of `COLUMNS`."""
    apps: dict[str, AppState] = {}
    places = set()
    for row in rows:
        app, title, category, file, code, version, member, model, model_format, graph, weights = row
        key = str(app)
        there = apps.get(key)
        number = code if isinstance(code, int) else None
        newer = there is None or (number or 0) > (there.version_code or 0)
        apps[key] = AppState(
            key=key,
            title=_text(title) or (there.title if there else None),
            category=_text(category) or (there.category if there else None),
            version_code=number if newer or there is None else there.version_code,
            version_name=_text(version) if newer or there is None else there.version_name,
            files=(there.files if there else frozenset()) | ({str(file)} if file else frozenset()),
        )
        if model is not None:
            places.add(
                ModelPlace(
                    app=key,
                    member=str(member),
                    model_sha256=str(model),
                    format=str(model_format),
                    architecture_sha256=_text(graph),
                    weights_sha256=_text(weights),
                )
            )
    ordered = sorted(places, key=lambda place: (place.app, place.member, place.model_sha256))
    return Snapshot(apps=tuple(apps[key] for key in sorted(apps)), places=tuple(ordered))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None

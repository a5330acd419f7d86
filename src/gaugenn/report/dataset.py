"""What the study is made of, a row a snapshot."""

from gaugenn.report import _text
from gaugenn.report._census import APPS, NO_APP
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL, share_chart, share_column, with_share
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class Dataset(Figure):
    """One row a crawl snapshot, and one for all that the study holds."""

    section = Section.FOUND
    order = 105
    title = "Dataset"
    question = "How many apps and models does each snapshot hold, and what could not be read?"
    query = f"""
        WITH app AS {APPS},
        held AS (
            SELECT snapshot, app_sha256
            FROM (SELECT DISTINCT snapshot, sha256 AS app_sha256 FROM downloads)
            JOIN app USING (app_sha256)
            UNION ALL SELECT NULL, app_sha256 FROM app
        ),
        library AS (
            SELECT DISTINCT app_sha256, true AS there
            FROM findings WHERE confirmed AND category = 'runtime'
        ),
        file AS (
            SELECT app_sha256, count(*) FILTER (kind = 'model') AS instances,
                   count(*) FILTER (kind = 'encrypted') AS encrypted,
                   count(*) FILTER (kind IN ('invalid', 'unread')) AS unreadable
            FROM candidates GROUP BY app_sha256
        ),
        found AS (
            SELECT h.snapshot, count(*) AS apps, count(l.there) AS with_library,
                   count(*) FILTER (f.instances > 0) AS with_models,
                   CAST(coalesce(sum(f.instances), 0) AS BIGINT) AS instances,
                   CAST(coalesce(sum(f.encrypted), 0) AS BIGINT) AS encrypted,
                   CAST(coalesce(sum(f.unreadable), 0) AS BIGINT) AS unreadable
            FROM held h LEFT JOIN library l USING (app_sha256) LEFT JOIN file f USING (app_sha256)
            GROUP BY h.snapshot
        ),
        different AS (
            SELECT h.snapshot, count(DISTINCT i.model_sha256) AS models
            FROM held h JOIN instances i USING (app_sha256) GROUP BY h.snapshot
        ),
        subjects AS (
            SELECT snapshot, source || ' ' || address || ' ' || reference AS subject FROM listings
            UNION SELECT snapshot, path FROM downloads
            UNION SELECT h.snapshot, i.model_sha256
                  FROM held h JOIN candidates i USING (app_sha256)
                  WHERE h.snapshot IS NOT NULL AND i.model_sha256 IS NOT NULL
        ),
        failed AS (
            SELECT s.snapshot, count(*) AS failures FROM failures f JOIN subjects s
                ON s.subject = f.subject GROUP BY s.snapshot
            UNION ALL SELECT NULL, count(*) FROM failures
        ),
        listed AS (
            SELECT snapshot, count(DISTINCT (source, address, reference)) AS listed
            FROM listings GROUP BY snapshot
        ),
        crawled AS (
            SELECT snapshot, min(started_at) AS started_at, max(finished_at) AS finished_at
            FROM crawls GROUP BY snapshot
            UNION ALL SELECT NULL, NULL, NULL WHERE EXISTS (SELECT * FROM app)
        )
        SELECT coalesce(c.snapshot, 'whole study') AS snapshot, c.started_at, c.finished_at,
               l.listed, coalesce(f.apps, 0) AS apps, coalesce(f.with_library, 0) AS with_library,
               coalesce(f.with_models, 0) AS with_models, coalesce(f.instances, 0) AS instances,
               coalesce(d.models, 0) AS models, coalesce(f.encrypted, 0) AS encrypted,
               coalesce(f.unreadable, 0) AS unreadable, coalesce(x.failures, 0) AS failures
        FROM crawled c
        LEFT JOIN found f ON f.snapshot IS NOT DISTINCT FROM c.snapshot
        LEFT JOIN different d ON d.snapshot IS NOT DISTINCT FROM c.snapshot
        LEFT JOIN failed x ON x.snapshot IS NOT DISTINCT FROM c.snapshot
        LEFT JOIN listed l ON l.snapshot = c.snapshot
        ORDER BY c.started_at NULLS LAST, c.snapshot NULLS LAST
    """  # noqa: S608
    empty = NO_APP

    def derive(self, frame: Frame) -> Frame:
        """Shares of the apps."""
        found = with_share(frame, "with_library", "apps", "library")
        return with_share(found, "with_models", "apps", "models")

    def chart(self, frame: Frame) -> Chart:
        """Two points with intervals a snapshot."""
        rows: dict[str, list[str]] = {"snapshot": [], "apps": []}
        shares: dict[str, list[float]] = {"part": [], "whole": []}
        for name, said in (("with_library", "with a library"), ("with_models", "with a model")):
            rows["snapshot"] += frame.labels("snapshot")
            rows["apps"] += [said] * len(frame)
            shares["part"] += [value or 0 for value in frame.reals(name)]
            shares["whole"] += [value or 0 for value in frame.reals("apps")]
        drawn = with_share(Frame.made(rows, shares), "part", "whole")
        tooltip = ["snapshot:N", "apps:N", "part:Q", "whole:Q"]
        return share_chart(drawn, "snapshot", "% of the apps", tooltip, series="apps")

    def table(self, frame: Frame) -> Table:
        """One row a snapshot."""
        return Table(
            columns=(
                names("Snapshot", frame.texts("snapshot")),
                names("Begun (UTC)", frame.texts("started_at")),
                names("Finished (UTC)", frame.texts("finished_at")),
                numbers("Apps listed", frame.integers("listed")),
                numbers("Apps scanned", frame.integers("apps")),
                numbers("With a DNN library", frame.integers("with_library")),
                share_column("Of apps scanned, % [95 % interval]", frame, "library"),
                numbers("With a model", frame.integers("with_models")),
                share_column("Of apps scanned, % [95 %]", frame, "models"),
                numbers("Model instances", frame.integers("instances")),
                numbers("Distinct models", frame.integers("models")),
                numbers("Encrypted files", frame.integers("encrypted")),
                numbers("Unreadable models", frame.integers("unreadable")),
                numbers("Failures", frame.integers("failures")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What is counted, and what twice."""
        return (
            f"n = {_text.plural(summary.apps, 'distinct app package')}; "
            f"{_text.plural(frame.total - 1, 'snapshot')} and the whole study, in which a package "
            "of several snapshots counts once. A library counts where its evidence is confirmed; a "
            "model where it was read. Instances are places, distinct models different bytes. "
            "Encrypted: named like a model, bytes like chance. Unreadable: a model's signature "
            "without a readable model. Failures are rows about the snapshot's listings, packages "
            f"and models. {SHARE_INTERVAL}"
        )

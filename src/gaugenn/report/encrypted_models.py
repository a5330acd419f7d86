"""How many candidate files are encrypted, and in how many apps."""

from gaugenn.report import _text
from gaugenn.report._census import APPS
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL, share_chart, share_column, with_share
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class EncryptedModels(Figure):
    """One row a store category, and one for all apps."""

    section = Section.FOUND
    order = 126
    title = "Encrypted models"
    question = "How many apps hide models by encryption?"
    query = f"""
        WITH app AS {APPS},
        file AS (
            SELECT app_sha256, count(*) FILTER (kind = 'encrypted') AS encrypted,
                   count(*) FILTER (kind = 'model') AS instances
            FROM candidates GROUP BY app_sha256
        ),
        each_app AS (
            SELECT a.category, coalesce(f.encrypted, 0) AS encrypted,
                   coalesce(f.instances, 0) AS instances
            FROM app a LEFT JOIN file f USING (app_sha256)
        )
        SELECT coalesce(category, 'all apps') AS category, count(*) AS apps,
               count(*) FILTER (encrypted > 0) AS apps_encrypted,
               count(*) FILTER (encrypted > 0 OR instances > 0) AS apps_either,
               count(*) FILTER (encrypted > 0 AND instances > 0) AS apps_both,
               CAST(sum(encrypted) AS BIGINT) AS encrypted,
               CAST(sum(encrypted + instances) AS BIGINT) AS files
        FROM each_app GROUP BY GROUPING SETS ((category), ())
        HAVING sum(encrypted) > 0 AND (SELECT count(*) FROM app) > 0
        ORDER BY GROUPING(category) DESC, apps_encrypted DESC, category
    """  # noqa: S608
    empty = (
        "No app holds a file that is named like a model and has bytes like chance. Where packages were "
        "scanned, that is a result."
    )
    _drawn = 30

    def derive(self, frame: Frame) -> Frame:
        """Shares of apps and of files."""
        found = with_share(frame, "apps_encrypted", "apps")
        return with_share(found, "encrypted", "files", "files")

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval a category."""
        tooltip = ["category:N", "apps_encrypted:Q", "apps:Q"]
        return share_chart(frame.first(self._drawn), "category", "% of the apps", tooltip)

    def table(self, frame: Frame) -> Table:
        """One row a category."""
        return Table(
            columns=(
                names("Category", frame.texts("category")),
                numbers("Apps", frame.integers("apps")),
                numbers("With encrypted files", frame.integers("apps_encrypted")),
                share_column("Of apps, % [95 % interval]", frame),
                numbers("Those with readable models, too", frame.integers("apps_both")),
                numbers("Encrypted files", frame.integers("encrypted")),
                numbers("Encrypted files and models", frame.integers("files")),
                share_column("Of those files, % [95 %]", frame, "files"),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What the two denominators are, and what cannot be seen."""
        apps = frame.integers("apps")[0] or 0
        more = f" The chart shows the first {self._drawn}." if frame.total > self._drawn else ""
        return (
            f"n = {_text.plural(apps, 'distinct app package')}. Encrypted: named like a model, and "
            "bytes that cannot be told from chance. Apps are a share of the category's apps, files "
            "one of encrypted files and model instances together. Categories without an encrypted "
            "file are in the first row only. Models that are encrypted under another name or "
            f"downloaded are not seen. {SHARE_INTERVAL}{more}"
        )

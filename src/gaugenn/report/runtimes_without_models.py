"""Which apps bring an inference library but no model that was read."""

from gaugenn.report import _text
from gaugenn.report._census import APPS
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL, share_column, with_share
from gaugenn.report._stacked import note, stacked_bars
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers

_REASONS = {
    "encrypted": "encrypted files",
    "downloads": "downloads models",
    "unreadable": "unreadable model",
    "packed": "packed code",
    "unexplained": "no reason seen",
}
_COUNTS = ", ".join(
    f"count(*) FILTER (NOT with_models AND reason = '{reason}') AS {reason}" for reason in _REASONS
)


class RuntimesWithoutModels(Figure):
    """One row a library."""

    section = Section.FOUND
    order = 128
    title = "Libraries without models"
    question = (
        "How many apps bring an inference library but no readable model, and why might that be?"
    )
    query = f"""
        WITH app AS {APPS},
        file AS (
            SELECT app_sha256, count(*) FILTER (kind = 'model') AS instances,
                   count(*) FILTER (kind = 'encrypted') AS encrypted,
                   count(*) FILTER (kind IN ('invalid', 'unread')) AS unreadable
            FROM candidates GROUP BY app_sha256
        ),
        other AS (
            SELECT app_sha256, bool_or(category = 'download') AS downloads,
                   bool_or(category = 'packer') AS packed
            FROM findings WHERE confirmed GROUP BY app_sha256
        ),
        using_it AS (
            SELECT f.name, f.vendor, a.app_sha256, coalesce(c.instances, 0) > 0 AS with_models,
                   CASE WHEN coalesce(c.encrypted, 0) > 0 THEN 'encrypted'
                        WHEN coalesce(o.downloads, false) THEN 'downloads'
                        WHEN coalesce(c.unreadable, 0) > 0 THEN 'unreadable'
                        WHEN coalesce(o.packed, false) THEN 'packed'
                        ELSE 'unexplained' END AS reason
            FROM findings f JOIN app a USING (app_sha256)
            LEFT JOIN file c USING (app_sha256) LEFT JOIN other o USING (app_sha256)
            WHERE f.confirmed AND f.category = 'runtime'
        ),
        counted AS (
            SELECT *, false AS everything FROM using_it
            UNION ALL
            SELECT DISTINCT ON (app_sha256) 'any library' AS name, NULL AS vendor,
                   app_sha256, with_models, reason, true AS everything
            FROM using_it ORDER BY app_sha256
        )
        SELECT name, min(vendor) AS vendor, count(*) AS apps,
               count(*) FILTER (NOT with_models) AS without_models,
               {_COUNTS}
        FROM counted GROUP BY name, everything
        ORDER BY everything DESC, without_models DESC, apps DESC, name
    """  # noqa: S608
    empty = (
        "No app holds confirmed evidence of an inference library. Where packages were scanned, that is "
        "a result."
    )

    def derive(self, frame: Frame) -> Frame:
        """Shares of the library's apps."""
        return with_share(frame, "without_models", "apps")

    def chart(self, frame: Frame) -> Chart:
        """A bar a library: apps with models, and those without by reason."""
        order = ["with models", *_REASONS.values()]
        rows = []
        apps, without = frame.reals("apps"), frame.reals("without_models")
        for name, whole, part in zip(frame.labels("name"), apps, without, strict=True):
            rows.append((name, order[0], (whole or 0) - (part or 0)))
        for column, said in _REASONS.items():
            found = zip(frame.labels("name"), frame.reals(column), strict=True)
            rows += [(name, said, number or 0) for name, number in found]
        return stacked_bars(rows, "apps", "model", order)

    def table(self, frame: Frame) -> Table:
        """One row a library."""
        return Table(
            columns=(
                names("Library", frame.texts("name")),
                names("Vendor", frame.texts("vendor")),
                numbers("Apps with it", frame.integers("apps")),
                numbers("Without a model", frame.integers("without_models")),
                share_column("Of apps with it, % [95 % interval]", frame),
                *(
                    numbers(said.capitalize(), frame.integers(name))
                    for name, said in _REASONS.items()
                ),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """How one reason is chosen."""
        apps = frame.integers("apps")[0] or 0
        return (
            f"n = {apps:,} of {_text.plural(summary.apps, 'distinct app package')} with confirmed "
            "evidence of an inference library. Without a model: no file of the app was read as one. An "
            "app counts under the first of these that holds: it has encrypted files; evidence that it "
            "downloads models; a model that could not be read; code hidden by a packer; none of them. "
            "A library may also come with something else that never uses it. "
            f"{SHARE_INTERVAL}{note(frame.total)}"
        )

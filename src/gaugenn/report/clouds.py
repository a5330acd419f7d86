"""Which vendors' cloud services apps of each store category call."""

from gaugenn.report import _text
from gaugenn.report._census import APPS
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL, share_column, with_share
from gaugenn.report._stacked import note, stacked_bars
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, lists, names, numbers


class Clouds(Figure):
    """One row a store category and vendor."""

    section = Section.FOUND
    order = 124
    title = "Cloud services by category and vendor"
    question = "Which vendors' machine learning in the cloud do apps of each store category call?"
    query = f"""
        WITH app AS {APPS},
        whole AS (SELECT category, count(*) AS category_apps FROM app GROUP BY category),
        used AS (
            SELECT a.category, a.app_sha256, f.name, coalesce(f.vendor, 'unknown') AS vendor
            FROM findings f JOIN app a USING (app_sha256)
            WHERE f.confirmed AND f.category = 'cloud'
        )
        SELECT u.category, u.vendor, count(DISTINCT u.app_sha256) AS apps,
               any_value(w.category_apps) AS category_apps,
               list_sort(list(DISTINCT u.name)) AS services,
               (SELECT count(DISTINCT app_sha256) FROM used) AS all_apps
        FROM used u JOIN whole w USING (category) GROUP BY u.category, u.vendor
        ORDER BY sum(count(DISTINCT u.app_sha256)) OVER (PARTITION BY u.category) DESC, u.category,
                 apps DESC, u.vendor
    """  # noqa: S608
    empty = (
        "No app holds confirmed evidence of a cloud service. Where packages were scanned, that is a "
        "result."
    )
    limit = 5_000

    def derive(self, frame: Frame) -> Frame:
        """Shares of the category's apps."""
        return with_share(frame, "apps", "category_apps")

    def chart(self, frame: Frame) -> Chart:
        """A bar a category, split by vendor."""
        rows = zip(
            frame.labels("category"),
            frame.labels("vendor"),
            (value or 0 for value in frame.reals("apps")),
            strict=True,
        )
        return stacked_bars(rows, "apps (for each vendor)", "vendor")

    def table(self, frame: Frame) -> Table:
        """One row a category and vendor."""
        return Table(
            columns=(
                names("Category", frame.texts("category")),
                names("Vendor", frame.texts("vendor")),
                numbers("Apps", frame.integers("apps")),
                numbers("Apps of the category", frame.integers("category_apps")),
                share_column("Of the category's apps, % [95 % interval]", frame),
                lists("Services", frame.text_lists("services")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What is counted twice."""
        apps = frame.integers("all_apps")[0] or 0
        part = _text.share(apps, summary.apps)
        return (
            f"n = {apps:,} of {_text.plural(summary.apps, 'distinct app package')} ({part}) with "
            "confirmed evidence of a cloud service. An app that calls two vendors counts for both. A "
            f"client that is linked may never be called. {SHARE_INTERVAL}"
            f"{note(len(set(frame.texts('category'))))}"
        )

"""Which formats the models of each store category have."""

from gaugenn.report import _text
from gaugenn.report._census import APPS, NO_MODEL
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._stacked import note, stacked_bars
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class FormatsByCategory(Figure):
    """One row a store category and format."""

    section = Section.BUILT
    order = 212
    title = "Models by framework and store category"
    question = "Which frameworks' models do apps of each store category hold?"
    query = f"""
        SELECT a.category, i.format, count(*) AS instances,
               count(DISTINCT i.model_sha256) AS models, count(DISTINCT i.app_sha256) AS apps,
               100.0 * count(*) / sum(count(*)) OVER () AS instances_percent
        FROM instances i JOIN {APPS} a USING (app_sha256)
        GROUP BY a.category, i.format
        ORDER BY sum(count(*)) OVER (PARTITION BY a.category) DESC, a.category, instances DESC,
                 i.format
    """  # noqa: S608
    empty = f"No app with a model was scanned. {NO_MODEL}"
    limit = 5_000

    def chart(self, frame: Frame) -> Chart:
        """A bar a category, split by format."""
        rows = zip(
            frame.labels("category"),
            frame.labels("format"),
            (value or 0 for value in frame.reals("instances")),
            strict=True,
        )
        return stacked_bars(rows, "model instances", "format")

    def table(self, frame: Frame) -> Table:
        """One row a category and format."""
        return Table(
            columns=(
                names("Category", frame.texts("category")),
                names("Format", frame.texts("format")),
                numbers("Instances", frame.integers("instances")),
                numbers("Of all instances, %", frame.reals("instances_percent"), _text.tenths),
                numbers("Distinct models", frame.integers("models")),
                numbers("Apps", frame.integers("apps")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What is counted, and whose category it is."""
        instances = sum(number or 0 for number in frame.integers("instances"))
        categories = len(set(frame.texts("category")))
        return (
            f"n = {_text.plural(instances, 'model instance')} in {summary.apps_with_models:,} of "
            f"{_text.plural(summary.apps, 'app')}, {categories:,} categories. An instance is a "
            "place in an app; a model that two categories share counts in both. The category is "
            "the first that the store names in its newest listing; packages that no crawl brought "
            f"have none.{note(categories)}"
        )

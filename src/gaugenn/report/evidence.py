"""Which libraries, accelerators and services apps use."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import count_axis, height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL, share_column, with_share
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class EvidenceByName(Figure):
    """One row a library, accelerator or service."""

    section = Section.FOUND
    order = 120
    title = "Libraries, accelerators and cloud services"
    question = "In how many packages is there evidence of each?"
    query = """
        SELECT category, name, min(vendor) AS vendor,
               count(*) FILTER (confirmed) AS packages, count(*) FILTER (NOT confirmed) AS hints,
               (SELECT count(DISTINCT app_sha256) FROM packages WHERE kind NOT IN ('none', 'file'))
                   AS scanned
        FROM findings GROUP BY category, name
        ORDER BY packages DESC, hints DESC, category, name
    """
    empty = (
        "No package holds a token of a known library, accelerator or service. Where packages were "
        "scanned, that is a result."
    )
    _drawn = 30

    def derive(self, frame: Frame) -> Frame:
        """Shares of the packages."""
        return with_share(frame, "packages", "scanned")

    def chart(self, frame: Frame) -> Chart | None:
        """A bar a name, for those that are confirmed somewhere."""
        drawn = frame.first(self._drawn)
        confirmed = [
            name
            for name, packages in zip(drawn.texts("name"), drawn.integers("packages"), strict=True)
            if packages
        ]
        if not confirmed:
            return None
        return sized(
            alt.Chart(drawn.rows.select(["category", "name", "packages"]))
            .transform_filter("datum.packages > 0")
            .mark_bar()
            .encode(
                x=alt.X("packages:Q", title="packages", axis=count_axis()),
                y=alt.Y("name:N", title=None, sort=None),
                color=alt.Color("category:N", title="kind of evidence"),
                tooltip=["name:N", "category:N", alt.Tooltip("packages:Q", format=",d")],
            ),
            height(confirmed),
        )

    def table(self, frame: Frame) -> Table:
        """One row a name."""
        return Table(
            columns=(
                names("Name", frame.texts("name")),
                names("Evidence of", frame.texts("category")),
                names("Vendor", frame.texts("vendor")),
                numbers("Packages", frame.integers("packages")),
                share_column("Of packages, % [95 % interval]", frame),
                numbers("Hints only", frame.integers("hints")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """The denominator, and what a hint is."""
        scanned = frame.integers("scanned")[0] or 0
        note = f" The chart shows the first {self._drawn}." if frame.total > self._drawn else ""
        return (
            f"n = {_text.plural(scanned, 'distinct package')} scanned; shares are of those. A package "
            "counts where one strong token or two different weak tokens were seen; a single weak "
            f"token is a hint and is not drawn. {SHARE_INTERVAL}{note}"
        )

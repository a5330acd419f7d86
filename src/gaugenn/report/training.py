"""Which apps could train models on the device."""

from gaugenn.report import _text
from gaugenn.report._census import APPS
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL, share_chart, share_column, with_share
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, lists, names, numbers


class Training(Figure):
    """One row a training library."""

    section = Section.FOUND
    order = 129
    title = "Training on the device"
    question = "In how many apps is there evidence of training on the device?"
    query = f"""
        WITH app AS {APPS}
        SELECT f.name, min(f.vendor) AS vendor, count(*) FILTER (f.confirmed) AS confirmed,
               count(*) FILTER (NOT f.confirmed) AS hints,
               list_sort(list(DISTINCT coalesce(a.label, a.package, left(a.app_sha256, 12)))
                   FILTER (f.confirmed)) AS used_by,
               (SELECT count(*) FROM app) AS apps
        FROM findings f JOIN app a USING (app_sha256) WHERE f.category = 'training'
        GROUP BY f.name ORDER BY confirmed DESC, hints DESC, f.name
    """  # noqa: S608
    empty = (
        "No app holds a token of a library that trains on the device. Where packages were scanned, "
        "that is a result."
    )

    def derive(self, frame: Frame) -> Frame:
        """Shares of the apps."""
        return with_share(frame, "confirmed", "apps")

    def chart(self, frame: Frame) -> Chart:
        """A point with its interval a library."""
        return share_chart(frame, "name", "% of the apps", ["name:N", "confirmed:Q", "apps:Q"])

    def table(self, frame: Frame) -> Table:
        """One row a library."""
        return Table(
            columns=(
                names("Library", frame.texts("name")),
                names("Vendor", frame.texts("vendor")),
                numbers("Apps", frame.integers("confirmed")),
                share_column("Of apps, % [95 % interval]", frame),
                numbers("Hints only", frame.integers("hints")),
                lists("In", frame.text_lists("used_by")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What counts, and what is not looked at."""
        apps = frame.integers("apps")[0] or 0
        return (
            f"n = {_text.plural(apps, 'distinct app package')}. An app counts where one strong "
            "token or two different weak ones of a training library were seen; that training takes "
            "place is not shown by that. Training graphs inside models are not looked for. "
            f"{SHARE_INTERVAL}"
        )

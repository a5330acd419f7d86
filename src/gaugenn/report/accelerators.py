"""Which accelerators apps could use, and which their code asks for."""

import altair as alt
import pyarrow as pa

from gaugenn.report import _text
from gaugenn.report._census import APPS
from gaugenn.report._charts import TALL_STEP, count_axis, height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._shares import SHARE_INTERVAL, share_column, with_share
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class Accelerators(Figure):
    """One row an accelerator."""

    section = Section.FOUND
    order = 122
    title = "Accelerators asked for"
    question = "In how many apps is an accelerator's code present, and in how many is it asked for?"
    query = f"""
        WITH app AS {APPS},
        seen AS (
            SELECT e.app_sha256, e.name, min(e.vendor) AS vendor,
                   bool_or(e.source = 'method') AS by_method,
                   bool_or(e.source = 'manifest') AS by_manifest,
                   bool_or(e.source = 'class' AND NOT coalesce(e.defined, true)) AS by_class
            FROM evidence e WHERE e.category = 'accelerator' GROUP BY e.app_sha256, e.name
        )
        SELECT s.name, min(s.vendor) AS vendor, count(*) AS capable,
               count(*) FILTER (s.by_method OR s.by_manifest OR s.by_class) AS asking,
               count(*) FILTER (s.by_method) AS by_method,
               count(*) FILTER (s.by_manifest) AS by_manifest,
               count(*) FILTER (s.by_class) AS by_class,
               (SELECT count(*) FROM app) AS apps
        FROM seen s JOIN app USING (app_sha256)
        JOIN findings f ON f.app_sha256 = s.app_sha256 AND f.name = s.name
            AND f.category = 'accelerator' AND f.confirmed
        GROUP BY s.name ORDER BY capable DESC, asking DESC, s.name
    """  # noqa: S608
    empty = (
        "No app holds confirmed evidence of an accelerator. Where packages were scanned, that is a "
        "result."
    )

    def derive(self, frame: Frame) -> Frame:
        """Shares of the apps."""
        found = with_share(frame, "capable", "apps", "capable")
        return with_share(found, "asking", "apps", "asking")

    def chart(self, frame: Frame) -> Chart:
        """Two bars an accelerator: there, and asked for."""
        rows = pa.table(
            {
                "name": 2 * frame.labels("name"),
                "apps": ["present"] * len(frame) + ["asked for"] * len(frame),
                "number": frame.reals("capable") + frame.reals("asking"),
            }
        )
        order = ["present", "asked for"]
        return sized(
            alt.Chart(rows)
            .mark_bar()
            .encode(
                x=alt.X("number:Q", title="apps", axis=count_axis()),
                y=alt.Y("name:N", title=None, sort=frame.labels("name")),
                yOffset=alt.YOffset("apps:N", sort=order),
                color=alt.Color("apps:N", title=None, sort=order),
                tooltip=["name:N", "apps:N", alt.Tooltip("number:Q", format=",d", title="apps")],
            ),
            height(frame.labels("name"), TALL_STEP),
        )

    def table(self, frame: Frame) -> Table:
        """One row an accelerator."""
        return Table(
            columns=(
                names("Accelerator", frame.texts("name")),
                names("Vendor", frame.texts("vendor")),
                numbers("Present in apps", frame.integers("capable")),
                share_column("Of apps, % [95 % interval]", frame, "capable"),
                numbers("Asked for in apps", frame.integers("asking")),
                share_column("Of apps, % [95 %]", frame, "asking"),
                numbers("By a method", frame.integers("by_method")),
                numbers("By a class from elsewhere", frame.integers("by_class")),
                numbers("By the manifest", frame.integers("by_manifest")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What separates the two, and how far."""
        apps = frame.integers("apps")[0] or 0
        return (
            f"n = {_text.plural(apps, 'distinct app package')}. Present: evidence is confirmed, so "
            "the app is capable of it. Asked for: the code also mentions a method that switches it "
            "on or a class of it that the app does not define, or the manifest wants its library. "
            "A library's own code mentions its methods, too, so this is an upper bound of use, and "
            f"native code that asks by itself is not seen. {SHARE_INTERVAL}"
        )

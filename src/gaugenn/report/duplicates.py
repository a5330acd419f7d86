"""Which models occur in more than one package."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import count_axis, height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, lists, names, numbers


class Duplicates(Figure):
    """One row a model that lies in several packages."""

    section = Section.BUILT
    order = 230
    title = "Models shared between packages"
    question = "Which models occur in more than one package?"
    query = """
        SELECT i.model_sha256, n.name,
               left(n.name, 32) || ' ' || left(i.model_sha256, 6) AS label, i.format,
               count(DISTINCT i.app_sha256) AS packages, count(*) AS instances,
               list_sort(list(DISTINCT coalesce(i.label, i.package, i.path))) AS used_by
        FROM instances i JOIN model_names n USING (model_sha256)
        GROUP BY ALL HAVING count(DISTINCT i.app_sha256) > 1
        ORDER BY packages DESC, instances DESC, i.model_sha256
    """
    empty = "No model occurs in more than one package of this study."
    _drawn = 20

    def chart(self, frame: Frame) -> Chart:
        """A bar a model."""
        drawn = frame.first(self._drawn)
        return sized(
            alt.Chart(drawn.rows.select(["label", "packages", "format"]))
            .mark_bar()
            .encode(
                x=alt.X("packages:Q", title="packages", axis=count_axis()),
                y=alt.Y("label:N", title=None, sort=None),
                color=alt.Color("format:N", title="format"),
                tooltip=["label:N", "format:N", alt.Tooltip("packages:Q", format=",d")],
            ),
            height(drawn.texts("label")),
        )

    def table(self, frame: Frame) -> Table:
        """One row a model."""
        return Table(
            columns=(
                names("Model", frame.texts("name")),
                digests("SHA-256", frame.texts("model_sha256")),
                names("Format", frame.texts("format")),
                numbers("Packages", frame.integers("packages")),
                numbers("Instances", frame.integers("instances")),
                lists("In", frame.text_lists("used_by")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What equal means, and the denominator."""
        part = _text.share(frame.total, summary.models)
        note = f" The chart shows the first {self._drawn}." if frame.total > self._drawn else ""
        return (
            f"n = {frame.total:,} of {_text.plural(summary.models, 'distinct model')} ({part}). Equal "
            "means byte for byte; the model's name is one of those that packages give it. Two versions "
            f"of one app are two packages.{note}"
        )

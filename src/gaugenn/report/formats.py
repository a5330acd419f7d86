"""Which model formats occur."""

import altair as alt

from gaugenn.report import _text
from gaugenn.report._charts import TALL_STEP, count_axis, height, sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class Formats(Figure):
    """One row a format."""

    section = Section.BUILT
    order = 210
    title = "Models by format"
    question = "Which formats do the models have?"
    query = """
        SELECT format, count(*) AS instances, count(DISTINCT model_sha256) AS models,
               count(DISTINCT app_sha256) AS packages
        FROM instances GROUP BY format ORDER BY models DESC, instances DESC, format
    """
    empty = "No model was read yet. Find models with: gaugenn scan PATH... --out STUDY"

    def chart(self, frame: Frame) -> Chart:
        """Two bars a format: places and distinct files."""
        return sized(
            alt.Chart(frame.rows.select(["format", "models", "instances"]))
            .transform_fold(["models", "instances"], as_=["counted", "number"])
            .transform_calculate(
                counted="datum.counted === 'models' ? 'distinct models' : 'instances'"
            )
            .mark_bar()
            .encode(
                x=alt.X("number:Q", title="models", axis=count_axis()),
                y=alt.Y("format:N", title=None, sort=None),
                yOffset=alt.YOffset("counted:N"),
                color=alt.Color("counted:N", title=None),
                tooltip=["format:N", "counted:N", alt.Tooltip("number:Q", format=",d")],
            ),
            height(frame.texts("format"), TALL_STEP),
        )

    def table(self, frame: Frame) -> Table:
        """One row a format."""
        return Table(
            columns=(
                names("Format", frame.texts("format")),
                numbers("Distinct models", frame.integers("models")),
                numbers("Instances", frame.integers("instances")),
                numbers("Packages", frame.integers("packages")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What is counted."""
        return (
            f"n = {_text.plural(summary.models, 'distinct model')} in "
            f"{_text.plural(summary.instances, 'place')}. An instance is a place in a package; models "
            "with the same bytes are one distinct model. Files that were refused are in the last part."
        )

"""What could not be done at all."""

from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class Failures(Figure):
    """One row a stage and reason."""

    section = Section.FAILED
    order = 530
    title = "Other failures"
    question = "What else could not be done, and is it worth trying again?"
    query = """
        SELECT stage, error, min(message) AS reason, transient, count(*) AS subjects,
               min(subject) AS example
        FROM failures
        GROUP BY stage, error, transient, regexp_replace(message, '[0-9]+', 'N', 'g')
        ORDER BY subjects DESC, stage, error, reason
    """
    empty = "Nothing else failed."

    def table(self, frame: Frame) -> Table:
        """One row a stage and reason."""
        again = ["yes" if value else "no" for value in frame.integers("transient")]
        return Table(
            columns=(
                names("Stage", frame.texts("stage")),
                names("Error", frame.texts("error")),
                names("Reason", frame.texts("reason"), 120),
                numbers("Subjects", frame.integers("subjects")),
                names("Worth trying again", again),
                names("Example", frame.texts("example"), 60),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What is in here and what is not."""
        return (
            f"n = {_text.plural(summary.failures, 'failure')}. These are paths, models and experiments "
            "that gave no row elsewhere; failures that a later attempt overcame are not listed. "
            "Reasons that differ in their digits only share a row, shown by one of them."
        )

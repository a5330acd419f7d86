"""What was given as a package and is none, or opened with an error."""

from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers


class NotPackages(Figure):
    """One row a path."""

    section = Section.FOUND
    order = 130
    title = "What is no package, and why"
    question = "Which of the given files could not be opened as what they are named?"
    query = """
        SELECT path, kind, size_bytes, coalesce(error, 'no reason recorded') AS reason
        FROM packages WHERE kind = 'none' OR (error IS NOT NULL AND kind != 'file')
        ORDER BY kind != 'none', path
    """
    empty = "No given file is a false or broken package."

    def table(self, frame: Frame) -> Table:
        """One row a path."""
        kinds = [
            "no package" if kind == "none" else f"{kind}, damaged" for kind in frame.texts("kind")
        ]
        return Table(
            columns=(
                names("File", frame.texts("path"), 60),
                names("Is", kinds),
                numbers("Size", frame.integers("size_bytes"), _text.size),
                names("Reason", frame.texts("reason"), 120),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """The denominator."""
        return (
            f"n = {_text.plural(frame.total, 'file')} of {summary.paths:,} looked at. A damaged "
            "package was read as far as it goes, and its models are counted."
        )

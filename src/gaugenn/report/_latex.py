"""A table as LaTeX with the rules of the `booktabs` package."""

from gaugenn.report._table import Table

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{EN DASH}": "--",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{MICRO SIGN}": r"\textmu{}",
    "-": "-{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
}
"""What LaTeX would read as something else. A hyphen is kept from joining the next into a dash."""


def escaped(text: str) -> str:
    """Text that LaTeX sets as it stands, whatever is in it."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def latex(table: Table, name: str, caption: str) -> str:
    """A floating table.

    Args:
        table: what is in it.
        name: of the figure; the label is `tab:NAME`.
        caption: below the table.
    """
    columns = table.columns
    how = "".join("r" if column.style == "number" else "l" for column in columns)
    lines = [
        "% needs \\usepackage{booktabs}, \\usepackage{textcomp} and \\usepackage[T1]{fontenc}",
        r"\begin{table}",
        r"\centering",
        rf"\begin{{tabular}}{{{how}}}",
        r"\toprule",
        " & ".join(escaped(column.title) for column in columns) + r" \\",
        r"\midrule",
        *(" & ".join(escaped(cell.text) for cell in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{tab:{name}}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"

"""From a study to one self-contained HTML page. Reads the store and pure analysis only.

Each public module of this folder is one table or figure: a `Figure` (see `_contract.py`) with the
question it answers, its query, its chart or table and its caption. Adding a file adds it to the page.
"""

from gaugenn.report._connection import connect
from gaugenn.report._contract import Figure, Section
from gaugenn.report._export import ExportFormat, figure_rows, render_figure
from gaugenn.report._page import figures, page_library, render, write, write_whole
from gaugenn.report._snapshots import snapshot
from gaugenn.report._summary import Summary, summary
from gaugenn.report._text import visible

__all__ = [
    "ExportFormat",
    "Figure",
    "Section",
    "Summary",
    "connect",
    "figure_rows",
    "figures",
    "page_library",
    "render",
    "render_figure",
    "snapshot",
    "summary",
    "visible",
    "write",
    "write_whole",
]

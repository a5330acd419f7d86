"""The explorer of a study: pages on loopback that only read.

Each public module of this folder is one page or a group of pages: a `Pages` (see `_contract.py`) with
its routes and its templates beside it. Adding a file adds it to the site. What the pages read is in
`_database.py` and `_tables.py`; what keeps them safe is in `_guard.py` and `docs/explorer.md`.
"""

from gaugenn.explorer._application import application
from gaugenn.explorer._server import serve

__all__ = ["application", "serve"]

"""gaugenn: which neural networks apps ship, what they cost, and how fast they run.

The Python API has the same verbs as the command line, in `gaugenn.api`::

    from gaugenn import api

    api.study(["samples"], out="study")
    api.query("study", "SELECT format, count(*) FROM models GROUP BY format")
"""

__version__ = "0.1.0"

"""gaugenn: which neural networks apps ship, what they cost, and how fast they run.

The Python API has the same verbs as the command line, in `gaugenn.api`; a study opens for notebooks as
frames and figures::

    from gaugenn import Study, api

    api.study(["samples"], out="study")
    Study.open("study").models()
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gaugenn.api import Study

__all__ = ["Study", "__version__"]


def __getattr__(name: str) -> object:
    """`Study` is imported where it is asked for, since it needs much."""
    if name == "Study":
        from gaugenn.api import Study

        return Study
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Where gaugenn keeps what outlives a study: engines, workers, and what it knows of devices."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder: `$GAUGENN_CACHE`, or else `gaugenn` in the user's cache folder."""
    named = os.environ.get("GAUGENN_CACHE")
    if named:
        return Path(named).absolute()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache").absolute() / "gaugenn"

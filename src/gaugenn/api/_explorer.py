"""A study's explorer: `serve`."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

from gaugenn.api._study import PathLike
from gaugenn.errors import MissingToolError
from gaugenn.store import Study

EXPLORER_ADDRESS = "127.0.0.1"
EXPLORER_PORT = 8160


def serve(
    folder: PathLike,
    *,
    address: str = EXPLORER_ADDRESS,
    port: int = EXPLORER_PORT,
    names: Sequence[str] = (),
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serves the explorer of a study until it is interrupted; see docs/explorer.md.

    Args:
        folder: the study.
        address: literal address to listen on. Whoever reaches it can read the whole study.
        port: to listen on; 0 for any that is free.
        names: names under which others reach the address.
        ready: is given the site's address when it listens.

    Raises:
        StoreError: the folder is no study.
        MissingToolError: the extra `explorer` is not installed.
        UsageError: the address cannot be listened on.
    """
    study = Study(Path(folder))
    for module in ("starlette", "uvicorn"):
        if importlib.util.find_spec(module) is None:
            raise MissingToolError("the explorer", module, "pip install 'gaugenn[explorer]'")
    from gaugenn import explorer

    explorer.serve(study, address, port, names, ready)

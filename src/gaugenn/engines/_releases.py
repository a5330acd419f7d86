"""Which releases of a library the package index offers for this Python and machine.

pip answers, from the index that it is configured for. To know which releases are older than a day it
has to be a recent one, which lies in an environment of its own beside those of the engines.
"""

import json
import re
from collections.abc import Sequence

from gaugenn.engines import Engine, _environments
from gaugenn.errors import EngineError, UsageError
from gaugenn.records import Job, Timings, version_key

_VERSION = re.compile(r"v?\d[0-9A-Za-z.+!_-]{0,63}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Pip(Engine):
    """Not an engine: what is installed as one is, to ask the package index.

    Its version can leave out what was uploaded after a day.

    Source: https://pip.pypa.io/en/stable/news/
    """

    name = "pip"
    distribution = "pip"
    module = "pip"
    default_version = "26.3"

    def requirements(self, version: str) -> tuple[str, ...]:
        """Pip alone."""
        return (f"pip=={version}",)

    def command(self, job: Job, program: Sequence[str], model_paths: Sequence[str]) -> list[str]:
        """It runs no job."""
        raise NotImplementedError

    def parse(self, stdout: str, stderr: str) -> Timings:
        """It runs no job."""
        raise NotImplementedError


def releases(
    engine: Engine, since: str | None = None, newest: int | None = None
) -> tuple[str, ...]:
    """Versions that pip could install here from a wheel, oldest first, without pre-releases.

    Args:
        engine: with a wheel.
        since: only this version and later ones, or with a date (2025-06-30) only what was uploaded
            on that day or later; an index that does not tell when drops nothing.
        newest: at most so many, the newest.

    Raises:
        UsageError: the engine has no wheel, no release is left, or `since` is neither.
        EngineError: pip fails or answers something else.
        TransientError: the package index cannot be reached.
    """
    if engine.distribution is None:
        raise UsageError(f"{engine.name} is in no package index")
    if since is not None and not (_DATE.fullmatch(since) or _VERSION.fullmatch(since)):
        raise UsageError(f"{since!r} is no version such as 1.20.0 and no day such as 2025-06-30")
    pip = _environments.install(Pip())
    offered = _offered(pip, engine.distribution)
    if since is not None and _DATE.fullmatch(since):
        limit = ("--uploaded-prior-to", f"{since}T00:00:00Z")
        older = _offered(pip, engine.distribution, limit)
        offered = [version for version in offered if version not in older]
    elif since is not None:
        offered = [v for v in offered if version_key(v) >= version_key(since)]
    chosen = sorted(offered, key=version_key)
    if not chosen:
        after = "" if since is None else f" since {since}"
        raise UsageError(f"{engine.distribution}: no release with a wheel for this Python{after}")
    return tuple(chosen if newest is None else chosen[-newest:])


def _offered(
    pip: _environments.Installation, distribution: str, limit: Sequence[str] = ()
) -> list[str]:
    arguments = ("index", "versions", distribution, "--only-binary=:all:", "--json", *limit)
    text = _environments.pip_answer(pip, arguments)
    if text is None:
        return []
    try:
        return [str(version) for version in json.loads(text)["versions"]]
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"pip index versions {distribution}: no such answer: {text[:200]}"
        ) from error

"""One virtual environment for each engine and version, so that no two libraries share a process.

They lie in `engines/<engine>-<version>/` under `$GAUGENN_CACHE`, or else under
`$XDG_CACHE_HOME/gaugenn`, or else under `~/.cache/gaugenn`. An environment is built under a temporary
name, tried by importing the library, marked with the versions that pip chose, and renamed: a folder
with its final name is whole. A lock file keeps two processes from building the same one; what an
interrupted build left is removed by the next.
"""

import csv
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gaugenn._cache import cache_folder
from gaugenn.engines import Engine, _binaries
from gaugenn.engines._native import NativeEngine
from gaugenn.errors import (
    EngineError,
    MissingToolError,
    StorageFullError,
    TransientError,
    UsageError,
    is_storage_full,
)
from gaugenn.records import Environment

MARKER = "gaugenn-installation.json"
IMPORT_LIMIT_S = 300.0
INSTALL_LIMIT_S = 3600.0
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!_-]{0,63}")
_OFFERED = re.compile(r"\(from versions: ([^)]*)\)")
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|Name or service not known|Temporary failure in name"
    r"|Network is unreachable|Connection refused|Read timed out|ProxyError|SSLError|HTTP error 5"
)


class Installable(Protocol):
    """What gets an environment: every engine, and whatever else names its packages alike."""

    @property
    def name(self) -> str:
        """What the environment's folder begins with."""

    @property
    def default_version(self) -> str:
        """The version that is installed when nobody names one."""

    @property
    def distribution(self) -> str | None:
        """None for what needs no environment."""

    @property
    def module(self) -> str | None:
        """What must be importable before it counts as installed."""

    @property
    def source_packages(self) -> tuple[str, ...]:
        """Pure Python packages that it needs and that exist as source only."""

    def requirements(self, version: str) -> tuple[str, ...]:
        """What pip installs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An environment that is whole.

    Attributes:
        engine: the engine's plugin name.
        version: the version that was asked for.
        folder: the environment.
        python: the version of its interpreter.
        resolved: what pip installed, as `name==version`, sorted.
    """

    engine: str
    version: str
    folder: Path
    python: str
    resolved: tuple[str, ...]

    @property
    def interpreter(self) -> Path:
        """The environment's Python."""
        return self.folder / "bin" / "python"


def find(engine: Installable, version: str) -> Installation | None:
    """The environment of an engine and version, if it is installed."""
    return _read_marker(_folder(engine, version))


def is_installed(engine: Installable, version: str) -> bool:
    """Whether a version can be started: its environment is whole, or it needs none.

    A program that users supply counts where it is there for some ABI; see `runs_on`.
    """
    if isinstance(engine, NativeEngine):
        return any(binary.version == version for binary in _binaries.found(engine))
    return engine.distribution is None or find(engine, version) is not None


def runs_on(engine: Engine, version: str, environment: Environment) -> bool:
    """Whether what is installed can be started on a device of this kind."""
    if isinstance(engine, NativeEngine):
        return _binaries.find(engine, version, _binaries.abi(environment)) is not None
    return is_installed(engine, version)


def installed() -> tuple[Installation, ...]:
    """All environments in the cache folder, by name."""
    folder = cache_folder() / "engines"
    if not folder.is_dir():
        return ()
    found = (_read_marker(path) for path in sorted(folder.iterdir()))
    return tuple(installation for installation in found if installation is not None)


def install(engine: Installable, version: str | None = None) -> Installation:
    """Installs an engine's wheel into an environment of its own; an installed one is kept.

    Args:
        engine: the engine.
        version: the wheel's version; the engine's default if None.

    Raises:
        UsageError: the engine has no wheel, or the wheel no such version; lists those pip offers.
        EngineError: it was installed but cannot be imported.
        StorageFullError: the disk is full.
        TransientError: the package index cannot be reached.
    """
    version = version or engine.default_version
    if isinstance(engine, NativeEngine):
        raise _binaries.missing(engine, version, _host_abi())
    if engine.distribution is None:
        raise UsageError(f"{engine.name} needs no installation")
    folder = _folder(engine, version)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            found = _read_marker(folder)
            return found or _build(engine, version, folder)
    except OSError as error:
        if is_storage_full(error):
            raise StorageFullError(f"{folder}: {error}; free some room and try again") from error
        raise EngineError(f"{folder}: cannot be written: {error}; see GAUGENN_CACHE") from error


def remove(engine: Installable, version: str) -> bool:
    """Removes an environment.

    Returns:
        Whether there was one.
    """
    folder = _folder(engine, version)
    if not folder.parent.is_dir():
        return False
    with _lock(folder):
        there = folder.exists()
        doomed = _scratch(folder)
        if there:
            folder.rename(doomed / "removed")
        shutil.rmtree(doomed)
    return there


def program(engine: Engine, version: str) -> tuple[str, ...]:
    """How an engine is started on this machine: an interpreter and the worker's text in a file, or
    the program that its user supplied.

    Raises:
        MissingToolError: the version is not installed.
        UsageError: the engine has neither.
    """
    if isinstance(engine, NativeEngine):
        binary = _binaries.find(engine, version, _host_abi())
        if binary is None:
            raise _binaries.missing(engine, version, _host_abi())
        return engine.program(str(binary.files[0]))
    text = engine.worker()
    if text is None:
        raise UsageError(f"{engine.name} has no worker for this machine")
    interpreter = sys.executable
    if engine.distribution is not None:
        found = find(engine, version)
        if found is None:
            named = f"{engine.name}=={version}"
            raise MissingToolError(
                "the benchmark", f"the engine {named}", f"gaugenn engines install {named}"
            )
        interpreter = str(found.interpreter)
    return (interpreter, "-I", str(worker_file(engine.name, text)))


def library_digest(engine: Engine, version: str) -> str | None:
    """What names the very files of a library: its wheel's RECORD without what pip wrote itself.

    Returns:
        SHA-256 over the sorted lines of path and digest of the wheel's files, the same in every
        environment; of a supplied program that of its files. None for what has no wheel or is not
        installed.

    **Source:** https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    if isinstance(engine, NativeEngine):
        binary = _binaries.find(engine, version, _host_abi())
        return None if binary is None else binary.sha256
    found = find(engine, version)
    if found is None or engine.distribution is None:
        return None
    stem = re.sub(r"[-_.]+", "_", engine.distribution).lower()
    for path in sorted(found.folder.glob("lib/python*/site-packages/*.dist-info/RECORD")):
        name = path.parent.name.removesuffix(".dist-info").rpartition("-")[0]
        if name.lower() == stem:
            return record_digest(path.read_text(encoding="utf-8", errors="replace"))
    return None


def record_digest(record: str) -> str:
    """Digest of the text of a wheel's RECORD; see `library_digest`."""
    rows = [row[:2] for row in csv.reader(record.splitlines())]
    inside = sorted(r for r in rows if len(r) == 2 and all(r) and not _is_pips(r[0]))
    return hashlib.sha256(json.dumps(inside).encode()).hexdigest()


def _host_abi() -> str:
    """Gaugenn itself runs on Linux, not on Android."""
    return f"linux-{platform.machine().lower()}"


def _is_pips(name: str) -> bool:
    """Whether pip wrote a file: scripts outside the library name their environment."""
    return name.startswith("../") or name.endswith((".dist-info/INSTALLER", ".dist-info/REQUESTED"))


def pip_answer(installation: Installation, arguments: Sequence[str]) -> str | None:
    """What the pip of an environment prints; None where it finds no distribution.

    Raises:
        EngineError: pip fails.
        TransientError: the package index cannot be reached.
    """
    ended = _start([str(installation.interpreter), "-I", "-m", "pip", *arguments], IMPORT_LIMIT_S)
    if ended.returncode == 0:
        return ended.stdout
    said = f"pip {' '.join(arguments[:3])}: {_last_line(ended.stderr)}"
    if _NO_NETWORK.search(ended.stderr):
        raise TransientError(f"the package index cannot be reached: {said}")
    if "No matching distribution" in ended.stderr:
        return None
    raise EngineError(said)


def pip_kinds(engine: "Installable") -> list[str]:
    """Options of pip for what it may install of an engine.

    A source distribution would run its own build program, and those of these libraries need a
    compiler; only wheels are taken, but for pure Python packages that an engine names.
    """
    return ["--only-binary=:all:", *(f"--no-binary={name}" for name in engine.source_packages)]


def worker_file(name: str, text: str) -> Path:
    """A worker's program in a file of this machine."""
    data = text.encode()
    path = cache_folder() / "workers" / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}.py"
    if path.is_file() and path.read_bytes() == data:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).replace(path)
    return path


def _folder(engine: Installable, version: str) -> Path:
    if not _VERSION.fullmatch(version) or ".." in version:
        raise UsageError(f"{engine.name}=={version}: that is no version of a Python package")
    return cache_folder() / "engines" / f"{engine.name}-{version}"


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Waits until no other process builds or removes this folder; the lock dies with its holder."""
    with (folder.parent / f".lock-{folder.name}").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for stale in folder.parent.glob(f".building-{folder.name}-*"):
            shutil.rmtree(stale)
        yield


def _scratch(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".building-{folder.name}-", dir=folder.parent))


def _build(engine: Installable, version: str, folder: Path) -> Installation:
    scratch = _scratch(folder)
    try:
        interpreter = str(scratch / "bin" / "python")
        _run([sys.executable, "-m", "venv", str(scratch)], engine, version)
        pip = [interpreter, "-I", "-m", "pip"]
        wanted = engine.requirements(version)
        _run([*pip, "install", "--quiet", *pip_kinds(engine), *wanted], engine, version)
        frozen = _run([*pip, "list", "--format=freeze"], engine, version)
        if engine.module is not None:
            _try_import(engine, version, interpreter)
        (scratch / MARKER).write_text(
            json.dumps(
                {
                    "engine": engine.name,
                    "version": version,
                    "python": ".".join(map(str, sys.version_info[:3])),
                    "resolved": sorted(line for line in frozen.split() if "==" in line),
                }
            )
        )
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    found = _read_marker(folder)
    if found is None:
        raise EngineError(f"{folder}: the new environment has no marker; try again")
    return found


def _try_import(engine: Installable, version: str, interpreter: str) -> None:
    ended = _start([interpreter, "-I", "-c", f"import {engine.module}"], IMPORT_LIMIT_S)
    if ended.returncode != 0:
        raise EngineError(
            f"{engine.name}=={version} was installed, but {engine.module} cannot be imported: "
            f"{_last_line(ended.stderr)}; try another version"
        )


def _run(argv: Sequence[str], engine: Installable, version: str) -> str:
    ended = _start(argv, INSTALL_LIMIT_S)
    if ended.returncode == 0:
        return ended.stdout
    text = ended.stderr + ended.stdout
    named = f"{engine.name}=={version} ({', '.join(engine.requirements(version))})"
    if "No space left on device" in text or "Disk quota exceeded" in text:
        raise StorageFullError(f"{named}: the disk is full; free some room and try again")
    offered = _OFFERED.search(text)
    versions = [] if offered is None else offered.group(1).split(", ")
    if versions and versions != ["none"] and versions != [""]:
        raise UsageError(f"{named}: no such version for this Python; there are {_listed(versions)}")
    if _NO_NETWORK.search(text):
        raise TransientError(f"{named}: the package index cannot be reached: {_last_line(text)}")
    if versions:
        raise UsageError(f"{named}: the package index offers no wheel for this Python and machine")
    raise EngineError(f"{named}: {Path(argv[0]).name} failed: {_last_line(text)}")


def _start(argv: Sequence[str], limit_s: float) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    try:
        return subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=limit_s,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise TransientError(f"{argv[0]} did not end within {limit_s:.0f} s") from error


def _listed(versions: Sequence[str], newest: int = 12) -> str:
    dropped = len(versions) - newest
    shown = ", ".join(versions[-newest:])
    return f"{dropped} older ones and {shown}" if dropped > 0 else shown


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it printed nothing"


def _read_marker(folder: Path) -> Installation | None:
    try:
        marker = json.loads((folder / MARKER).read_text())
        found = Installation(
            engine=str(marker["engine"]),
            version=str(marker["version"]),
            folder=folder,
            python=str(marker["python"]),
            resolved=tuple(str(item) for item in marker["resolved"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found.interpreter.exists() else None

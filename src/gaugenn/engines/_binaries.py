"""Programs that users supply: a folder an ABI, found by name; none comes with gaugenn.

::

    $GAUGENN_BINARIES/arm64-v8a/benchncnn              a file,
    $GAUGENN_BINARIES/arm64-v8a/snpe-net-run/...       or a folder: the program and its libraries,
    $GAUGENN_BINARIES/arm64-v8a/benchncnn==20240820    of a version, for `--engine NAME==VERSION`

Android's ABIs have Android's names; other Linux systems are `linux-` and the machine's name.
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gaugenn.engines._native import SUPPLIED, NativeEngine
from gaugenn.errors import MissingToolError
from gaugenn.records import Environment

VARIABLE = "GAUGENN_BINARIES"
ABIS = (
    *("arm64-v8a", "armeabi-v7a", "x86", "x86_64", "riscv64"),
    *("linux-aarch64", "linux-armv7l", "linux-riscv64", "linux-x86_64"),
)
"""Source: https://developer.android.com/ndk/guides/abis"""
_ANDROID = {
    **dict.fromkeys(("aarch64", "arm64", "arm64-v8a"), "arm64-v8a"),
    **dict.fromkeys(("armv7l", "armv8l", "armeabi-v7a"), "armeabi-v7a"),
    **dict.fromkeys(("i386", "i686", "x86"), "x86"),
    **{name: name for name in ("x86_64", "riscv64")},
}
MAXIMUM_FILES = 256
"""In a program's folder; an SDK has fewer libraries."""
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A program that is there.

    Attributes:
        engine: its engine's plugin name.
        abi: what it runs on.
        version: as its name in the folder says it.
        files: the program first, then its other programs and libraries.
        missing: other programs of the engine that are not there.
    """

    engine: str
    abi: str
    version: str
    files: tuple[Path, ...]
    missing: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """What names these very files: the digest of their names and digests."""
        found = hashlib.sha256()
        for path in sorted(self.files):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.update(f"{path.name} {digest}\n".encode())
        return found.hexdigest()


def folder() -> Path | None:
    """Where users put programs; None where nobody says."""
    named = os.environ.get(VARIABLE)
    return Path(named).absolute() if named else None


def abi(environment: Environment) -> str:
    """The ABI of a device; one that is not in `ABIS` where its machine is of another kind."""
    machine = environment.architecture.lower()
    if "android" in environment.operating_system.lower():
        return _ANDROID.get(machine, machine)
    return f"linux-{machine}"


def find(engine: NativeEngine, version: str, wanted_abi: str) -> Binary | None:
    """A program for an ABI, if it is there."""
    root = folder()
    if root is None or wanted_abi not in ABIS:
        return None
    name = engine.binary if version == SUPPLIED else f"{engine.binary}=={version}"
    if not _VERSION.fullmatch(version):
        return None
    place = root / wanted_abi / name
    if place.is_file():
        inside = [place.with_name(other) for other in engine.programs[1:]]
        files = [place, *(path for path in inside if path.is_file())]
    else:
        files = _files(place)
        files.sort(key=lambda path: (path.name != engine.binary, path.name))
    if not files or files[0].name.partition("==")[0] != engine.binary:
        return None
    there = {path.name for path in files}
    return Binary(
        engine=engine.name,
        abi=wanted_abi,
        version=version,
        files=tuple(files),
        missing=tuple(other for other in engine.programs[1:] if other not in there),
    )


def found(engine: NativeEngine) -> Iterator[Binary]:
    """Every program of an engine that is there: all ABIs, all versions."""
    root = folder()
    for name in ABIS if root is not None else ():
        place = Path() if root is None else root / name
        entries = sorted(p.name for p in place.iterdir()) if place.is_dir() else []
        for entry in entries:
            program, _, version = entry.partition("==")
            if program == engine.binary:
                binary = find(engine, version or SUPPLIED, name)
                if binary is not None:
                    yield binary


def missing(engine: NativeEngine, version: str, wanted_abi: str = "") -> MissingToolError:
    """The error that says which file belongs where.

    Args:
        engine: what needs it.
        version: that was asked for.
        wanted_abi: of the device, where that is known already.
    """
    name = engine.binary if version == SUPPLIED else f"{engine.binary}=={version}"
    root = folder()
    place = f"${VARIABLE}" if root is None else str(root)
    return MissingToolError(
        f"the engine {engine.name}",
        f"its program {name} for {wanted_abi or 'the device'}, which gaugenn does not bring",
        f"cp {engine.binary} {place}/{wanted_abi or 'ABI'}/{name}   (see docs/native.md)",
    )


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(path for path in place.iterdir() if path.is_file())[:MAXIMUM_FILES]

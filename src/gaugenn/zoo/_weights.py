"""Looks into a user's .npz before anything of it is allocated. Needs numpy only."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from numpy.lib import format as npy

SUFFIX = ".npz"


def require_fitting(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Checks that an archive has exactly these arrays, by their headers alone.

    Args:
        path: the archive; other kinds of files are left to their reader.
        shapes: name and shape of every array of the definition.

    Raises:
        ValueError: another name, shape or kind of element, or no archive of arrays.
    """
    if path.suffix != SUFFIX:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            missing, unknown = shapes.keys() - members.keys(), members.keys() - shapes.keys()
            if missing or unknown:
                raise ValueError(
                    f"{path.name}: Missing key(s): {_some(missing)}; unknown: {_some(unknown)}"
                )
            for name, member in members.items():
                _require_header(archive, member, shapes[name])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path.name} is no archive of arrays: {error}") from error


def _require_header(archive: zipfile.ZipFile, member: str, wanted: tuple[int, ...]) -> None:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{member}: version {version} of the array format is not read")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    if tuple(shape) != wanted:
        raise ValueError(f"{member} is {tuple(shape)}, the definition's {wanted}")
    if dtype.kind not in "fiu":
        raise ValueError(f"{member} holds {dtype}, not numbers")


def _some(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return f"{shown}, ..." if len(names) > 5 else shown or "none"

"""Small files of the kernel that hold one number or one word."""

from pathlib import Path

LONGEST_BYTES = 4096


def text(path: Path) -> str | None:
    """A file's text without white space around it; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return None


def integer(path: Path) -> int | None:
    """A file's whole number; None where it cannot be read or holds none."""
    found = text(path)
    try:
        return None if found is None else int(found)
    except ValueError:
        return None

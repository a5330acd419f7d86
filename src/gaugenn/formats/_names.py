"""Names of tensors, which formats that number them do not keep unique."""

from collections.abc import Iterable


def unique(names: Iterable[str]) -> list[str]:
    """Names in order, with `#<index>` behind those that are empty or were there before."""
    taken: set[str] = set()
    found: list[str] = []
    for index, name in enumerate(names):
        while not name or name in taken:
            name = f"{name}#{index}"
        taken.add(name)
        found.append(name)
    return found

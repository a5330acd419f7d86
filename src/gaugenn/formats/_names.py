"""Tensor names that a reader makes up, each once."""

from collections.abc import Iterable


class TensorNames:
    """The names that a graph has already.

    Args:
        taken: names from the file.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._numbers: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Whether the name is taken."""
        return name in self._taken

    def take(self, name: str) -> None:
        """Marks a name as taken."""
        self._taken.add(name)

    def unique(self, name: str) -> str:
        """The name, or the name with a number where it is taken; it is then taken, too."""
        named = name
        while named in self._taken:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            named = f"{name}.{self._numbers[name]}"
        self._taken.add(named)
        return named

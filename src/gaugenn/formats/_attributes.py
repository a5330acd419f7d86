"""What a file says about a node, read by type."""

from collections.abc import Mapping

from gaugenn.graph import AttributeValue

LARGEST = 1 << 40
"""A size or a number of steps beyond this is taken for damage."""


class Attributes:
    """Typed access to a node's values; a value of another type counts as missing.

    Args:
        values: as the file has them.
    """

    __slots__ = ("values",)

    def __init__(self, values: Mapping[str, AttributeValue]) -> None:
        self.values = values

    def text(self, name: str, default: str = "") -> str:
        """A text."""
        value = self.values.get(name, default)
        return value if isinstance(value, str) else default

    def real(self, name: str, default: float) -> float:
        """A number."""
        value = self.values.get(name, default)
        return float(value) if isinstance(value, int | float) else default

    def whole(self, name: str, default: int = 0) -> int:
        """A whole number or a flag."""
        value = self.values.get(name, default)
        return int(value) if isinstance(value, int) and abs(value) < LARGEST else default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Whether something is so."""
        return bool(self.whole(name, int(default)))

    def wholes(self, name: str) -> tuple[int, ...]:
        """Whole numbers; () where the attribute is missing or one of them is absurd."""
        value = self.values.get(name, ())
        if not isinstance(value, tuple):
            return ()
        found = tuple(v for v in value if isinstance(v, int) and abs(v) < LARGEST)
        return found if len(found) == len(value) else ()

    def pair(self, name: str, default: int, rank: int = 2) -> tuple[int, ...]:
        """A number for each of `rank` dimensions, however few the file gives."""
        found = self.wholes(name) or (self.whole(name, default),)
        return found if len(found) == rank else found[:1] * rank

    def reals(self, name: str) -> tuple[float, ...]:
        """Numbers."""
        value = self.values.get(name, ())
        if not isinstance(value, tuple):
            return ()
        return tuple(float(v) for v in value if isinstance(v, int | float))

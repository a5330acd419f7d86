"""Where work runs: one file a kind of executor, all with the same one-function interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T, R]):
    """What became of an item: a value, or the error that took its place.

    Attributes:
        item: as it was given.
        value: what the function returned; None when it failed.
        error: what the function raised, or why its process ended; None when it succeeded.
    """

    item: T
    value: R | None
    error: Exception | None


class Executor(ABC):
    """Maps a function over items in other processes. A context manager: leaving ends the workers."""

    @abstractmethod
    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[Outcome[T, R]]:
        """Yields one outcome an item, in the order in which they finish.

        Items are drawn as workers get free, so the iterable may be endless and memory stays bounded.
        A function that raises, dies, or runs past the time limit costs its own item only.

        Args:
            function: a module-level function; it, the items and the values must be picklable.
            items: what to work on.
        """

    def close(self) -> None:
        """Ends the workers."""

    def __enter__(self) -> "Executor":
        """Workers start with the first item."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the workers, in the middle of their items if need be."""
        self.close()

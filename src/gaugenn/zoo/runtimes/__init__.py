"""What an exported file computes: one file a library, named like its engine.

A runtime only answers once, for the comparison with the definition; latency is the engines' matter.
Loaded like exporters: everything heavy is imported inside the method.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from gaugenn.zoo._order import ModelInput

Array = npt.NDArray[np.generic]


class Runtime(ABC):
    """One library."""

    title: ClassVar[str]
    spec: ClassVar[str]
    format: ClassVar[str]
    """The format that it reads."""
    distribution: ClassVar[str]
    """PyPI name, whose version is reported."""

    @property
    def name(self) -> str:
        """The library: the name of the plugin's file."""
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    def run(
        self, files: Sequence[str], inputs: Sequence[ModelInput], values: Sequence[Array]
    ) -> list[Array]:
        """The outputs in the definition's order, as floats.

        Args:
            files: the model's files, the graph first.
            inputs: what the model takes.
            values: one array an input.
        """


class RuntimeRefusal(Exception):  # noqa: N818 - an answer, not a fault
    """The library does not load or run the file, and why."""

"""From a definition to a file of a library: one file a format, named like the format's reader.

An exporter is loaded in two places: by gaugenn, which asks what it needs and which variants it has,
and by the worker in the exporters' environment, which calls `export`. So everything heavy is imported
inside the methods.
"""

import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from gaugenn.zoo._order import ModelInput, Variant

Array = npt.NDArray[np.generic]
Sample = tuple[Array, ...]
"""A value for each input, in order."""


class ExportRefusal(Exception):  # noqa: N818 - an answer, not a fault
    """The converter cannot do this, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is to be exported.

    Attributes:
        module: the definition in evaluation mode, a `torch.nn.Module`; None for an exporter that
            starts from another format.
        inputs: what the model takes.
        sample: values for the inputs.
        calibration: more of them, for ranges of activations.
        variant: see `Variant`.
        sources: the files of the format to start from.
        folder: where to write.
        stem: how the files are called, without suffix.
    """

    module: Any
    inputs: tuple[ModelInput, ...]
    sample: Sample
    calibration: Sequence[Sample]
    variant: Variant
    sources: tuple[Path, ...]
    folder: Path
    stem: str


class Exporter(ABC):
    """Writes one format."""

    title: ClassVar[str]
    """The converter's name."""
    spec: ClassVar[str]
    """Address of the documentation that it was written from."""
    packages: ClassVar[tuple[str, ...]]
    """PyPI names of what decides on the result; their versions are part of a build's identity."""
    source: ClassVar[str | None] = None
    """The format it starts from, where that is not the definition."""
    refusals: ClassVar[Mapping[Variant, str]] = {}
    """Variants that this converter does not have, and why."""

    @property
    def name(self) -> str:
        """The format: the name of the plugin's file."""
        return type(self).__module__.rpartition(".")[2]

    @abstractmethod
    def export(self, order: Export) -> list[Path]:
        """Writes the files, the graph first.

        Raises:
            ExportRefusal: the converter says no.
        """


def run_program(argv: Sequence[str]) -> None:
    """Runs a converter's program.

    Raises:
        ExportRefusal: it failed; its last words are the reason.
    """
    ended = subprocess.run(
        argv, capture_output=True, text=True, errors="replace", check=False, env=dict(os.environ)
    )
    sys.stderr.write(ended.stdout + ended.stderr)
    if ended.returncode != 0:
        lines = [line.strip() for line in (ended.stdout + ended.stderr).splitlines()]
        last = next((line for line in reversed(lines) if line), "it printed nothing")
        raise ExportRefusal(f"{Path(argv[0]).name} ended with code {ended.returncode}: {last}")


def halved(torch: Any, module: Any) -> Any:  # noqa: ANN401
    """The module in float16 between inputs and outputs of float32."""

    class Halved(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module.half()

        def forward(self, *values: Any) -> Any:  # noqa: ANN401
            halves = [v.half() if v.is_floating_point() else v for v in values]
            found = self.inner(*halves)
            return tuple(f.float() for f in found) if isinstance(found, tuple) else found.float()

    return Halved().eval()

"""Inference libraries: one file a library. An engine is a command line and a parser of its output.

Modules whose name starts with `_` are no engines: environments, the measured worker.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gaugenn.records import Job, ModelRecord, Precision, Processor, Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSemantics:
    """What lies inside the timed region of an engine's steady samples."""

    real_weights: bool
    input_preparation_timed: bool
    output_copy_timed: bool
    raw_samples: bool
    """Every inference is reported, not only an aggregate."""


class Engine(ABC):
    """An inference library. Stateless; knows neither store nor device."""

    title: ClassVar[str]
    spec: ClassVar[str]
    """Address of the documentation that the adapter was written from."""
    formats: ClassVar[tuple[str, ...]]
    """Names of the model formats it loads."""
    processors: ClassVar[tuple[Processor, ...]]
    precisions: ClassVar[tuple[Precision, ...]]
    distribution: ClassVar[str | None]
    """PyPI name of its wheel; None for native binaries that the user supplies."""
    default_version: ClassVar[str | None]
    timing_semantics: ClassVar[TimingSemantics]

    def requirements(self, version: str) -> tuple[str, ...]:
        """What pip installs into the engine's own environment for a version."""
        return () if self.distribution is None else (f"{self.distribution}=={version}",)

    def refuses(self, model: ModelRecord) -> str | None:
        """Why this engine cannot run a model of its formats, as far as the file tells; or None."""
        return None if model.format in self.formats else f"reads no {model.format} files"

    @abstractmethod
    def command(self, job: Job, program: Sequence[str], model_paths: Sequence[str]) -> list[str]:
        """The command that runs a job once, in a fresh process.

        Args:
            job: what to measure.
            program: how the engine is started on the device: interpreter and worker, or a binary.
            model_paths: the model's files on the device, the graph file first.
        """

    @abstractmethod
    def parse(self, stdout: str, stderr: str) -> Timings:
        """What a finished command measured.

        Raises:
            EngineError: the engine says that it cannot load or run the model, and why.
            FormatError: output that cannot be understood.
        """

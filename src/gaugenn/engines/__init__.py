"""Inference libraries: one file a library. An engine is a command line and a parser of its output.

Modules whose name starts with `_` are no engines: `_environments` (a virtual environment for each
library and version), `_worker` (the measured side), `_wheel` (what engines that are Python wheels
have in common), `_native` (the same for vendors' own programs), `_binaries` (where users put those).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from gaugenn import plugins
from gaugenn.errors import UsageError
from gaugenn.records import (
    EngineOffers,
    Job,
    ModelRecord,
    Precision,
    Processor,
    Profile,
    ProfileMethod,
    Timings,
    TimingSemantics,
)


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
    """PyPI name of its wheel; None for what needs no wheel."""
    module: ClassVar[str | None] = None
    """What an environment must be able to import before it counts as installed."""
    default_version: ClassVar[str]
    timing_semantics: ClassVar[TimingSemantics]
    by_default: ClassVar[bool] = True
    """Whether it is used when nobody names an engine."""
    needs_input_shapes: ClassVar[bool] = False
    """The library does not know the sizes of a model's inputs: the job has to give them all."""
    phases: ClassVar[str] = "load, prepare"
    """Which phases of a cold start it can tell apart; `load+prepare` where one call does both."""
    profile_method: ClassVar[ProfileMethod | None] = None
    """How the time of each operator is found; None where there is no way."""
    source_packages: ClassVar[tuple[str, ...]] = ()
    """Pure Python packages that it needs and that exist as source only."""

    @property
    def name(self) -> str:
        """The plugin's name: that of its file."""
        return type(self).__module__.rpartition(".")[2]

    def requirements(self, version: str) -> tuple[str, ...]:
        """What pip installs into the engine's own environment for a version."""
        return () if self.distribution is None else (f"{self.distribution}=={version}", "numpy")

    def loads(self, model_format: str | None) -> bool:
        """Whether it loads files of a format."""
        return model_format in self.formats

    def refuses(self, model: ModelRecord) -> str | None:
        """Why this engine cannot run a model, as far as the file tells; or None."""
        if not self.loads(model.format):
            return f"{self.title} reads no {model.format} files"
        if "weights-absent" in model.notes:
            return "the file with the weights is missing; put it beside the graph file"
        if "accelerator-blob" in model.notes:
            return "a part of it is compiled for an accelerator that this library cannot use"
        for tensor in model.inputs:
            if tensor.dtype == "string":
                return f"input {tensor.name!r} takes text; only numeric inputs can be generated"
        return None

    def cannot(self, job: Job) -> str | None:
        """Why it cannot do what a job asks for, whatever the model; or None."""
        del job
        return None

    def worker(self) -> str | None:
        """The text of the Python program that measures; None where the engine is a native binary."""
        return None

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

    def profile_command(
        self, job: Job, program: Sequence[str], model_paths: Sequence[str]
    ) -> list[str]:
        """The command that takes inferences of a job apart, in a launch that is no measurement.

        Raises:
            UsageError: there is no way to time this engine's operators.
        """
        del job, program, model_paths
        raise UsageError(f"{self.title} has no profile by operator")

    def parse_profile(self, stdout: str, stderr: str) -> Profile:
        """What a finished `profile_command` found. Raises as `parse` does."""
        del stdout, stderr
        raise UsageError(f"{self.title} has no profile by operator")

    def offers_command(self, program: Sequence[str]) -> list[str]:
        """The command that asks the library what it can use on a device.

        Raises:
            UsageError: the engine cannot be asked.
        """
        del program
        raise UsageError(f"{self.title} cannot be asked what it offers")

    def parse_offers(self, stdout: str, stderr: str) -> EngineOffers:
        """What a finished `offers_command` said. Raises as `parse` does."""
        del stdout, stderr
        raise UsageError(f"{self.title} cannot be asked what it offers")

    def last_phase(self, stdout: str) -> str | None:
        """The phase that an unfinished command had reached, where its output tells."""
        del stdout
        return None


def load_engine(name: str) -> Engine:
    """The engine called `name`.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    known = plugins.names(__name__)
    if name not in known:
        raise UsageError(f"there is no engine {name!r}; there are: {', '.join(known)}")
    return plugins.load(__name__, name, Engine)()  # type: ignore[type-abstract]

"""Measurements that others made: one file a kind of file that they come in.

A form turns a file into `LoggedRun`s and knows neither study nor model. The output of vendors' own
programs is read by their engines (`NativeEngine.read_log`); what is here are the files of others. A
file is hostile until it is read: its size, its runs and samples, its nesting and its lines are bounded,
and what fails is an error that says why.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from gaugenn import plugins
from gaugenn.engines import Engine
from gaugenn.engines._native import LoggedRun, NativeEngine, cut_lines
from gaugenn.errors import FormatError, LimitError, UsageError

MAXIMUM_BYTES = 64 << 20
MAXIMUM_RUNS = 10_000
MAXIMUM_SAMPLES = 1_000_000
"""Of one run."""
HEAD_CHARACTERS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A file that may hold measurements.

    Attributes:
        name: without its folder.
        data: its bytes.
        text: the same as UTF-8, what is none replaced.
    """

    name: str
    data: bytes
    text: str = field(repr=False)

    @property
    def head(self) -> str:
        """The beginning of the text, by which forms recognise their files."""
        return self.text[:HEAD_CHARACTERS]


class ImportForm(ABC):
    """A kind of file."""

    title: ClassVar[str]
    spec: ClassVar[str]
    """Address of the documentation of the form."""

    @abstractmethod
    def recognises(self, file: LogFile) -> bool:
        """Whether a file is of this kind, as far as a look at it tells."""

    @abstractmethod
    def read(self, file: LogFile) -> tuple[LoggedRun, ...]:
        """Every measurement in a file.

        Raises:
            FormatError: it is no such file, or there is no latency in it.
            EngineError: the program that wrote it did not measure what its numbers suggest.
            MissingToolError: a library that reads such files is not installed.
        """


class _Program(ImportForm):
    """The output of a vendor's own program."""

    def __init__(self, engine: NativeEngine) -> None:
        self._engine = engine

    def recognises(self, file: LogFile) -> bool:
        return self._engine.recognises(cut_lines(file.text))

    def read(self, file: LogFile) -> tuple[LoggedRun, ...]:
        return self._engine.read_log(cut_lines(file.text))


def forms() -> dict[str, ImportForm]:
    """Every form by the name that a user gives it."""
    own = plugins.load_all(__name__, ImportForm)  # type: ignore[type-abstract]
    found = {name.replace("_", "-"): kind() for name, kind in own.items()}
    engines = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
    for name, kind in engines.items():
        if issubclass(kind, NativeEngine):
            found[name.replace("_", "-")] = _Program(kind())
    return dict(sorted(found.items()))


def read(name: str, data: bytes, form: str | None = None) -> tuple[str, tuple[LoggedRun, ...]]:
    """What a file holds.

    Args:
        name: of the file, without its folder.
        data: its bytes.
        form: which kind it is; the one that recognises it by default.

    Returns:
        The form's name and every measurement.

    Raises:
        UsageError: there is no such form.
        LimitError: it is larger than any such file.
        FormatError: it is of no form, of several, or does not hold to it.
        EngineError: the program did not measure what its numbers suggest.
        MissingToolError: a library that reads such files is not installed.
    """
    if len(data) > MAXIMUM_BYTES:
        raise LimitError(f"{len(data)} bytes; such files have at most {MAXIMUM_BYTES}")
    file = LogFile(name=name, data=data, text=data.decode("utf-8", "replace"))
    known = forms()
    if form is not None and form not in known:
        raise UsageError(f"there is no form {form!r}; there are: {', '.join(known)}")
    able = [form] if form is not None else [n for n, kind in known.items() if kind.recognises(file)]
    if not able:
        raise FormatError(f"none of the forms that are known: {', '.join(known)}")
    if len(able) > 1:
        raise FormatError(f"of several forms; name one with --as: {', '.join(able)}")
    runs = known[able[0]].read(file)
    if not runs:
        raise FormatError("there is no latency in it")
    if len(runs) > MAXIMUM_RUNS:
        raise LimitError(f"{len(runs)} runs; at most {MAXIMUM_RUNS} are read of a file")
    if any(len(run.timings.steady_s) > MAXIMUM_SAMPLES for run in runs):
        raise LimitError(f"a run has more than {MAXIMUM_SAMPLES} samples")
    return able[0], runs

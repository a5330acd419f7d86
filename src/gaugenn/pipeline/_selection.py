"""What a user compares, as text: `STUDY`, or `STUDY:TERM,TERM` for some of its experiments.

A term is an engine (`litert`), an engine and a version (`litert==2.3.0`), or a setting (`threads=2`).
Without a study before the colon (`:onnxruntime`) the other side's is meant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gaugenn.errors import UsageError
from gaugenn.records import Job

SETTINGS: dict[str, Callable[[Job], str]] = {
    "model": lambda job: job.model_sha256,
    "engine": lambda job: job.engine,
    "version": lambda job: job.engine_version,
    "device": lambda job: job.device,
    "processor": lambda job: job.processor,
    "precision": lambda job: job.precision,
    "threads": lambda job: str(job.threads),
    "affinity": lambda job: job.affinity,
    "batch": lambda job: str(job.batch),
    "input_shapes": lambda job: " ".join(
        f"{shape.name}={'x'.join(map(str, shape.shape))}" for shape in job.input_shapes
    ),
    "page_cache": lambda job: job.page_cache,
    "rate_per_s": lambda job: "" if job.rate_per_s is None else f"{job.rate_per_s:g}",
    "companion": lambda job: job.companion,
}
"""What tells experiments apart, and how it reads. Times and counts of samples are not among it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Some experiments of a study.

    Attributes:
        text: as the user wrote it.
        study: its folder.
        settings: setting -> value; a model's is the beginning of its digest.
    """

    text: str
    study: Path
    settings: dict[str, str]

    def holds(self, job: Job) -> bool:
        """Whether a job is selected."""
        return all(
            SETTINGS[name](job).startswith(value)
            if name == "model"
            else SETTINGS[name](job) == value
            for name, value in self.settings.items()
        )


def read_selection(text: str, other: Path | None = None) -> Selection:
    """Reads one side of a comparison.

    Args:
        text: what the user wrote. A folder of exactly this name is taken whole.
        other: the study that is meant where the text names none.

    Raises:
        UsageError: no study, or a term that is neither an engine nor a setting.
    """
    folder, colon, terms = text.rpartition(":")
    if not colon or Path(text).is_dir():
        folder, terms = text, ""
    if not folder and other is None:
        raise UsageError(f"{text!r} names no study; write it before the colon: STUDY{text}")
    settings: dict[str, str] = {}
    for term in filter(None, terms.split(",")):
        engine, versioned, version = term.partition("==")
        name, equals, value = term.partition("=")
        if versioned:
            settings |= {"engine": engine, "version": version}
        elif not equals:
            settings["engine"] = term
        elif name in SETTINGS:
            settings[name] = value
        else:
            raise UsageError(
                f"{text!r}: there is no setting {name!r}; there are: {', '.join(SETTINGS)}"
            )
    return Selection(
        text=text, study=Path(folder) if folder else other or Path(), settings=settings
    )

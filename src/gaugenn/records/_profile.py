"""What single operators cost inside an engine, and what an engine offers on a device."""

from dataclasses import dataclass
from enum import StrEnum

from gaugenn.records._bench import Precision, Processor


class ProfileMethod(StrEnum):
    """How operators are timed. All of them perturb, so a profile never counts as a latency."""

    PROFILER = "profiler"
    """The library's own profiler; it may switch its finest fusions off."""
    CALLBACK = "callback"
    """The library calls Python before and after each operator; the call lies outside the operator."""
    BLOB_BY_BLOB = "blob-by-blob"
    """Each layer's output is extracted, and extracted again: the first time less the second, which is
    that of the copy out. Intermediate results are all kept, so memory and caches are used more."""
    PREFIXES = "prefixes"
    """The model cut after each operator is timed; an operator's time is the difference of two cuts.
    It is noisy, can be negative, and nothing is fused across the cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDurations:
    """An operator as a profile shows it, in the order in which operators ran."""

    name: str
    operator: str
    """Its type as the library says it."""
    kernel: str
    """The implementation that was chosen; "" where the library does not tell."""
    durations_s: tuple[float, ...]
    """One for each inference that was taken apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one launch that takes inferences apart found."""

    engine_version: str
    observed_processor: Processor | None
    observed_precision: str | None
    operators: tuple[OperatorDurations, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTiming:
    """An operator of a job's profile. Key: `job_sha256`, `position`."""

    job_sha256: str
    position: int
    """Place in the order in which the library ran its operators."""
    name: str
    operator: str
    kernel: str
    durations_s: tuple[float, ...]
    method: ProfileMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a library can use on a device."""

    processor: Processor
    name: str
    """As the library calls it."""
    precisions: tuple[Precision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOffers:
    """The answer of an engine that was asked on a device."""

    engine_version: str
    offers: tuple[Offer, ...]

"""Exports of the reference models."""

from dataclasses import dataclass
from enum import StrEnum

from gaugenn.records._bench import InputShape


class BuildStatus(StrEnum):
    """What came of an export."""

    ACCEPTED = "accepted"
    """At least one library computes what the definition computes."""
    REJECTED = "rejected"
    """There is a file, but it has other inputs or no library agrees with the definition."""
    REFUSED = "refused"
    """The converter says no, or has no such variant."""
    CRASHED = "crashed"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltFile:
    """A file of an export, the graph first."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a library makes of an export, against the definition, on the same seeded input."""

    library: str
    """The library, by the name of its engine."""
    version: str
    """Of the library's package; "" where it could not be asked."""
    cosine: float | None
    """Of the worst output; None where the outputs could not be compared."""
    maximum_relative_error: float | None
    """Largest absolute difference over the largest absolute value of the definition's output."""
    reason: str | None
    """Why this library's answer is not accepted, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooBuild:
    """An export of a reference model. Key: `build_sha256`."""

    build_sha256: str
    """Digest of what decides on the result: definition, exporter, package versions, seed, variant."""
    model: str
    format: str
    variant: str
    """`fp32`, `fp16` or `int8`; `file` for a file that a user added."""
    status: BuildStatus
    reason: str | None
    definition_sha256: str
    """Digest of the definition's source and its entry in the list of models."""
    weights_sha256: str | None
    """Digest of the user's weights; None for seeded ones."""
    seed: int
    exporter: str
    packages: tuple[str, ...]
    """What decides on the result, as `name==version`."""
    built_at: str
    """UTC, ISO 8601."""
    wall_s: float
    """Of the export; comparisons are not in it."""
    peak_memory_bytes: int | None
    """Of the export's process."""
    files: tuple[BuiltFile, ...] = ()
    inputs: tuple[InputShape, ...] = ()
    parameters: int | None = None
    """Of the definition."""
    file_parameters: int | None = None
    """Counted in the file: fewer with folded normalisation, more where shared weights are copied."""
    file_macs: int | None = None
    """Counted in the file."""
    agreements: tuple[Agreement, ...] = ()

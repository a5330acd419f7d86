"""What a file is, from its bytes: which reader may read it, or why none does."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from gaugenn import plugins
from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._contract import HEAD_BYTES, FormatReader
from gaugenn.graph import Model
from gaugenn.records import FileKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What a look at a file's bytes and name says, before it is read.

    Attributes:
        kind: MODEL (a reader claims it, not yet read), WEIGHTS, ENCRYPTED or UNKNOWN.
        formats: names of the readers that claim the bytes, in the order to try.
        reason: what an unclaimed file is or why it was set aside; None for claimed files.
        nominated: the name alone makes it a candidate, so that it deserves a row in any case.
        entropy_bits: bits per byte, measured where no reader claims a nominated file.
    """

    kind: FileKind
    formats: tuple[str, ...] = ()
    reason: str | None = None
    nominated: bool = False
    entropy_bits: float | None = None


@cache
def readers() -> dict[str, FormatReader]:
    """Every format reader by name."""
    loaded = plugins.load_all("gaugenn.formats", FormatReader)  # type: ignore[type-abstract]
    return {name: reader() for name, reader in loaded.items()}


def identify(content: Content) -> Identification:
    """Says what a file looks like. Reads the head; all of it only for nominated, unclaimed files."""
    head = content.head(HEAD_BYTES)
    claimed = tuple(n for n, reader in readers().items() if reader.sniff(content.name, head))
    if claimed:
        return Identification(kind=FileKind.MODEL, formats=claimed, nominated=True)
    raise NotImplementedError


def read_model(content: Content) -> Model:
    """Reads a file with the readers that claim it; the first that succeeds decides.

    Raises:
        FormatError: no reader claims the bytes, or none that does can read them.
    """
    identification = identify(content)
    failures: list[str] = []
    for name in identification.formats:
        try:
            return readers()[name].read(content)
        except FormatError as error:
            failures.append(f"{name}: {error}")
    raise FormatError("; ".join(failures) or identification.reason or "not a model file")


def entropy_bits(data: memoryview) -> float:
    """Shannon entropy of the bytes, 0 to 8 bits per byte; 0 for no bytes."""
    if not data.nbytes:
        return 0.0
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    shares = counts[counts > 0] / data.nbytes
    return -math.fsum(float(p) * math.log2(float(p)) for p in shares)

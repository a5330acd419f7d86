"""What a file is, from its bytes: which reader may read it, or why none does."""

import math
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from gaugenn import plugins
from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats import _candidates, _foreign, _mediapipe, _parts, _wrappings
from gaugenn.formats._contract import HEAD_BYTES, FormatReader, Magic
from gaugenn.graph import Model
from gaugenn.records import FileKind

RANDOM_ENTROPY_BITS = 7.9
"""Bits per byte from which a large file counts as random. Plain float32 models reach 7.65, which
rules out the 7.5 of the literature; AES output and compressed data lie above 7.99."""

CHI_SQUARE_BELOW_BYTES = 2048
"""Below this size entropy cannot tell random from structured bytes, and chi-square decides."""

RANDOM_MINIMUM_BYTES = 64
"""Below this size nothing can."""

GENERIC_MINIMUM_BYTES = 4096
"""A smaller file of a generic name (`.bin`, `.dat`) is no suspect: a table of 8-bit weights that size
looks just as random."""

_FREEDOM = 255
_DEVIATIONS = 5.0
"""Byte counts of n random bytes give a chi-square of 255 on average, with a standard deviation of
sqrt(2 * 255); five of them miss fewer than one random file in a hundred thousand. **Source:** NIST
Engineering Statistics Handbook 1.3.6.6.6, https://www.itl.nist.gov/div898/handbook/"""

_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What a look at a file's bytes and name says, before it is read.

    Attributes:
        kind: MODEL (a reader claims it, not yet read), INVALID (the same, but its wrapping is
            broken), WEIGHTS, ENCRYPTED or UNKNOWN.
        formats: names of the readers that claim the bytes, in the order to try; of a WEIGHTS file
            the readers of the graph beside it.
        reason: what an unclaimed file is or why it was set aside; None for claimed files.
        nominated: it is a candidate, by its bytes or by its name alone, and deserves a row.
        generic: only a suffix that says nothing about networks (`.bin`, `.xml`) nominates it.
        entropy_bits: bits per byte, measured where a nominated file is neither claimed nor known to
            be something else.
        wrapping: what is around the model, the outermost first: `gzip`, `xor-0x5a`, `base64`,
            `offset-64`, `gzip+xor-0x5a`, `parts-3` (the first of three files that are one); None for
            a plain file.
        inner: the model without its wrapping; None for a plain file, and where only a head was seen.
    """

    kind: FileKind
    formats: tuple[str, ...] = ()
    reason: str | None = None
    nominated: bool = False
    generic: bool = False
    entropy_bits: float | None = None
    wrapping: str | None = None
    inner: Content | None = field(default=None, repr=False, compare=False)


@cache
def readers() -> dict[str, FormatReader]:
    """Every format reader by name."""
    loaded = plugins.load_all("gaugenn.formats", FormatReader)  # type: ignore[type-abstract]
    return {name: reader() for name, reader in loaded.items()}


@cache
def _suffixes() -> frozenset[str]:
    """Suffixes that the readers know, so that a new format nominates its files by itself."""
    return frozenset(s for r in readers().values() for s in (*r.suffixes, *r.weights_suffixes))


@cache
def _weights_suffixes() -> tuple[str, ...]:
    return tuple({s for r in readers().values() for s in r.weights_suffixes})


def identify(content: Content) -> Identification:
    """Says what a file looks like. Reads the head; all of it only for nominated, unclaimed files.

    A file that carries a format's signature is a MODEL here, however broken the rest is: reading it
    decides. So is one that carries it under a wrapping, which is taken off. Where no reader claims
    the bytes, the file may be the weights half of a graph that lies beside it, something known, or
    indistinguishable from random; see `FileKind`.
    """
    head = content.head(HEAD_BYTES)
    if _parts.part_of(content.file_name) is not None:
        found = _part(content, head)
        if found is not None:
            return found
    early = _early(content.name, head, content.size_bytes)
    if early is not None:
        return early if early.wrapping is None else _unwrapped(content, head, early)
    suffix = _candidates.nomination(content.name, _suffixes())
    claimed = _claimants(content.name, head)
    if _foreign.pointer_size_bytes(head) is None:
        owners = tuple(_owners(content))
        if owners:
            return Identification(
                kind=FileKind.WEIGHTS,
                formats=tuple(dict.fromkeys(format_ for format_, _ in owners)),
                reason=f"weights of {owners[0][1]}",
                nominated=True,
            )
    if claimed:
        return Identification(kind=FileKind.MODEL, formats=claimed, nominated=True)
    model_like = _candidates.is_model_like(content.name)
    what = _foreign.describe(head, content.size_bytes)
    if what == _mediapipe.GRAPH:
        what = _mediapipe.describe(content)
    named = suffix is not None or model_like
    if named and (what is None or _wrappings.needs_more(head)):
        hidden = _hidden(content)
        if hidden is not None:
            return hidden
    if what is not None:
        return _foreign_file(suffix, what)
    generic = suffix is None or suffix in _candidates.GENERIC
    suspect = not generic or (model_like and content.size_bytes >= GENERIC_MINIMUM_BYTES)
    return _measured(content, suffix, suspect=suspect)


def identify_head(name: str, head: bytes, size_bytes: int) -> Identification | None:
    """What the head alone tells, for files whose other bytes are dear (compressed members).

    Args:
        name: file name or member path.
        head: the first `HEAD_BYTES` bytes, or all of a shorter file.
        size_bytes: of the whole file.

    Returns:
        The same as `identify` would, or None where that needs the whole file or its neighbours.
    """
    part = _parts.part_of(posixpath.basename(name))
    if part is not None and (
        _claimants(name, head)
        or _candidates.nomination(part.stem, _suffixes()) is not None
        or _candidates.is_model_like(part.stem)
    ):
        return None
    return _early(name, head, size_bytes)


def _early(name: str, head: bytes, size_bytes: int) -> Identification | None:
    certain = _foreign.certain(head)
    if certain is not None and not name.lower().endswith(_weights_suffixes()):
        return _foreign_file(_candidates.nomination(name, _suffixes()), certain)
    claimed = _claimants(name, head)
    if claimed and not any(_may_be_half(name, format_) for format_ in claimed):
        return Identification(kind=FileKind.MODEL, formats=claimed, nominated=True)
    wrapped = None if claimed else _proven(name, head)
    if wrapped is not None:
        return Identification(
            kind=FileKind.MODEL, formats=wrapped.formats, nominated=True, wrapping=wrapped.name
        )
    if claimed or _may_be_weights(name):
        return None
    suffix = _candidates.nomination(name, _suffixes())
    model_like = _candidates.is_model_like(name)
    what = _foreign.describe(head, size_bytes)
    if _wrappings.needs_more(head) and (suffix is not None or model_like):
        return None
    if what == _mediapipe.GRAPH and suffix is not None:
        return None
    if what is None and suffix is not None:
        return None
    if what is None and model_like and (is_random(memoryview(head)) or _may_hide(name, head)):
        return None
    return _foreign_file(suffix, what or "nothing that a reader recognises")


def _part(content: Content, head: bytes) -> Identification | None:
    """The first of several parts as the model that all are together, and each other one as its part.

    None for a first part that is a whole model by itself, or where nobody can read the whole.
    """
    first = _parts.first_of(content)
    if first is not None:
        found = _part(first, first.head(HEAD_BYTES))
        if found is None or found.inner is None or _claimants(content.name, head):
            return None
        return Identification(
            kind=FileKind.WEIGHTS,
            formats=found.formats,
            reason=f"part of {first.file_name}",
            nominated=True,
        )
    formats = _claimants(content.name, head)
    whole = _parts.joined(content) if formats else None
    if whole is None:
        return None
    for name in formats:
        try:
            readers()[name].read(content)
        except FormatError:
            continue
        return None
    for name in formats:
        try:
            readers()[name].read(whole[0])
        except FormatError:
            continue
        return Identification(
            kind=FileKind.MODEL,
            formats=(name,),
            nominated=True,
            wrapping=f"parts-{whole[1]}",
            inner=whole[0],
        )
    return None


def _claimants(name: str, head: bytes) -> tuple[str, ...]:
    """The readers that claim the bytes."""
    return tuple(n for n, reader in readers().items() if reader.sniff(name, head))


def _may_be_half(name: str, format_: str) -> bool:
    """Whether a file that is a model by itself may belong to a graph beside it.

    That takes a name that tells the graph's, or one by which its own format goes and some format's
    weights do.
    """
    reader = readers()[format_]
    if reader.graph_names(posixpath.basename(name)):
        return True
    halves = set(reader.suffixes).intersection(_weights_suffixes())
    return name.lower().endswith(tuple(halves))


def _may_be_weights(name: str) -> bool:
    """Whether the name is one that weights beside a graph carry."""
    if name.lower().endswith(_weights_suffixes()):
        return True
    base = posixpath.basename(name)
    return any(reader.graph_names(base) for reader in _naming_graphs())


@cache
def _naming_graphs() -> tuple[FormatReader, ...]:
    """The readers that know a graph by its weights' name."""
    default = FormatReader.graph_names
    return tuple(r for r in readers().values() if type(r).graph_names is not default)


def is_nominated(name: str) -> bool:
    """Whether the name alone makes a file a candidate, by a suffix that speaks of networks."""
    suffix = _candidates.nomination(name, _suffixes())
    return suffix is not None and suffix not in _candidates.GENERIC


def unwrap(content: Content) -> tuple[Content, str] | None:
    """The model inside a wrapping, and the wrapping's name; None for all other files.

    Raises:
        FormatError: a wrapped model that is broken, cut off or larger than allowed.
    """
    found = identify(content)
    if found.wrapping is None:
        return None
    if found.inner is None:
        raise FormatError(found.reason or content.name)
    return found.inner, found.wrapping


def read_model(content: Content) -> Model:
    """Reads a file with the readers that claim it; the first that succeeds decides.

    Wrappings are taken off first.

    Raises:
        FormatError: no reader claims the bytes, or none that does can read them.
    """
    identification = identify(content)
    if identification.kind is not FileKind.MODEL:
        raise FormatError(f"{content.name}: no model; {identification.reason}")
    content = identification.inner or content
    failures: list[FormatError] = []
    for name in identification.formats:
        try:
            return readers()[name].read(content)
        except FormatError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    told = "; ".join(
        f"as {name}: {error}" for name, error in zip(identification.formats, failures, strict=True)
    )
    raise FormatError(f"{content.name}: none of {len(failures)} formats fits: {told}")


@cache
def _magics() -> tuple[Magic, ...]:
    return tuple(magic for reader in readers().values() for magic in reader.magics)


def _proven(name: str, head: bytes) -> _wrappings.Wrapped | None:
    """A wrapped model, as far as the head proves it."""
    named = _candidates.nomination(name, _suffixes()) is not None
    return _wrappings.proven(
        head,
        lambda inner: _claimants(name, inner),
        _magics(),
        named=named or _candidates.is_model_like(name),
    )


def _unwrapped(content: Content, head: bytes, early: Identification) -> Identification:
    """A wrapped model that the head has proven, without its wrapping."""
    wrapped = _proven(content.name, head)
    if wrapped is None:
        return early
    try:
        return replace(early, inner=wrapped.open(content))
    except FormatError as error:
        return replace(early, kind=FileKind.INVALID, reason=str(error))


def _may_hide(name: str, head: bytes) -> bool:
    """Whether only the whole file can tell that there is no wrapped model in it."""
    doubtful = _wrappings.doubtful(head, lambda inner: _claimants(name, inner), _magics())
    return next(doubtful, None) is not None


def _hidden(content: Content) -> Identification | None:
    """A wrapped model that proves to be one by being read."""
    deep = _wrappings.deep_head(content)
    found = _wrappings.doubtful(deep, lambda inner: _claimants(content.name, inner), _magics())
    for wrapped in found:
        for name in wrapped.formats:
            try:
                inner = wrapped.open(content)
                readers()[name].read(inner)
            except FormatError:
                continue
            return Identification(
                kind=FileKind.MODEL,
                formats=(name,),
                nominated=True,
                wrapping=wrapped.name,
                inner=inner,
            )
    return None


def entropy_bits(data: memoryview) -> float:
    """Shannon entropy of the bytes, 0 to 8 bits per byte; 0 for no bytes."""
    return _entropy_bits(_byte_counts(data))


def is_random(data: memoryview) -> bool:
    """Whether bytes cannot be told from random ones: encrypted, or compressed without a signature.

    From 2,048 bytes on by entropy, with a threshold that allows for the bias of small samples (n
    random bytes show 8 - 255 / (2 n ln 2) bits); below that by chi-square against equal counts.

    **Source:** bias: Miller, "Note on the bias of information estimates", 1955.
    """
    return _is_random(_byte_counts(data))


def _is_random(counts: npt.NDArray[np.int64]) -> bool:
    size = int(counts.sum())
    if size < RANDOM_MINIMUM_BYTES:
        return False
    spread = _DEVIATIONS * math.sqrt(2 * _FREEDOM)
    if size < CHI_SQUARE_BELOW_BYTES:
        expected = size / 256
        chi_square = float(((counts - expected) ** 2).sum()) / expected
        return abs(chi_square - _FREEDOM) <= spread  # counting up is too even to be random
    lowest = 8 - (_FREEDOM + spread) / (2 * size * math.log(2))
    return _entropy_bits(counts) >= min(RANDOM_ENTROPY_BITS, lowest)


def _byte_counts(data: memoryview) -> npt.NDArray[np.int64]:
    """How often each of the 256 byte values occurs; in blocks, because counting widens the bytes."""
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, data.nbytes, _BLOCK_BYTES):
        block = np.frombuffer(data[start : start + _BLOCK_BYTES], dtype=np.uint8)
        counts += np.bincount(block, minlength=256)
    return counts


def _entropy_bits(counts: npt.NDArray[np.int64]) -> float:
    size = int(counts.sum())
    if not size:
        return 0.0
    shares = counts[counts > 0] / size
    return abs(math.fsum(float(p) * math.log2(float(p)) for p in shares))


def _measured(content: Content, suffix: str | None, *, suspect: bool) -> Identification:
    """Reads all of a nominated file that nothing explains."""
    counts = _byte_counts(content.data)
    entropy = _entropy_bits(counts)
    random = _is_random(counts) or is_random(content.data[:_BLOCK_BYTES])
    kind = FileKind.ENCRYPTED if random and suspect else FileKind.UNKNOWN
    if np.count_nonzero(counts) == 1:
        what = f"{content.size_bytes} times the byte {int(counts.argmax())}"
    elif kind is FileKind.ENCRYPTED:
        what = f"random to look at ({entropy:.2f} bits per byte), as if encrypted"
    elif random:
        what = "random to look at, under a name that may mean anything"
    else:
        what = "nothing that a reader recognises"
    return Identification(
        kind=kind,
        reason=_reason(suffix, what),
        nominated=suffix is not None or kind is FileKind.ENCRYPTED,
        generic=suffix in _candidates.GENERIC,
        entropy_bits=entropy,
    )


@lru_cache(maxsize=1024)
def _foreign_file(suffix: str | None, what: str) -> Identification:
    return Identification(
        kind=FileKind.UNKNOWN,
        reason=_reason(suffix, what),
        nominated=suffix is not None,
        generic=suffix in _candidates.GENERIC,
    )


def _reason(suffix: str | None, what: str) -> str:
    return what if suffix is None else f"named {suffix}, but it is {what}"


def _owners(content: Content) -> Iterator[tuple[str, str]]:
    """(reader, graph file) of each claimed graph beside a file that counts it as its weights."""
    for name, reader in readers().items():
        for beside in _graphs_beside(content, reader):
            try:
                graph = _graph(name, beside)
                companions = () if graph is None else reader.companions(graph)
            except FormatError:
                continue
            if any(c.file_name == content.file_name for c in companions):
                yield name, beside.file_name


def _graphs_beside(content: Content, reader: FormatReader) -> Iterator[Content]:
    """Files whose names say that this one may be their weights."""
    found = [
        content.sibling(suffix, replacing=weights_suffix)
        for weights_suffix in reader.weights_suffixes
        for suffix in reader.suffixes
    ]
    found += [content.beside(name) for name in reader.graph_names(content.file_name)]
    yield from (each for each in found if each is not None)


def _graph(reader: str, content: Content) -> Content | None:
    """A file as a graph of that reader's, without its wrapping; None where it is none."""
    head = content.head(HEAD_BYTES)
    if readers()[reader].sniff(content.name, head):
        return content
    wrapped = _proven(content.name, head)
    return wrapped.open(content) if wrapped is not None and reader in wrapped.formats else None

"""Reference models: built, read by the same readers as everything else, and put into a study."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gaugenn.content import open_file
from gaugenn.errors import UsageError
from gaugenn.pipeline import Watcher
from gaugenn.pipeline.inspect import inspect_file
from gaugenn.pipeline.scan import lone_candidate
from gaugenn.records import BuildStatus, BuiltFile, FileKind, ZooBuild, digest
from gaugenn.store import Study
from gaugenn.zoo import _build, _catalogue, _environment
from gaugenn.zoo._build import FileFacts
from gaugenn.zoo._order import WEIGHTS_SUFFIXES, Variant

FILE_VARIANT = "file"
"""The variant of a file that a user added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build and where its files are."""

    record: ZooBuild
    folder: Path

    @property
    def accepted(self) -> bool:
        """Whether there are files that may be run."""
        return self.record.status is BuildStatus.ACCEPTED

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, the graph first; none where the build failed."""
        return _build.paths(self.record, self.folder)


def build_models(
    names: Sequence[str],
    watcher: Watcher,
    *,
    formats: Sequence[str] = (),
    variants: Sequence[str] = (),
    seed: int = 0,
    weights: Path | None = None,
    again: bool = False,
) -> tuple[Built, ...]:
    """Builds models in formats and variants; what is built already is taken as it is.

    Args:
        names: models or sets; none for all.
        watcher: is told of every build.
        formats: all by default.
        variants: `fp32`, `fp16`, `int8`; all by default.
        seed: of weights, inputs and calibration samples.
        weights: a state dict, .safetensors or .npz, for a single model.
        again: whether to try again what was not accepted.

    Raises:
        UsageError: an unknown name, or weights for several models.
        MissingToolError: the exporters' environment is not installed.
        StorageFullError: no room.
    """
    chosen = _catalogue.select(names)
    known = tuple(_build.exporters())
    for name in formats:
        if name not in known:
            raise UsageError(f"there is no exporter for {name!r}; there are: {', '.join(known)}")
    if weights is not None and len(chosen) != 1:
        raise UsageError("--weights fits one model: name it")
    if weights is not None and weights.suffix not in WEIGHTS_SUFFIXES:
        raise UsageError(f"{weights}: weights are read from {' and '.join(WEIGHTS_SUFFIXES)} only")
    wanted = _build.wanted_builds(
        chosen,
        formats or known,
        [Variant(v) for v in variants] or list(Variant),
        seed=seed,
        weights=weights,
    )
    installation = _environment.require()
    built = []
    watcher.begin("zoo", len(wanted))
    for one in wanted:
        record, folder = _build.build(one, installation, file_facts, again=again)
        built.append(Built(record=record, folder=folder))
        label = f"{one.model.name}  {one.format}  {one.variant}"
        remark = record.status if record.reason is None else f"{record.status}: {record.reason}"
        watcher.step("zoo", label, remark)
    watcher.end("zoo")
    return tuple(built)


def built_models(names: Sequence[str] = ()) -> tuple[Built, ...]:
    """What is built of the named models or sets (none: of all), and files that users added."""
    added = {b.record.model for b in _all_built() if b.record.variant == FILE_VARIANT}
    wanted = {n for n in names if n in added}
    listed = [n for n in names if n not in added]
    if listed or not names:
        wanted |= {model.name for model in _catalogue.select(listed)}
    if not names or "all" in names:
        wanted |= added
    return tuple(b for b in _all_built() if b.record.model in wanted)


def models_for_study(names: Sequence[str], watcher: Watcher, *, build: bool) -> tuple[Built, ...]:
    """Every build of models or sets, accepted or not, of which at least one can be run.

    Args:
        names: models, sets or added files.
        watcher: is told of every build.
        build: whether to build first what is not there; it is taken as it is otherwise.

    Raises:
        UsageError: no such model, or nothing that was asked for is built.
        MissingToolError: something is to be built, and the exporters are not installed.
    """
    there = built_models(names)
    if build:
        files = {b.record.model for b in there if b.record.variant == FILE_VARIANT}
        listed = [name for name in names if name not in files]
        made = build_models(listed, watcher) if listed else ()
        there = (*(b for b in there if b.record.variant == FILE_VARIANT), *made)
    if not any(b.accepted for b in there):
        wanted = " ".join(names)
        raise UsageError(f"nothing of {wanted} is built; build it with: gaugenn zoo build {wanted}")
    return there


def add_file(path: Path, name: str) -> Built:
    """Takes a user's model file into the zoo, under a name of its own.

    Raises:
        UsageError: the file is no model, or the name is taken.
        OSError: the file cannot be read.
    """
    if not name.replace("_", "").replace("-", "").isalnum():
        raise UsageError(f"{name!r}: a name has letters, digits, - and _")
    if name in _catalogue.models() or name in ("all", *_catalogue.SETS):
        raise UsageError(f"{name!r} is a reference model or set; choose another name: --name")
    found = inspect_file(path)
    if found.kind is not FileKind.MODEL or found.record is None or found.format is None:
        raise UsageError(f"{path} is no model: {found.error or found.kind}")
    candidate = lone_candidate(open_file(path))
    if candidate is None or candidate.shipped is not None:
        raise UsageError(f"{path} is a model in a wrapping; unwrap it first")
    parts = [(posixpath.relpath(c.name, path.parent.as_posix()), c) for c in candidate.contents]
    identity = digest([name, *((relative, part.sha256()) for relative, part in parts)])
    folder = _environment.folder() / "builds" / identity[:24]
    files = []
    for relative, part in parts:
        copy = folder / "files" / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(part.data)
        files.append(BuiltFile(name=relative, sha256=part.sha256(), size_bytes=part.size_bytes))
    record = ZooBuild(
        build_sha256=identity,
        model=name,
        format=found.format,
        variant=FILE_VARIANT,
        status=BuildStatus.ACCEPTED,
        reason=None,
        definition_sha256=identity,
        weights_sha256=None,
        seed=0,
        exporter="",
        packages=(),
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_s=0.0,
        peak_memory_bytes=None,
        files=tuple(files),
        file_parameters=found.record.parameters,
        file_macs=found.record.macs,
    )
    _build.write_record(record, folder)
    return Built(record=record, folder=folder)


def remember(study: Study, built: Iterable[Built]) -> None:
    """Stores the builds as rows of the study, each once."""
    known = {row.build_sha256 for row in study.rows(ZooBuild)}
    study.write([b.record for b in built if b.record.build_sha256 not in known])


def file_facts(path: Path) -> FileFacts:
    """What gaugenn's own readers and cost analysis say of an exported file.

    An error does not tell in which folder of this machine the file lies: builds are published.
    """
    found = inspect_file(path)
    record = found.record
    error = found.error if record is None else None
    return FileFacts(
        format=found.format,
        inputs=() if record is None else record.inputs,
        parameters=None if record is None else record.parameters,
        macs=None if record is None else record.macs,
        error=None if error is None else error.replace(f"{path.parent}/", ""),
    )


def _all_built() -> tuple[Built, ...]:
    return tuple(Built(record=r, folder=f) for r, f in _build.records())

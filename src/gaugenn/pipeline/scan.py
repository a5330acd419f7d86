"""A package (or a lone model file) becomes rows and blobs. One call a file, in a worker process."""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

from gaugenn.apps.archive import appended_zip, is_zip
from gaugenn.apps.files import FileOnDisk, Files
from gaugenn.apps.scan import describe, describe_files
from gaugenn.apps.walk import Member, Package
from gaugenn.content import Content, open_file, path_text
from gaugenn.errors import (
    FormatError,
    LimitError,
    PackageError,
    UsageError,
)
from gaugenn.execute import Executor
from gaugenn.formats import (
    HEAD_BYTES,
    Identification,
    identify,
    identify_head,
    is_nominated,
    readers,
)
from gaugenn.pipeline import Watcher
from gaugenn.pipeline._spread import Work, spread, take_in
from gaugenn.pipeline.discover import FoundApp, FoundFile, discover
from gaugenn.pipeline.splits import join_splits
from gaugenn.records import (
    App,
    AppFile,
    Failure,
    FileKind,
    ModelFile,
    PackageKind,
    model_digest,
)
from gaugenn.store import Blobs, Record, SharedBlobs, SharedStore, Study

PACKAGE_SUFFIXES = (".apk", ".xapk", ".apks", ".apkm", ".aab", ".obb", ".ipa")
"""Names that make a file worth a row even if it is no package. Other zips are found by content."""

_PLAIN_SUFFIX = re.compile(r"(\.[A-Za-z0-9_-]{1,16}){1,3}")

ROWS_LIMIT = 10_000
"""Models, weights and broken models kept of one package."""

UNKNOWN_LIMIT = 1_000
"""Files kept of one package that are only named like a model, or look encrypted. A package with more of
either gets the note `limit-candidates`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file that is, or by its name could be, a model.

    Attributes:
        path: path inside the package, or the file's own name.
        size_bytes: inflated size.
        kind: as far as the bytes tell before the graph is read.
        format: the reader that claims it, or whose weights it holds.
        content: the bytes to read: of the file, or of the model in its wrapping; None where they
            could not be had.
        companions: the other files of the model.
        entropy_bits: where it was measured.
        error: why it is not a model.
        wrapping: what was around the model, see `AppFile`.
        shipped: the file as it was found, where that is not `content`.
    """

    path: str
    size_bytes: int
    kind: FileKind
    format: str | None = None
    content: Content | None = None
    companions: tuple[Content, ...] = ()
    entropy_bits: float | None = None
    error: str | None = None
    wrapping: str | None = None
    shipped: Content | None = None

    @property
    def contents(self) -> tuple[Content, ...]:
        """The graph file and its companions."""
        return () if self.content is None else (self.content, *self.companions)

    def files(self) -> tuple[ModelFile, ...]:
        """The files of this model, the graph first. Reads and hashes all of them."""
        if self.kind is not FileKind.MODEL or self.content is None or self.format is None:
            return ()
        parts = self.contents
        names = _canonical_names(self)
        digests = [part.sha256() for part in parts]
        identity = model_digest(tuple(zip(names, digests, strict=True)))
        return tuple(
            ModelFile(
                model_sha256=identity,
                position=position,
                name=name,
                sha256=sha256,
                size_bytes=part.size_bytes,
                format=self.format,
            )
            for position, (name, sha256, part) in enumerate(zip(names, digests, parts, strict=True))
        )


def _canonical_names(candidate: Candidate) -> list[str]:
    """Names that do not depend on what the app calls its model: `model.param`, `model.bin`.

    Weights that are found by the graph's stem keep their suffix; files that the graph refers to by
    name (ONNX external data) keep that name, relative to the graph's folder.
    """
    graph, *others = candidate.contents
    folder = posixpath.dirname(graph.name) or "."
    relative = [posixpath.relpath(other.name, folder) for other in others]
    paired = readers()[candidate.format].weights_suffixes if candidate.format else ()
    by_stem = [name.lower().endswith(paired) if paired else False for name in relative]
    stem = graph.file_name.rpartition(".")[0] or graph.file_name
    for name in compress(relative, by_stem):
        common = posixpath.commonprefix([graph.file_name, name])
        stem = min(stem, common.rpartition(".")[0] or stem, key=len)
    kept = (
        _renamed(name, stem) if renamed else name
        for name, renamed in zip(relative, by_stem, strict=True)
    )
    reader = readers().get(candidate.format or "")
    by_name = reader is not None and any(
        graph.file_name in reader.graph_names(posixpath.basename(name)) for name in relative
    )
    return [graph.file_name if by_name else _renamed(graph.file_name, stem), *kept]


def _renamed(name: str, stem: str) -> str:
    suffix = name.removeprefix(stem)
    return "model" + (suffix if _PLAIN_SUFFIX.fullmatch(suffix) else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanTask:
    """A file, or files that are one app, to scan, and where the models in it are put."""

    found: FoundFile | FoundApp
    blobs: Blobs | SharedBlobs

    @property
    def subject(self) -> str:
        """What a failure is about."""
        return path_text(self.found.path)

    @property
    def identity(self) -> str:
        """Path, size and time of change: what makes it the same file."""
        return f"{self.subject} {self.found.size_bytes} {self.found.modified_ns}"


def candidates(package: Package) -> Iterator[Candidate]:
    """Every file of a package that deserves a row, in the package's order."""
    for member in package.walk(_not_a_format):
        found = _candidate(member)
        if found is not None:
            yield found


def lone_candidate(content: Content) -> Candidate | None:
    """A file outside any package, or None where neither bytes nor name speak of a model."""
    found = identify(content)
    return _from_identification(content, found) if _worth_a_row(found) else None


def is_package(content: Content) -> bool:
    """Whether to open a file as a package: by its name, or a zip that no model format claims.

    The zip may be appended to another file, which no model format claims either.
    """
    if content.has_suffix(*PACKAGE_SUFFIXES):
        return True
    head = content.head(HEAD_BYTES)
    early = identify_head(content.name, head, content.size_bytes)
    if early is not None and early.formats:
        return False
    return is_zip(head) or appended_zip(content.data) is not None


def scan(
    paths: Iterable[Path | str],
    study: Study,
    executor: Executor,
    watcher: Watcher,
    shared: SharedStore | None = None,
) -> None:
    """Scans every package and lone model under the paths that the study does not hold yet.

    Args:
        paths: files, folders or patterns.
        study: takes the rows.
        executor: where the work runs.
        watcher: is told how it goes.
        shared: where workers on other machines put what they found; without it, they hand it over.

    Raises:
        UsageError: a path does not exist, or the paths hold no file at all.
        StorageFullError: the study's disk is full; what was written stays.
    """
    files: list[FoundFile | FoundApp] = []
    failures: list[Failure] = []
    for item in discover(paths):
        if isinstance(item, Failure):
            failures.append(item)
        elif item.named or not _is_within(item.path, study.path):
            files.append(item)  # what the study holds was found somewhere else before
    if not files and not failures:
        raise UsageError("the given paths hold no file")
    if shared is not None:
        take_in(study, shared)
    known_apps, known_failures = _known(study)
    study.write(f for f in failures if (f.stage, f.subject) not in known_failures)

    def is_known(found: FoundFile | FoundApp) -> bool:
        return (path_text(found.path), found.size_bytes, found.modified_ns) in known_apps

    blobs = study.blobs if shared is None else shared.blobs
    todo = [
        ScanTask(found=found, blobs=blobs)
        for found in join_splits(files, executor, is_known)
        if not is_known(found)
    ]
    known = {subject for stage, subject in known_failures if stage == "scan"}
    work = Work(stage="scan", function=scan_file, remark=_remark)
    spread(work, todo, study, executor, watcher, known=known, shared=shared)


def _is_within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _known(study: Study) -> tuple[set[tuple[str, int, int]], set[tuple[str, str]]]:
    with study.connect() as connection:
        apps = connection.execute("SELECT path, size_bytes, modified_ns FROM apps").fetchall()
        failures = connection.execute("SELECT stage, subject FROM all_failures").fetchall()
    return set(apps), set(failures)


def _scan_app(found: FoundApp, rows: "_CandidateRows") -> tuple[Record, ...]:
    files = Files(
        {name: FileOnDisk(path=file.path, size_bytes=file.size_bytes) for name, file in found.files}
    )
    described = describe_files(
        str(found.path),
        files,
        PackageKind.UNPACKED if found.unpacked else PackageKind.SPLIT_SET,
        modified_ns=found.modified_ns,
        each=rows.look,
        descend=_not_a_format,
    )
    app = described.app
    if rows.cut:
        app = replace(app, notes=(*app.notes, "limit-candidates"))
    return (*rows.finished(app.app_sha256), *described.evidence, app)


def scan_file(task: ScanTask) -> tuple[Record, ...]:
    """A file's rows; its models are put among the blobs."""
    found = task.found
    if isinstance(found, FoundApp):
        return _scan_app(found, _CandidateRows(task.blobs))
    content = open_file(found.path)
    rows = _CandidateRows(task.blobs)
    if is_package(content):
        described = describe(
            content, modified_ns=found.modified_ns, each=rows.look, descend=_not_a_format
        )
        app, evidence = described.app, described.evidence
        if rows.cut:
            app = replace(app, notes=(*app.notes, "limit-candidates"))
    else:
        lone = lone_candidate(content)
        if lone is not None:
            rows.add(replace(lone, path=content.file_name))
        elif not found.named:
            return ()
        evidence = ()
        app = App(
            path=content.name,
            app_sha256=content.sha256(),
            size_bytes=content.size_bytes,
            modified_ns=found.modified_ns,
            kind=PackageKind.NONE if lone is None else PackageKind.FILE,
            error="neither a package nor a model" if lone is None else None,
        )
    return (*rows.finished(app.app_sha256), *evidence, app)


class _CandidateRows:
    """Rows and blobs of one file's candidates. Holds one candidate's bytes at a time."""

    def __init__(self, blobs: Blobs | SharedBlobs) -> None:
        self.cut = False
        self._blobs = blobs
        self._files: list[AppFile] = []
        self._kept = [0, 0]  # certain, doubtful
        self._models: dict[str, tuple[ModelFile, ...]] = {}
        self._owners: dict[str, str] = {}
        self._parts: dict[str, str] = {}
        """Files that belong to a model, by path, with the path of its graph."""

    def look(self, member: Member) -> None:
        """Takes a member in when it is a candidate."""
        candidate = _candidate(member)
        if candidate is not None:
            self.add(candidate, member.packed_bytes)

    def add(self, candidate: Candidate, packed_bytes: int | None = None) -> None:
        """Stores a candidate's bytes and remembers its row."""
        doubtful = candidate.kind in (FileKind.UNKNOWN, FileKind.ENCRYPTED)
        if self._kept[doubtful] >= (UNKNOWN_LIMIT if doubtful else ROWS_LIMIT):
            self.cut = True
            return
        self._kept[doubtful] += 1
        parts = candidate.files()
        for part, file in zip(parts, candidate.contents, strict=False):
            self._blobs.put(file.data, part.sha256)
            if file is not candidate.content:  # a model's own row is known by its path
                self._owners[file.name] = part.model_sha256
                self._parts[file.name] = candidate.path
        if parts:
            self._models[parts[0].model_sha256] = parts
        self._files.append(
            AppFile(
                app_sha256="",
                member=candidate.path,
                size_bytes=candidate.size_bytes,
                sha256=_shipped_sha256(candidate, parts),
                kind=candidate.kind,
                format=candidate.format,
                entropy_bits=candidate.entropy_bits,
                error=candidate.error,
                wrapping=candidate.wrapping,
                packed_bytes=packed_bytes,
            )
        )
        if parts:
            self._owners.setdefault(candidate.path, parts[0].model_sha256)

    def finished(self, app_sha256: str) -> list[Record]:
        """All rows; a weights file now knows the model it belongs to.

        That is only known at the end where the graph lies in another folder: a checkpoint of variables
        reads as a model by itself before its SavedModel is seen.
        """
        rows: list[AppFile] = []
        kept: set[str] = set()
        for row in self._files:
            owner = self._owners.get(row.member)
            graph = self._parts.get(row.member)
            if graph is not None and row.kind is FileKind.MODEL:
                graph = posixpath.basename(graph)
                row = replace(row, kind=FileKind.WEIGHTS, error=f"weights of {graph}")
            if owner is not None:
                kept.add(owner)
            rows.append(replace(row, app_sha256=app_sha256, model_sha256=owner))
        models = (parts for identity, parts in self._models.items() if identity in kept)
        return [*rows, *(part for parts in models for part in parts)]


def _shipped_sha256(candidate: Candidate, parts: tuple[ModelFile, ...]) -> str | None:
    """Digest of the file as it was found, computed once."""
    if candidate.shipped is not None:
        return candidate.shipped.sha256()
    if parts:
        return parts[0].sha256
    return None if candidate.content is None else candidate.content.sha256()


def _candidate(member: Member) -> Candidate | None:
    found = _without_its_package(member)
    if found is None or not member.appended:
        return found
    around = "+".join(part for part in ("appended-zip", found.wrapping) if part is not None)
    return replace(found, wrapping=around)


def _without_its_package(member: Member) -> Candidate | None:
    if member.error is not None:
        nominated = is_nominated(member.path)
        if not nominated and not isinstance(member.error, LimitError):
            return None
        return Candidate(
            path=member.path,
            size_bytes=member.size_bytes,
            kind=FileKind.UNKNOWN,
            error=str(member.error),
        )
    early = identify_head(member.path, member.head(), member.size_bytes)
    if early is not None and not _worth_a_row(early):
        return None
    try:
        content = member.content()
    except (PackageError, LimitError) as error:
        return Candidate(
            path=member.path,
            size_bytes=member.size_bytes,
            kind=FileKind.INVALID if early is not None and early.formats else FileKind.UNKNOWN,
            format=early.formats[0] if early is not None and early.formats else None,
            error=str(error),
        )
    found = identify(content)
    return _from_identification(content, found) if _worth_a_row(found) else None


def _from_identification(content: Content, found: Identification) -> Candidate:
    claimed = found.formats[0] if found.formats else None
    is_model = found.kind is FileKind.MODEL and claimed is not None
    inner = found.inner or content
    return Candidate(
        path=content.name,
        size_bytes=content.size_bytes,
        kind=found.kind,
        format=claimed,
        content=inner,
        companions=_companions(claimed, inner) if is_model and claimed else (),
        entropy_bits=found.entropy_bits,
        error=found.reason,
        wrapping=found.wrapping,
        shipped=content if inner is not content else None,
    )


def _companions(claimed: str, content: Content) -> tuple[Content, ...]:
    try:
        return readers()[claimed].companions(content)
    except FormatError:
        return ()  # reading the graph will say what is wrong with it


def _worth_a_row(found: Identification) -> bool:
    return found.kind is not FileKind.UNKNOWN or (found.nominated and not found.generic)


def _not_a_format(member: Member) -> bool:
    """Containers that are one model (PyTorch's zip, a model under gzip) are not walked."""
    early = identify_head(member.path, member.head(), member.size_bytes)
    return early is None or not early.formats


def _remark(_task: ScanTask, rows: tuple[Record, ...]) -> str:
    count = len({row.model_sha256 for row in rows if isinstance(row, ModelFile)})
    errors = [row.error for row in rows if isinstance(row, App) and row.error]
    return errors[0] if errors else f"{count} models" if count != 1 else "1 model"

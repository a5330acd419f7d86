"""Reference models become files: one process an export, one a comparison, every outcome a record.

A build lies in `builds/<digest>/` of the zoo's cache folder: the files, and `record.json` with a
`ZooBuild`. The digest covers all that decides on the result, so what is there need not be made again;
a build of the same model, format and variant under another digest is removed.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gaugenn import plugins
from gaugenn.engines._environments import Installation
from gaugenn.errors import FormatError, StorageFullError, TransientError, is_storage_full
from gaugenn.records import (
    Agreement,
    BuildStatus,
    BuiltFile,
    InputShape,
    TensorInfo,
    ZooBuild,
    digest,
    from_plain,
)
from gaugenn.zoo import _environment, _worker
from gaugenn.zoo._agreement import Closeness, refusal
from gaugenn.zoo._catalogue import ReferenceModel
from gaugenn.zoo._order import Order, Variant
from gaugenn.zoo.exporters import Exporter
from gaugenn.zoo.runtimes import Runtime

RECORD = "record.json"
EXPORT_LIMIT_S = 1800.0
COMPARE_LIMIT_S = 300.0
_POLL_S = 0.05
_LOG_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What gaugenn's own reader finds in an exported file."""

    format: str | None
    inputs: tuple[TensorInfo, ...]
    parameters: int | None
    macs: int | None
    error: str | None


Examine = Callable[[Path], FileFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A build that is asked for."""

    model: ReferenceModel
    format: str
    variant: Variant
    seed: int = 0
    weights: Path | None = None


def exporters() -> dict[str, Exporter]:
    """Every exporter by the format that it writes."""
    known = plugins.load_all("gaugenn.zoo.exporters", Exporter)  # type: ignore[type-abstract]
    return {name: kind() for name, kind in known.items()}


def runtimes() -> dict[str, Runtime]:
    """Every library that exports are compared with, by name."""
    known = plugins.load_all("gaugenn.zoo.runtimes", Runtime)  # type: ignore[type-abstract]
    return {name: kind() for name, kind in known.items()}


def records() -> Iterator[tuple[ZooBuild, Path]]:
    """Every build in the cache, with its folder. What cannot be read is left out."""
    for path in sorted(_builds().glob(f"[!.]*/{RECORD}")):
        try:
            value = json.loads(path.read_text())
            yield from_plain(ZooBuild, value, str(path)), path.parent
        except (OSError, ValueError, FormatError, TypeError):
            continue


def build(
    wanted: Wanted, installation: Installation, examine: Examine, *, again: bool = False
) -> tuple[ZooBuild, Path]:
    """Makes one build, and first what it starts from; a build that is there is taken as it is.

    Args:
        wanted: what to build.
        installation: the exporters' environment.
        examine: reads an exported file.
        again: whether to build anew what is there and was not accepted.

    Returns:
        The record, and the folder with `record.json` and the files.

    Raises:
        StorageFullError: no room.
        TransientError: the cache cannot be written.
    """
    known = exporters()
    exporter = known[wanted.format]
    source: tuple[ZooBuild, Path] | None = None
    if exporter.source is not None and wanted.variant not in exporter.refusals:
        first = replace(wanted, format=exporter.source, variant=Variant.FLOAT32)
        source = build(first, installation, examine, again=again)
    started = _blank(wanted, exporter, installation, source)
    folder = _builds() / started.build_sha256[:24]
    there = _read(folder)
    if there is not None and (there.status is BuildStatus.ACCEPTED or not again):
        return there, folder
    try:
        _builds().mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".building-", dir=_builds()))
        try:
            made = _made(wanted, exporter, installation, source, started, scratch, examine)
            write_record(made, scratch)
            _supersede(made)
            shutil.rmtree(folder, ignore_errors=True)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        if is_storage_full(error):
            raise StorageFullError(f"{_builds()}: {error}; free some room and try again") from error
        raise TransientError(f"{_builds()}: {error}; see GAUGENN_CACHE") from error
    return made, folder


def paths(record: ZooBuild, folder: Path) -> tuple[Path, ...]:
    """The files of a build, the graph first."""
    return tuple(folder / "files" / file.name for file in record.files)


def write_record(record: ZooBuild, folder: Path) -> None:
    """Writes a build's provenance beside its files."""
    (folder / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n")


def _builds() -> Path:
    return _environment.folder() / "builds"


def _read(folder: Path) -> ZooBuild | None:
    return next((record for record, path in records() if path == folder), None)


def _supersede(made: ZooBuild) -> None:
    for old, folder in records():
        same = (old.model, old.format, old.variant) == (made.model, made.format, made.variant)
        if same and old.weights_sha256 == made.weights_sha256:
            shutil.rmtree(folder, ignore_errors=True)


def _blank(
    wanted: Wanted,
    exporter: Exporter,
    installation: Installation,
    source: tuple[ZooBuild, Path] | None,
) -> ZooBuild:
    """The record with everything that is known before the build, and its digest."""
    packages = _environment.versions(installation, exporter.packages)
    weights = None if wanted.weights is None else _file_sha256(wanted.weights)
    definition = wanted.model.definition_sha256
    program = Path(__file__).with_name("exporters") / f"{exporter.name}.py"
    identity = {
        "definition": definition,
        "exporter": hashlib.sha256(program.read_bytes()).hexdigest(),
        "packages": packages,
        "seed": wanted.seed,
        "variant": wanted.variant,
        "weights": weights,
        "source": None if source is None else source[0].build_sha256,
    }
    return ZooBuild(
        build_sha256=digest(identity),
        model=wanted.model.name,
        format=wanted.format,
        variant=wanted.variant,
        status=BuildStatus.REFUSED,
        reason=None,
        definition_sha256=definition,
        weights_sha256=weights,
        seed=wanted.seed,
        exporter=exporter.title,
        packages=packages,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        wall_s=0.0,
        peak_memory_bytes=None,
        inputs=tuple(InputShape(name=i.name, shape=i.shape) for i in wanted.model.inputs),
    )


def _made(
    wanted: Wanted,
    exporter: Exporter,
    installation: Installation,
    source: tuple[ZooBuild, Path] | None,
    started: ZooBuild,
    scratch: Path,
    examine: Examine,
) -> ZooBuild:
    refused = exporter.refusals.get(wanted.variant)
    if refused is not None:
        return replace(started, reason=refused)
    if source is not None and not source[0].files:
        return replace(started, reason=f"it starts from {exporter.source}, which is not there")
    order = Order(
        action="export",
        model=wanted.model.name,
        definition=wanted.model.definition,
        inputs=wanted.model.inputs,
        format=wanted.format,
        variant=wanted.variant,
        seed=wanted.seed,
        weights="" if wanted.weights is None else str(wanted.weights.absolute()),
        sources=() if source is None else tuple(map(str, paths(*source))),
        files=(),
        runtime="",
        reference=str(_reference(started)),
        folder=str(scratch),
    )
    ended = _run(installation, order, EXPORT_LIMIT_S)
    exported = replace(started, wall_s=ended.wall_s, peak_memory_bytes=ended.peak_memory_bytes)
    if ended.failure is not None:
        return replace(exported, status=ended.failure, reason=ended.reason)
    names = ended.answer["files"]
    listed = names if isinstance(names, list) else []
    files = tuple(_built_file(scratch / "files", str(name)) for name in listed)
    counted = ended.answer["parameters"]
    facts = examine(scratch / "files" / files[0].name)
    parameters = counted if isinstance(counted, int) else None
    if parameters is None and source is not None:
        parameters = source[0].parameters
    exported = replace(
        exported,
        files=files,
        parameters=parameters,
        file_parameters=facts.parameters,
        file_macs=facts.macs,
    )
    wrong = _wrong_inputs(wanted.model, wanted.format, facts)
    if wrong is not None:
        return replace(exported, status=BuildStatus.REJECTED, reason=wrong)
    return _compared(exported, wanted, installation, order)


def _reference(record: ZooBuild) -> Path:
    """Where the seeded sample and the definition's answer lie; the same for all formats."""
    weights = (record.weights_sha256 or "seeded")[:16]
    folder = _environment.folder() / "references"
    folder.mkdir(exist_ok=True)
    return folder / f"{record.definition_sha256[:24]}-{record.seed}-{weights}.npz"


def _compared(
    exported: ZooBuild, wanted: Wanted, installation: Installation, order: Order
) -> ZooBuild:
    """The record with what every library of the format makes of the files."""
    agreements = []
    for name, runtime in runtimes().items():
        if runtime.format != wanted.format:
            continue
        files = tuple(str(Path(order.folder) / "files" / f.name) for f in exported.files)
        asked = replace(order, action="compare", runtime=name, files=files)
        ended = _run(installation, asked, COMPARE_LIMIT_S)
        answer = ended.answer
        version = _environment.versions(installation, [runtime.distribution])[0]
        found = Closeness(
            cosine=_number(answer.get("cosine")),
            maximum_relative_error=_number(answer.get("maximum_relative_error")),
            problem=ended.reason if ended.failure else _text(answer.get("problem")),
        )
        agreements.append(
            Agreement(
                library=name,
                version=version.partition("==")[2],
                cosine=found.cosine,
                maximum_relative_error=found.maximum_relative_error,
                reason=refusal(found, wanted.variant),
            )
        )
    if any(a.reason is None for a in agreements):
        return replace(exported, status=BuildStatus.ACCEPTED, agreements=tuple(agreements))
    reason = "; ".join(f"{a.library}: {a.reason}" for a in agreements) or "no library reads it"
    return replace(
        exported, status=BuildStatus.REJECTED, reason=reason, agreements=tuple(agreements)
    )


def _wrong_inputs(model: ReferenceModel, model_format: str, facts: FileFacts) -> str | None:
    """Why the file's inputs are not the model's, as far as the format states them."""
    if facts.error is not None:
        return f"gaugenn cannot read the file: {facts.error}"
    if facts.format != model_format:
        return f"the file is {facts.format}, not {model_format}"
    if len(facts.inputs) != len(model.inputs):
        return f"the file has {len(facts.inputs)} inputs, the definition {len(model.inputs)}"
    for stated, wanted in zip(facts.inputs, model.inputs, strict=True):
        sizes = stated.shape
        known = sizes is not None and all(s.isdecimal() for s in sizes)
        if sizes is not None and known and tuple(map(int, sizes)) != wanted.shape:
            shape = ", ".join(sizes)
            return f"input {stated.name!r} is ({shape}), the definition's {wanted.shape}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    answer: dict[str, object]
    failure: BuildStatus | None
    reason: str | None
    wall_s: float
    peak_memory_bytes: int | None


def _run(installation: Installation, order: Order, limit_s: float) -> _Ended:
    """The worker with an order, in a process group of its own that ends with the time limit."""
    folder = Path(order.folder)
    (folder / "files").mkdir(exist_ok=True)
    asked, answer = folder / "order.json", folder / _worker.ANSWER
    log = folder / "log.txt"
    asked.write_text(json.dumps(asdict(order)))
    argv = [str(installation.interpreter), "-I", str(Path(_worker.__file__)), str(asked)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    begin = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder / "files",
            env=environment,
            start_new_session=True,
        )
    code, peak = _wait(process, begin + limit_s)
    wall_s = time.monotonic() - begin
    value: dict[str, object] = {}
    failure, reason = None, None
    try:
        found = json.loads(answer.read_text())
        value = found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        value = {}
    if code is None:
        failure, reason = BuildStatus.TIMEOUT, f"it did not end within {limit_s:.0f} s"
    elif not value:
        text = log.read_text(errors="replace").strip()[-_LOG_CHARACTERS:].replace(str(folder), "")
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        failure, reason = BuildStatus.CRASHED, f"it ended {how}: {' '.join(text.split())}"
    elif "error" in value:
        printed = log.read_text(errors="replace").partition("Traceback (most recent")[0]
        lines = [line.strip() for line in printed.splitlines() if line.strip()]
        said = f" ({lines[-1][:_LOG_CHARACTERS]})" if lines else ""
        failure, reason = BuildStatus.REFUSED, str(value["error"]) + said.replace(str(folder), "")
    for path in (asked, answer, log):
        path.unlink(missing_ok=True)
    return _Ended(
        answer=value, failure=failure, reason=reason, wall_s=wall_s, peak_memory_bytes=peak
    )


def _wait(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[int | None, int | None]:
    """Exit code (None for a process that had to be ended) and peak memory of a process."""
    ended_early = False
    try:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                process.returncode = os.waitstatus_to_exitcode(status)
                peak = usage.ru_maxrss * 1024
                return (None if ended_early else process.returncode), peak
            if time.monotonic() > deadline and not ended_early:
                ended_early = True
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(_POLL_S)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _built_file(folder: Path, name: str) -> BuiltFile:
    path = folder / name
    return BuiltFile(name=name, sha256=_file_sha256(path), size_bytes=path.stat().st_size)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def wanted_builds(
    chosen: Iterable[ReferenceModel],
    formats: Iterable[str],
    variants: Iterable[Variant],
    *,
    seed: int = 0,
    weights: Path | None = None,
) -> tuple[Wanted, ...]:
    """Models x formats x variants, every model's float32 files first: others start from them."""
    listed = tuple(formats)
    return tuple(
        Wanted(model=model, format=name, variant=variant, seed=seed, weights=weights)
        for variant in sorted(variants, key=list(Variant).index)
        for model in chosen
        for name in listed
    )

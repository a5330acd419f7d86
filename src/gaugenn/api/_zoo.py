"""Reference models: listed, built, added, shown."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gaugenn.errors import UsageError
from gaugenn.pipeline import Silent, Watcher
from gaugenn.pipeline.zoo import FILE_VARIANT, Built, add_file, build_models, built_models
from gaugenn.records import BuildStatus, InputShape, ZooBuild, from_plain
from gaugenn.zoo import _catalogue, _environment
from gaugenn.zoo._matrix import markdown

ZOO_SIZE_GB = _environment.SIZE_GB


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooModel:
    """A reference model, or a file that a user added.

    Attributes:
        name: as commands take it.
        set: `paper`, `today` or `file`.
        title: for people.
        inputs: the one size that it has in every format.
        built: accepted builds, as `format variant`.
    """

    name: str
    set: str
    title: str
    inputs: tuple[InputShape, ...]
    built: tuple[str, ...]


def zoo_list() -> tuple[ZooModel, ...]:
    """Every reference model and every added file."""
    there: dict[str, list[ZooBuild]] = {}
    for one in built_models():
        if one.record.status is BuildStatus.ACCEPTED:
            there.setdefault(one.record.model, []).append(one.record)
    known = _catalogue.models()
    listed = [
        ZooModel(
            name=model.name,
            set=model.set,
            title=model.title,
            inputs=tuple(InputShape(name=i.name, shape=i.shape) for i in model.inputs),
            built=tuple(f"{b.format} {b.variant}" for b in there.get(model.name, ())),
        )
        for model in known.values()
    ]
    added = [
        ZooModel(
            name=name,
            set=FILE_VARIANT,
            title="a file of yours",
            inputs=(),
            built=tuple(b.format for b in builds),
        )
        for name, builds in there.items()
        if name not in known
    ]
    return (*listed, *added)


def zoo_install() -> Path:
    """Installs the exporters' environment from PyPI and returns its folder.

    Raises:
        EngineError: it was installed but PyTorch cannot be imported.
        StorageFullError: no room.
        TransientError: the package index cannot be reached.
    """
    return _environment.install().folder


def zoo_build(
    names: Sequence[str] = (),
    *,
    formats: Sequence[str] = (),
    variants: Sequence[str] = (),
    seed: int = 0,
    weights: Path | str | None = None,
    again: bool = False,
    watcher: Watcher | None = None,
) -> tuple[Built, ...]:
    """Builds models; see `gaugenn.pipeline.zoo.build_models` for arguments and errors."""
    return build_models(
        names,
        watcher or Silent(),
        formats=formats,
        variants=variants,
        seed=seed,
        weights=None if weights is None else Path(weights),
        again=again,
    )


def zoo_builds(names: Sequence[str] = ()) -> tuple[Built, ...]:
    """What is built of the named models or sets; of all without a name.

    Raises:
        UsageError: no such model.
    """
    return built_models(names)


def zoo_add(path: Path | str, name: str | None = None) -> Built:
    """Takes a user's model file into the zoo; its name is the file's stem by default.

    Raises:
        UsageError: the file is no model, or the name is taken.
    """
    return add_file(Path(path), name or Path(path).name.partition(".")[0])


def zoo_matrix(records: Path | None = None, *, as_json: bool = False) -> str:
    """The completeness matrix as Markdown, or the builds that it is made from as JSON lines.

    Args:
        records: a file of JSON lines to read instead of the cache.
        as_json: give the builds.

    Raises:
        FormatError: a line is no build.
        UsageError: a line is no JSON object.
    """
    if records is None:
        builds = [b.record for b in built_models() if b.record.weights_sha256 is None]
    else:
        builds = [_build(line, records) for line in records.read_text().splitlines() if line]
    builds = [b for b in builds if b.variant != FILE_VARIANT]
    if as_json:
        return "".join(json.dumps(asdict(b), sort_keys=True) + "\n" for b in builds)
    return markdown(builds)


def _build(line: str, path: Path) -> ZooBuild:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: a line is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}: a line is no JSON object")
    return from_plain(ZooBuild, value, str(path))

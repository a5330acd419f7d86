"""The list of reference models, `models.toml`."""

import ast
import hashlib
import json
import tomllib
import typing
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from gaugenn.errors import UsageError
from gaugenn.zoo._order import ModelInput

_HERE = Path(__file__).parent
SETS = ("paper", "today")


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a source says a network costs."""

    parameters: float | None
    macs: float | None
    within: float
    """Relative deviation that is allowed."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceModel:
    """A network that is defined once and exported into every format."""

    name: str
    title: str
    set: str
    definition: str
    """Module of `gaugenn.zoo.definitions`."""
    inputs: tuple[ModelInput, ...]
    published: Published | None

    @property
    def definition_sha256(self) -> str:
        """Digest of all source that decides on the network, its weights and its inputs."""
        entry = [self.name, self.definition, [asdict(given) for given in self.inputs]]
        whole = hashlib.sha256(json.dumps(entry).encode())
        for path in (_HERE / "_seeding.py", *_sources(f"definitions/{self.definition}.py")):
            whole.update(path.read_bytes())
        return whole.hexdigest()


@cache
def models() -> dict[str, ReferenceModel]:
    """Every reference model by name, in the list's order."""
    listed = tomllib.loads((_HERE / "models.toml").read_text())
    return {name: _model(name, entry) for name, entry in listed.items()}


def select(names: Iterable[str]) -> tuple[ReferenceModel, ...]:
    """Models by name or by set: `paper`, `today`, `all`; none for all.

    Raises:
        UsageError: there is no such model or set.
    """
    known = models()
    chosen: dict[str, ReferenceModel] = {}
    for name in tuple(names) or ("all",):
        if name == "all" or name in SETS:
            chosen.update({m.name: m for m in known.values() if name in ("all", m.set)})
        elif name in known:
            chosen[name] = known[name]
        else:
            raise UsageError(
                f"there is no reference model {name!r}; there are the sets all, "
                f"{', '.join(SETS)} and the models {', '.join(known)}"
            )
    return tuple(chosen.values())


def _model(name: str, entry: dict[str, object]) -> ReferenceModel:
    inputs = typing.cast("list[dict[str, typing.Any]]", entry["inputs"])
    published = entry.get("published")
    return ReferenceModel(
        name=name,
        title=str(entry["title"]),
        set=str(entry["set"]),
        definition=str(entry["definition"]),
        inputs=tuple(ModelInput(**{**given, "shape": tuple(given["shape"])}) for given in inputs),
        published=_published(published) if isinstance(published, dict) else None,
    )


def _published(entry: dict[str, object]) -> Published:
    values = {name: entry.get(name) for name in ("parameters", "macs", "within")}
    numbers = {k: float(v) if isinstance(v, int | float) else None for k, v in values.items()}
    return Published(
        parameters=numbers["parameters"],
        macs=numbers["macs"],
        within=numbers["within"] or 0.0,
        source=str(entry["source"]),
    )


def _sources(relative: str) -> tuple[Path, ...]:
    """A module of `definitions` and those that it imports, each once."""
    found: dict[Path, None] = {}
    waiting = [_HERE / relative]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        imported = [
            node.module or ""
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        waiting += [
            path.with_name(f"{module.rpartition('.')[2]}.py")
            for module in imported
            if module.startswith("gaugenn.zoo.definitions.")
        ]
    return tuple(found)

"""Inference libraries: listed, installed, removed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gaugenn import plugins
from gaugenn.bench.plan import select_engines
from gaugenn.devices.host import HostDevice
from gaugenn.engines import Engine, _binaries, _environments
from gaugenn.engines._native import NativeEngine
from gaugenn.errors import UsageError
from gaugenn.records import EngineOffers

OFFERS_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """An engine and its installed versions."""

    name: str
    title: str
    formats: tuple[str, ...]
    processors: tuple[str, ...]
    default_version: str
    installed: tuple[str, ...]
    is_supplied: bool = False
    """It is a vendor's own program, which its user supplies; see `docs/native.md`."""


def engines_list() -> tuple[EngineInfo, ...]:
    """Every engine, with the versions that are installed."""
    found = _environments.installed()
    loaded = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
    return tuple(
        EngineInfo(
            name=name,
            title=engine.title,
            formats=engine.formats,
            processors=engine.processors,
            default_version=engine.default_version,
            installed=_installed(engine(), found),
            is_supplied=issubclass(engine, NativeEngine),
        )
        for name, engine in loaded.items()
    )


def _installed(
    engine: Engine, environments: Iterable[_environments.Installation]
) -> tuple[str, ...]:
    """Versions that have an environment; of a program that users supply, each with its ABI."""
    if isinstance(engine, NativeEngine):
        return tuple(f"{binary.version} ({binary.abi})" for binary in _binaries.found(engine))
    return tuple(i.version for i in environments if i.engine == engine.name)


def engines_named(names: Iterable[str] = ()) -> tuple[str, ...]:
    """Engines as `name==version`: the named ones, or those that are used when nobody names one.

    Raises:
        UsageError: no such engine.
    """
    return tuple(engine.label for engine in select_engines(names))


def engines_missing(names: Iterable[str] = ()) -> tuple[str, ...]:
    """Those of the named (or default) engines that are not installed, as `name==version`.

    Raises:
        UsageError: no such engine.
    """
    return tuple(
        chosen.label
        for chosen in select_engines(names)
        if not _environments.is_installed(chosen.engine, chosen.version)
    )


def engines_install(name: str) -> Path:
    """Installs `litert` or `litert==2.3.0` from PyPI and returns its environment's folder.

    Raises:
        UsageError: no such engine or version.
        EngineError: it was installed but cannot be imported.
        StorageFullError: no room.
        TransientError: the package index cannot be reached.
    """
    (chosen,) = select_engines([name])
    return _environments.install(chosen.engine, chosen.version).folder


def engines_remove(name: str) -> tuple[str, ...]:
    """Removes `litert==2.3.0`, or every installed version of `litert`.

    Returns:
        What was removed, as `name==version`.

    Raises:
        UsageError: no such engine, or it is not installed.
    """
    (chosen,) = select_engines([name])
    there = [i.version for i in _environments.installed() if i.engine == chosen.engine.name]
    wanted = [chosen.version] if "==" in name else there
    removed = tuple(
        f"{chosen.engine.name}=={version}"
        for version in wanted
        if _environments.remove(chosen.engine, version)
    )
    if not removed:
        raise UsageError(f"{name} is not installed")
    return removed


def engines_offers(name: str) -> EngineOffers:
    """What an installed library says that it can use on this machine.

    Raises:
        UsageError: no such engine.
        MissingToolError: it is not installed.
        EngineError: it cannot be started, and why.
    """
    (chosen,) = select_engines([name])
    program = _environments.program(chosen.engine, chosen.version)
    with HostDevice() as device:
        output = device.run(chosen.engine.offers_command(program), timeout_s=OFFERS_LIMIT_S)
    return chosen.engine.parse_offers(output.stdout, output.stderr)

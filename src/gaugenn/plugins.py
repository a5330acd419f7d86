"""A folder is a registry: each public module of a package is a plugin, its file name is its name.

A plugin module defines exactly one concrete subclass of the package's contract. Nothing has to be
registered: adding the file adds the plugin, deleting it removes it.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import TypeVar

from gaugenn.errors import UsageError

T = TypeVar("T")


@cache
def names(package: str) -> tuple[str, ...]:
    """Names of the plugins in a package, sorted. Costs one directory listing, imports no plugin."""
    path = importlib.import_module(package).__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_")))


def load(package: str, name: str, contract: type[T]) -> type[T]:
    """The plugin class called `name`.

    Raises:
        UsageError: no plugin of that name; the message lists those there are.
        TypeError: the module does not define exactly one concrete class of the contract.
    """
    if name not in names(package):
        known = ", ".join(names(package))
        raise UsageError(f"{package} has no plugin {name!r}; there are: {known}")
    module = importlib.import_module(f"{package}.{name}")
    found = list(_concrete(module, contract))
    if len(found) != 1:
        listed = ", ".join(c.__name__ for c in found) or "none"
        raise TypeError(f"{module.__name__} must define one {contract.__name__}, found: {listed}")
    return found[0]


def load_all(package: str, contract: type[T]) -> dict[str, type[T]]:
    """Every plugin of a package by name, in name order."""
    return {name: load(package, name, contract) for name in names(package)}


def _concrete(module: ModuleType, contract: type[T]) -> Iterator[type[T]]:
    for value in vars(module).values():
        if not inspect.isclass(value) or value.__module__ != module.__name__:
            continue
        if issubclass(value, contract) and not inspect.isabstract(value):
            yield value

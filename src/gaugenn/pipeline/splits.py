"""Which of the found APKs are one app: a base and its splits, told by manifests, not names."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gaugenn.apps.walk import open_package
from gaugenn.content import open_file
from gaugenn.execute import Executor
from gaugenn.pipeline.discover import FoundApp, FoundFile


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    """What a manifest says of the app that its APK belongs to; `split` is None for a base."""

    package: str
    version_code: int | None
    split: str | None


_Key = tuple[Path, str, int | None]


def join_splits(
    found: Sequence[FoundFile | FoundApp],
    executor: Executor,
    is_known: Callable[[FoundFile | FoundApp], bool],
) -> list[FoundFile | FoundApp]:
    """Puts each base APK and its splits in the same folder together, where the base was.

    They belong together when package and version agree. Splits without a base in their folder are
    put together too; a second base of the same version, and a split that is alone, stay as they are.

    Args:
        found: files and apps, in order.
        executor: its processes look at the APKs that do not lie alone in their folder.
        is_known: whether a file was scanned before, by itself. It is looked at only where a new split
            lies beside it.
    """
    folders: dict[Path, list[FoundFile]] = {}
    for item in found:
        if isinstance(item, FoundFile) and item.path.suffix.lower() == ".apk":
            folders.setdefault(item.path.parent, []).append(item)
    several = {folder: items for folder, items in folders.items() if len(items) > 1}
    new = [item for items in several.values() for item in items if not is_known(item)]
    apps = _identified(new, executor)
    with_splits = {folder for (folder, _, _), m in apps.items() if any(i.split for _, i in m)}
    old = [item for folder in with_splits for item in several[folder] if is_known(item)]
    for key, members in _identified(old, executor).items():
        apps.setdefault(key, []).extend(members)
    joined: dict[Path, FoundApp | None] = {}
    for members in apps.values():
        joined |= _join(members)
    return [
        app if app is not None else item
        for item in found
        if (app := joined.get(item.path)) is not None or item.path not in joined
    ]


def _identified(
    files: Iterable[FoundFile], executor: Executor
) -> dict[_Key, list[tuple[FoundFile, _Identity]]]:
    """Files by folder, package and version; what cannot be read is left for its scan to say."""
    apps: dict[_Key, list[tuple[FoundFile, _Identity]]] = {}
    for outcome in executor.map(_identify, files):
        if outcome.value is not None:
            identity = outcome.value
            key = (outcome.item.path.parent, identity.package, identity.version_code)
            apps.setdefault(key, []).append((outcome.item, identity))
    return apps


def _join(members: Iterable[tuple[FoundFile, _Identity]]) -> dict[Path, FoundApp | None]:
    """What stands for each file: the app, at its first file, or None, at the others."""
    ordered = sorted(members, key=lambda member: member[0].path)
    splits = [file for file, identity in ordered if identity.split is not None]
    files = [file for file, identity in ordered if identity.split is None][:1] + splits
    if not splits or len(files) < 2:
        return {}
    app = FoundApp(
        path=files[0].path,
        files=tuple((file.path.name, file) for file in files),
        unpacked=False,
        named=any(file.named for file in files),
    )
    return {file.path: app if file is files[0] else None for file in files}


def _identify(found: FoundFile) -> _Identity | None:
    manifest = open_package(open_file(found.path)).manifest
    if manifest is None or manifest.package is None:
        return None
    return _Identity(
        package=manifest.package, version_code=manifest.version_code, split=manifest.split
    )

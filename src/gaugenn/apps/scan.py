"""Describes a package: what it is, what it says about itself, and its evidence of ML."""

import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gaugenn.apps.archive import Archive
from gaugenn.apps.certificate import certificate_sha256
from gaugenn.apps.evidence import Collector
from gaugenn.apps.files import Files
from gaugenn.apps.limits import Limits
from gaugenn.apps.manifest import Manifest, read_plist, read_proto, read_xapk_index
from gaugenn.apps.resources import label_of
from gaugenn.apps.walk import (
    IPA_MANIFEST,
    JOINER,
    OBB_NAME,
    Descend,
    InnerPackage,
    Member,
    Package,
    located,
    open_files,
    open_package,
)
from gaugenn.content import Content
from gaugenn.errors import FormatError, LimitError, PackageError
from gaugenn.records import App, Evidence, PackageKind, Split

_LIBRARY_FOLDER = re.compile(r"(?:^|/)lib/([A-Za-z0-9_-]+)/[^/]+\.so$")
_MODULE_MANIFEST = re.compile(r"([^/]+)/manifest/AndroidManifest\.xml")

_MANIFESTS_INSIDE = (PackageKind.IPA, PackageKind.UNPACKED, PackageKind.AAB)
_DIGEST_INLINE_BYTES = 2 << 20  # below, starting a thread costs more than it saves


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A member that could not be read, and why."""

    member: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All that `describe` finds.

    Attributes:
        package: still open, for reading members.
        classes: number of classes that the package defines.
        unreadable: members that could not be read or are over a limit.
    """

    app: App
    package: Package
    evidence: tuple[Evidence, ...]
    classes: int
    unreadable: tuple[Unreadable, ...]


def _ignore(_member: Member) -> None:
    return None


def _always(_member: Member) -> bool:
    return True


def describe(
    content: Content,
    *,
    modified_ns: int = 0,
    limits: Limits | None = None,
    each: Callable[[Member], None] = _ignore,
    descend: Descend = _always,
) -> Description:
    """Walks a package once and describes it. Never raises for what the bytes are.

    A large file is digested in a thread of its own meanwhile.

    Args:
        content: the package file.
        modified_ns: its modification time, carried into the row.
        limits: what the walk may cost.
        each: called with every member, so that a caller can look for models in the same walk.
        descend: whether to walk a container's members too, see `Package.walk`.
    """
    package = open_package(content, limits)
    size = content.size_bytes
    if size < _DIGEST_INLINE_BYTES:
        return _describe(package, content.sha256, size, modified_ns, each, descend)
    with ThreadPoolExecutor(max_workers=1) as pool:
        digest = pool.submit(content.sha256)
        return _describe(package, digest.result, size, modified_ns, each, descend)


def describe_files(
    name: str,
    files: Files,
    kind: PackageKind,
    *,
    modified_ns: int = 0,
    each: Callable[[Member], None] = _ignore,
    descend: Descend = _always,
) -> Description:
    """Walks several files as one package and describes it, see `describe`.

    Args:
        name: what the row is called.
        files: a base APK and its splits, or the files of an unpacked app.
        kind: SPLIT_SET or UNPACKED.
        modified_ns: of the newest file.
        each: as for `describe`.
        descend: as for `describe`.
    """
    package = open_files(name, files, kind)
    return _describe(package, files.digest, files.size_bytes, modified_ns, each, descend)


def _describe(
    package: Package,
    digest: Callable[[], str],
    size_bytes: int,
    modified_ns: int,
    each: Callable[[Member], None],
    descend: Descend,
) -> Description:
    collector = Collector()
    deeper: list[Manifest] = []
    splits: list[Split] = []
    unreadable: list[Unreadable] = []
    abis: set[str] = set()
    members = 0
    may_hold_manifests = package.kind in _MANIFESTS_INSIDE
    for member in package.walk(descend):
        members += 1
        if member.error is not None:
            unreadable.append(Unreadable(member=member.path, error=str(member.error)))
        folder = _LIBRARY_FOLDER.search(member.path) if member.path.endswith(".so") else None
        if folder:
            abis.add(folder.group(1))
        manifest = _manifest_of(package, member) if may_hold_manifests else None
        if manifest is not None:
            collector.look_at_manifest(member.path, manifest)
            deeper.append(manifest)
            if package.kind is PackageKind.AAB:
                module = member.path.partition("/")[0]
                splits.append(Split(name=manifest.split or module, path=member.path))
        collector.look(member)
        each(member)
    if package.manifest is not None:
        base = "base/manifest/" if package.kind is PackageKind.AAB else ""
        collector.look_at_manifest(f"{base}AndroidManifest.xml", package.manifest)
    for inner in package.inner:
        collector.look_at_manifest(f"{inner.path}{JOINER}AndroidManifest.xml", inner.manifest)
    unreadable += (Unreadable(member=path, error=text) for path, text in collector.failures)
    app_sha256 = digest()
    base_package = _base(package)
    said = package.manifest or (base_package and base_package.manifest) or _named(package)
    if said is None:
        said = deeper[0] if deeper else Manifest()
    others = [*deeper, *(inner.manifest for inner in package.inner)]
    label = base_package.label if base_package is not None else said.label
    if label is None and package.archive is not None:
        label = label_of(package.archive, said)
    for note in collector.notes:
        package.account.note(note)
    app = App(
        path=package.name,
        app_sha256=app_sha256,
        size_bytes=size_bytes,
        modified_ns=modified_ns,
        kind=package.kind,
        package=said.package,
        version_code=said.version_code,
        version_name=said.version_name,
        label=label,
        split=said.split,
        minimum_sdk=said.minimum_sdk,
        target_sdk=said.target_sdk,
        permissions=_joined(said.permissions, (other.permissions for other in others)),
        features=_joined(said.features, (other.features for other in others)),
        abis=tuple(sorted(abis)),
        certificate_sha256=base_package.certificate_sha256 if base_package else _signer(package),
        members=members,
        splits=(*splits, *_splits(package)),
        notes=package.notes,
        error=package.error,
        debug_bytes=collector.debug_bytes,
    )
    return Description(
        app=app,
        package=package,
        evidence=collector.evidence(app_sha256),
        classes=collector.class_count,
        unreadable=tuple(unreadable),
    )


def _manifest_of(package: Package, member: Member) -> Manifest | None:
    """The manifest that a member is: of an iOS app, or of an AAB's module beside the base."""
    if package.kind in (PackageKind.IPA, PackageKind.UNPACKED) and IPA_MANIFEST.fullmatch(
        member.path
    ):
        read = read_plist
    elif package.kind is PackageKind.AAB and _MODULE_MANIFEST.fullmatch(member.path):
        if member.path.startswith("base/"):
            return None  # read already
        read = read_proto
    else:
        return None
    try:
        return read(member.content().data)
    except (FormatError, PackageError, LimitError) as error:
        package.error = located(member.path, error)
        return None


def _base(package: Package) -> InnerPackage | None:
    """The APK that speaks for a bundle: the first that is not a split."""
    whole = [inner for inner in package.inner if inner.manifest.split is None]
    if package.inner and not whole:
        package.account.note("splits-without-base")
    return next(iter(whole or package.inner), None)


def _splits(package: Package) -> tuple[Split, ...]:
    signers = {inner.certificate_sha256 for inner in package.inner}
    if len(signers) > 1:
        package.account.note("splits-signed-differently")
    return tuple(
        Split(
            name=inner.manifest.split,
            path=inner.path,
            size_bytes=inner.size_bytes,
            sha256=inner.sha256,
        )
        for inner in package.inner
        if inner.manifest.split is not None
    )


def _joined(first: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """All of them once, in order."""
    return tuple(dict.fromkeys((*first, *(item for other in others for item in other))))


def _named(package: Package) -> Manifest | None:
    """What an expansion file's name, or a bundle's index, says."""
    if package.kind is PackageKind.OBB:
        match = OBB_NAME.fullmatch(package.name.rpartition("/")[2])
        if match is not None:
            return Manifest(package=match.group(2), version_code=int(match.group(1)))
    entry = package.archive.find("manifest.json") if package.archive is not None else None
    if package.kind is not PackageKind.BUNDLE or package.archive is None or entry is None:
        return None
    try:
        return read_xapk_index(package.archive.read(entry))
    except (FormatError, PackageError, LimitError):
        return None


def _signer(package: Package) -> str | None:
    apk = package.kind in (PackageKind.APK, PackageKind.SPLIT_APK, PackageKind.AAB)
    if not apk or package.content is None or not isinstance(package.archive, Archive):
        return None
    return certificate_sha256(package.content.data, package.archive)

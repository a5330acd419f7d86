"""Describes a package: what it is, what it says about itself, and its evidence of ML."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gaugenn.apps.limits import Limits
from gaugenn.apps.certificate import certificate_sha256
from gaugenn.apps.evidence import Collector
from gaugenn.apps.manifest import Manifest, read_axml, read_plist
from gaugenn.apps.resources import text_of
from gaugenn.apps.walk import Descend, Member, Package, open_package
from gaugenn.content import Content
from gaugenn.errors import FormatError, LimitError, PackageError
from gaugenn.records import App, Evidence, PackageKind

_LIBRARY_FOLDER = re.compile(r"(?:^|/)lib/([A-Za-z0-9_-]+)/[^/]+\.so$")
_IPA_MANIFEST = re.compile(r"Payload/[^/]+\.app/Info\.plist")
_INNER_MANIFEST = re.compile(r"[^!]+\.apk!/AndroidManifest\.xml", re.IGNORECASE)

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
    if content.size_bytes < _DIGEST_INLINE_BYTES:
        return _describe(content, content.sha256, modified_ns, limits, each, descend)
    with ThreadPoolExecutor(max_workers=1) as pool:
        digest = pool.submit(content.sha256)
        return _describe(content, digest.result, modified_ns, limits, each, descend)


def _describe(
    content: Content,
    digest: Callable[[], str],
    modified_ns: int,
    limits: Limits | None,
    each: Callable[[Member], None],
    descend: Descend,
) -> Description:
    package = open_package(content, limits)
    collector = Collector()
    manifests: list[Manifest] = []
    unreadable: list[Unreadable] = []
    abis: set[str] = set()
    members = 0
    for member in package.walk(descend):
        members += 1
        if member.error is not None:
            unreadable.append(Unreadable(member=member.path, error=str(member.error)))
        folder = _LIBRARY_FOLDER.search(member.path) if member.path.endswith(".so") else None
        if folder:
            abis.add(folder.group(1))
        inner = _manifest_of(package, member)
        if inner is not None:
            manifests.append(inner)
            collector.look_at_manifest(member.path, inner)
        collector.look(member)
        each(member)
    if package.manifest is not None:
        collector.look_at_manifest("AndroidManifest.xml", package.manifest)
    unreadable += (Unreadable(member=path, error=text) for path, text in collector.failures)
    app_sha256 = digest()
    said = package.manifest or _base(manifests) or Manifest()
    app = App(
        path=content.name,
        app_sha256=app_sha256,
        size_bytes=content.size_bytes,
        modified_ns=modified_ns,
        kind=package.kind,
        package=said.package,
        version_code=said.version_code,
        version_name=said.version_name,
        label=said.label or _label(package, said),
        split=said.split,
        minimum_sdk=said.minimum_sdk,
        target_sdk=said.target_sdk,
        permissions=said.permissions,
        features=said.features,
        abis=tuple(sorted(abis)),
        certificate_sha256=_signer(package),
        members=members,
        notes=package.notes,
        error=package.error,
    )
    return Description(
        app=app,
        package=package,
        evidence=collector.evidence(app_sha256),
        classes=collector.class_count,
        unreadable=tuple(unreadable),
    )


def _manifest_of(package: Package, member: Member) -> Manifest | None:
    """The manifest that a member is, in kinds of packages that hold their manifest deeper."""
    if package.kind is PackageKind.IPA and _IPA_MANIFEST.fullmatch(member.path):
        read = read_plist
    elif package.kind is PackageKind.BUNDLE and _INNER_MANIFEST.fullmatch(member.path):
        read = read_axml
    else:
        return None
    try:
        return read(member.content().data)
    except (FormatError, PackageError, LimitError) as error:
        package.error = f"{member.path}: {error}"
        return None


def _base(manifests: list[Manifest]) -> Manifest | None:
    """The manifest that speaks for a bundle: the first that is not a split's."""
    whole = [manifest for manifest in manifests if manifest.split is None]
    return next(iter(whole or manifests), None)


def _label(package: Package, manifest: Manifest) -> str | None:
    """The app's name where the manifest refers to the package's resource table."""
    if package.archive is None or not manifest.label_reference:
        return None
    entry = package.archive.find("resources.arsc")
    if entry is None:
        return None
    try:
        return text_of(package.archive.read(entry), manifest.label_reference)
    except (PackageError, LimitError):
        return None


def _signer(package: Package) -> str | None:
    if package.archive is None or package.kind not in (PackageKind.APK, PackageKind.SPLIT_APK):
        return None
    return certificate_sha256(package.content.data, package.archive)

"""Opens a package and walks over every file in it, those in nested containers included.

Containers are recognised by their first bytes, never by their names; whatever cannot be read is a
`Member` with an `error`, so that a walk always ends and a census can count what it could not see.
"""

import posixpath
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from gaugenn.apps.archive import Archive, appended_zip, is_zip
from gaugenn.apps.certificate import certificate_sha256
from gaugenn.apps.directory import STORED, Entry
from gaugenn.apps.files import Container, Files
from gaugenn.apps.limits import Account, Limits
from gaugenn.apps.manifest import Manifest, read_axml, read_proto
from gaugenn.apps.resources import label_of
from gaugenn.apps.tar import Tar, is_tar
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError, LimitError, PackageError
from gaugenn.records import PackageKind

HEAD_BYTES = 4096
"""How much of every member a walk looks at."""

JOINER = "!/"
"""Stands between a container's path and the path inside it."""

APPENDED = "appended.zip"
"""Stands in paths for a zip that was appended to another file."""

_GZIP_MAGIC = b"\x1f\x8b\x08"
"""**Source:** https://www.rfc-editor.org/rfc/rfc1952 section 2.3.1, with method 8 (deflate)."""

_PACKAGE_SUFFIXES = (
    ".apk",
    ".xapk",
    ".apks",
    ".apkm",
    ".aab",
    ".obb",
    ".ipa",
    ".zip",
    ".jar",
    ".aar",
)
_BUNDLE_INDEXES = frozenset({"manifest.json", "toc.pb", "info.json"})
OBB_NAME = re.compile(r"(?:main|patch)\.(\d{1,18})\.(.+)\.obb", re.IGNORECASE)
"""Name of an expansion file: version and package. **Source:**
https://developer.android.com/google/play/expansion-files#Format"""

IPA_MANIFEST = re.compile(r"Payload/[^/]+\.app/Info\.plist")

_OTHER_FILES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a git-LFS pointer; fetch the file itself with: git lfs pull"),
    (b"dex\n", "a dex file"),
    (b"\x7fELF", "an ELF library"),
    (b"\x03\x00\x08\x00", "an Android binary XML file"),
    (b"<!DOCTYPE", "a web page, perhaps a download that failed"),
    (b"<html", "a web page, perhaps a download that failed"),
    (b"{", "a JSON text"),
    (b"\x89PNG", "a PNG image"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
)


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """A file inside a package. (Not frozen: packages have tens of thousands, and freezing is slow.)

    Attributes:
        path: path inside the package; nested containers are joined by `!/`.
        size_bytes: inflated size as declared.
        depth: number of containers between the package and this file.
        container: whether it starts like a zip, tar or gzip; its own members follow it in the walk.
        error: why its head, or the container that it is, could not be read.
        appended: it is, or lies in, a zip that was appended to another file.
        packed_bytes: what it takes up in its zip, as declared; None outside a zip.
    """

    path: str
    size_bytes: int
    depth: int
    container: bool = False
    error: PackageError | LimitError | None = None
    appended: bool = False
    packed_bytes: int | None = None
    _head: bytes = field(repr=False)
    _read: Callable[[], Content] = field(repr=False)

    @property
    def file_name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]

    def head(self, count: int = HEAD_BYTES) -> bytes:
        """The first `count` bytes, at most `HEAD_BYTES`; empty where they cannot be read."""
        return self._head[:count]

    def content(self) -> Content:
        """The whole file, inflated on each call; hold on to it rather than calling twice.

        Its neighbours are the files of the same folder in the same container, and below.

        Raises:
            PackageError: encrypted, corrupt or cut off.
            LimitError: over a limit of size or ratio.
        """
        return self._read()


Descend = Callable[[Member], bool]


def _always(_member: Member) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerPackage:
    """One of the APKs that a bundle or a set of splits is made of.

    Attributes:
        path: its place in the package.
        label: the app's name, resolved where the manifest refers to the resource table.
    """

    path: str
    size_bytes: int
    sha256: str
    manifest: Manifest
    label: str | None
    certificate_sha256: str | None


class Package:
    """An opened package.

    Attributes:
        kind: what it is; NONE where it is no package, with the reason in `error`.
        name: the package file's, or that which stands for several files.
        content: the package file itself; None where the package is several files.
        archive: its members; None for what is neither a zip nor several files.
        manifest: the manifest of the package itself; None where there is none or it is unreadable.
        error: why it is no package or why its manifest cannot be read.
        inner: the APKs of a bundle or a set of splits, those that a walk has met so far.
    """

    def __init__(
        self,
        name: str,
        *,
        account: Account,
        content: Content | None = None,
        archive: Container | None = None,
        kind: PackageKind = PackageKind.NONE,
    ) -> None:
        self.name = name
        self.content = content
        self.account = account
        self.archive = archive
        self.kind = kind
        self.manifest: Manifest | None = None
        self.error: str | None = None
        self.inner: list[InnerPackage] = []
        if content is not None:
            self.kind = self._open(content)
        elif archive is not None and kind is PackageKind.UNPACKED:
            self._kind(archive)  # for its manifest

    @property
    def notes(self) -> tuple[str, ...]:
        """What was unusual so far; reading more of the package may add to it."""
        return tuple(self.account.notes)

    def _open(self, content: Content) -> PackageKind:
        named = content.has_suffix(*_PACKAGE_SUFFIXES)
        if named or is_zip(content.head(16)):
            try:
                self.archive = Archive(content.data, self.account)
            except (PackageError, LimitError) as error:
                self.error = f"{error}; it is {what_is(content.head(64))}"
        elif appended_zip(content.data) is not None:
            return PackageKind.ARCHIVE
        else:
            self.error = f"not a zip archive; it is {what_is(content.head(64))}"
        if self.archive is None:
            if OBB_NAME.fullmatch(content.file_name):
                self.account.note("not-a-zip")
                self.error = None
                return PackageKind.OBB
            return PackageKind.NONE
        return self._kind(self.archive)

    def _kind(self, archive: Container) -> PackageKind:
        if archive.find("AndroidManifest.xml") is not None:
            self.manifest = self._manifest(archive, "AndroidManifest.xml", read_axml)
            split = self.manifest is not None and self.manifest.split is not None
            return PackageKind.SPLIT_APK if split else PackageKind.APK
        base = "base/manifest/AndroidManifest.xml"
        if archive.find("BundleConfig.pb") is not None or archive.find(base) is not None:
            if archive.find(base) is not None:
                self.manifest = self._manifest(archive, base, read_proto)
            return PackageKind.AAB
        names = (entry.name for entry in archive.entries)
        if any(IPA_MANIFEST.fullmatch(name) for name in names):
            return PackageKind.IPA
        if self.content is None:
            return PackageKind.UNPACKED
        indexed = any(archive.find(name) is not None for name in _BUNDLE_INDEXES)
        named = self.content.has_suffix(".xapk", ".apks", ".apkm")
        apks = (entry.name.lower().endswith(".apk") for entry in archive.entries)
        if (indexed or named) and any(apks):
            return PackageKind.BUNDLE
        if self.content.has_suffix(".obb"):
            return PackageKind.OBB
        if self.content.has_suffix(".apk"):
            self.error = "no AndroidManifest.xml: a zip archive named like an APK"
        return PackageKind.ARCHIVE

    def _manifest(
        self, archive: Container, name: str, read: Callable[[memoryview], Manifest]
    ) -> Manifest | None:
        entry = archive.find(name)
        if entry is None:
            return None
        try:
            return read(archive.read(entry))
        except (PackageError, LimitError, FormatError) as error:
            self.error = located(name, error)
            return None

    def walk(self, descend: Descend = _always) -> Iterator[Member]:
        """Every file, containers before what is in them. Folders are left out.

        Args:
            descend: asked for each container whether to walk its members too; say no to those that
                are understood as a whole (a PyTorch file is a zip).
        """
        if self.archive is not None:
            yield from self._zip(self.archive, "", 0, descend)
        elif self.kind is not PackageKind.NONE and self.content is not None:
            content = self.content
            yield from self._file(replace(content, name=content.file_name), 0, descend)

    def _zip(
        self,
        archive: Container,
        prefix: str,
        depth: int,
        descend: Descend,
        *,
        appended: bool = False,
    ) -> Iterator[Member]:
        for entry in archive.entries:
            name = entry.name
            if name.endswith("/") and not entry.size_bytes:
                continue
            error: PackageError | LimitError | None = None
            try:
                head = archive.head(entry, HEAD_BYTES)
            except (PackageError, LimitError) as problem:
                head, error = b"", problem
            member = Member(
                path=prefix + name,
                size_bytes=entry.size_bytes,
                depth=depth,
                error=error,
                appended=appended,
                packed_bytes=_packed(archive, entry) if error is None else None,
                _head=head,
                _read=_Reader(archive, entry, prefix),
            )
            if _is_container(head):
                yield from self._container(member, descend)
                continue
            yield member
            if entry.method == STORED and error is None:
                stored = _stored(archive, entry)
                if stored is not None:
                    yield from self._appended(member, stored, descend)

    def _file(
        self, content: Content, depth: int, descend: Descend, *, appended: bool = False
    ) -> Iterator[Member]:
        member = Member(
            path=content.name,
            size_bytes=content.size_bytes,
            depth=depth,
            appended=appended,
            _head=content.head(HEAD_BYTES),
            _read=lambda: content,
        )
        if _is_container(member.head()):
            yield from self._container(member, descend)
        else:
            yield member
            yield from self._appended(member, content.data, descend)

    def _appended(self, host: Member, data: memoryview, descend: Descend) -> Iterator[Member]:
        """A zip at the end of another file, then its members; nothing where a reader wants it all."""
        start = appended_zip(data)
        if start is not None and descend(host):
            self.account.note("appended-zip")
            inner = from_bytes(f"{host.path}{JOINER}{APPENDED}", data[start:])
            yield from self._file(inner, host.depth + 1, descend, appended=True)

    def _container(self, member: Member, descend: Descend) -> Iterator[Member]:
        """A container, then its members; or the container with the reason why not."""
        member.container = True
        if not descend(member):
            yield member
            return
        limits, depth = self.account.limits, member.depth + 1
        if depth > limits.depth:
            self.account.note("limit-depth")
            member.error = LimitError(
                f"{member.path}: container at depth {depth}, at most {limits.depth} are opened"
            )
            yield member
            return
        prefix = member.path + JOINER
        archive: Container | None = None
        inner: Content | None = None
        try:
            content = member.content()
            if is_zip(member.head(16)):
                archive = opened = Archive(content.data, self.account)
                if depth == 1 and self.kind in (PackageKind.BUNDLE, PackageKind.SPLIT_SET):
                    self._look_inside(member.path, content, opened)
            elif is_tar(member.head(HEAD_BYTES)):
                archive = Tar(content.data, self.account)
            else:
                inner = self._gunzip(member, content)
        except (PackageError, LimitError) as error:
            member.error = error
        yield member
        if archive is not None:
            yield from self._zip(archive, prefix, depth, descend, appended=member.appended)
        elif inner is not None:
            yield from self._file(inner, depth, descend, appended=member.appended)

    def _look_inside(self, path: str, content: Content, archive: Archive) -> None:
        entry = archive.find("AndroidManifest.xml")
        if entry is None or not path.lower().endswith(".apk"):
            return
        try:
            manifest = read_axml(archive.read(entry))
        except (FormatError, PackageError, LimitError) as error:
            self.error = located(f"{path}{JOINER}{entry.name}", error)
            return
        self.inner.append(
            InnerPackage(
                path=path,
                size_bytes=content.size_bytes,
                sha256=content.sha256(),
                manifest=manifest,
                label=manifest.label or label_of(archive, manifest),
                certificate_sha256=certificate_sha256(content.data, archive),
            )
        )

    def _gunzip(self, member: Member, content: Content) -> Content:
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        limits = self.account.limits
        out = bytearray()
        piece: bytes | memoryview = content.data
        try:
            while piece and not inflater.eof:
                chunk = inflater.decompress(piece[: 1 << 16], 1 << 20)
                self.account.spend(len(chunk))
                out += chunk
                rest = len(inflater.unconsumed_tail)
                piece = piece[min(len(piece), 1 << 16) - rest :]
                allowed = max(limits.ratio_free_bytes, limits.ratio * content.size_bytes)
                if len(out) > min(limits.member_bytes, allowed):
                    self.account.note("limit-ratio")
                    raise LimitError(f"{member.path}: over {len(out)} bytes inflated: a bomb")
        except zlib.error as error:
            raise PackageError(f"{member.path}: broken gzip data: {error}") from error
        if not inflater.eof:
            raise PackageError(f"{member.path}: gzip data without an end; the file is cut off")
        name = posixpath.basename(member.path).removesuffix(".gz") or "data"
        return from_bytes(member.path + JOINER + name, memoryview(out))


_FIRST_BYTES = frozenset({b"P", b"\0", b"\x1f"})


def _packed(archive: Container, entry: Entry) -> int | None:
    """A member's bytes in its zip; None where the declared number is none that a file could have."""
    inside = isinstance(archive, Archive) and entry.compressed_bytes < 1 << 62
    return entry.compressed_bytes if inside else None


def _stored(archive: Container, entry: Entry) -> memoryview | None:
    try:
        return archive.stored(entry)
    except PackageError:  # whoever reads the member is told so
        return None


def _is_container(head: bytes) -> bool:
    if head[:1] in _FIRST_BYTES and (is_zip(head) or head.startswith(_GZIP_MAGIC)):
        return True
    return is_tar(head)


class _Reader:
    """Reads one member when called."""

    __slots__ = ("archive", "entry", "prefix")

    def __init__(self, archive: Container, entry: Entry, prefix: str) -> None:
        self.archive = archive
        self.entry = entry
        self.prefix = prefix

    def __call__(self) -> Content:
        return Content(
            name=self.prefix + self.entry.name,
            data=self.archive.read(self.entry),
            neighbours=self._neighbour,
        )

    def _neighbour(self, name: str) -> Content | None:
        folder = posixpath.dirname(self.entry.name)
        entry = self.archive.find(f"{folder}/{name}" if folder else name)
        if entry is None:
            return None
        try:
            return _Reader(self.archive, entry, self.prefix)()
        except (PackageError, LimitError):
            return None


def open_package(content: Content, limits: Limits | None = None) -> Package:
    """Opens a package. Never raises for what the bytes are: see `Package.kind` and `Package.error`."""
    account = Account(limits=limits or Limits(), size_bytes=content.size_bytes)
    return Package(content.name, account=account, content=content)


def open_files(name: str, files: Files, kind: PackageKind) -> Package:
    """Opens several files as one package.

    Args:
        name: what stands for them in messages and rows.
        files: a base APK and its splits, or the files of an unpacked app.
        kind: SPLIT_SET or UNPACKED.
    """
    return Package(name, account=files.account, archive=files, kind=kind)


def located(path: str, error: Exception) -> str:
    """An error with the whole path of the member that it is about, once."""
    text = str(error)
    name, colon, rest = text.partition(": ")
    return f"{path}: {rest if colon and path.endswith(name) else text}"


def what_is(head: bytes) -> str:
    """In words, what a file that is no package is."""
    if not head:
        return "an empty file"
    for magic, words in _OTHER_FILES:
        if head.startswith(magic):
            return words
    if is_zip(head):
        return "a broken zip archive"
    return "an unknown kind of file"

"""Opens a package and walks over every file in it, those in nested containers included.

Containers are recognised by their first bytes, never by their names; whatever cannot be read is a
`Member` with an `error`, so that a walk always ends and a census can count what it could not see.
"""

import posixpath
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from gaugenn.apps.archive import Archive, is_zip
from gaugenn.apps.directory import Entry
from gaugenn.apps.limits import Account, Limits
from gaugenn.apps.manifest import Manifest, read_axml, read_proto
from gaugenn.content import Content, from_bytes
from gaugenn.errors import FormatError, LimitError, PackageError
from gaugenn.records import PackageKind

HEAD_BYTES = 4096
"""How much of every member a walk looks at."""

JOINER = "!/"
"""Stands between a container's path and the path inside it."""

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
_OBB_NAME = re.compile(r"(main|patch)\.\d+\..+\.obb", re.IGNORECASE)
_IPA_MEMBER = re.compile(r"Payload/[^/]+\.app/Info\.plist")

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
        container: whether it starts like a zip or gzip; its own members follow it in the walk.
        error: why its head, or the container that it is, could not be read.
    """

    path: str
    size_bytes: int
    depth: int
    container: bool = False
    error: PackageError | LimitError | None = None
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


class Package:
    """An opened package.

    Attributes:
        kind: what it is; NONE where it is no package, with the reason in `error`.
        content: the package file itself.
        archive: its directory; None for what is not a zip.
        manifest: the manifest of the package itself; None where there is none or it is unreadable.
        error: why it is no package or why its manifest cannot be read.
    """

    def __init__(self, content: Content, limits: Limits | None = None) -> None:
        self.content = content
        self.account = Account(limits=limits or Limits(), size_bytes=content.size_bytes)
        self.archive: Archive | None = None
        self.manifest: Manifest | None = None
        self.error: str | None = None
        self.kind = self._open()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was unusual so far; reading more of the package may add to it."""
        return tuple(self.account.notes)

    def _open(self) -> PackageKind:
        named = self.content.has_suffix(*_PACKAGE_SUFFIXES)
        if named or is_zip(self.content.head(16)):
            try:
                self.archive = Archive(self.content.data, self.account)
            except (PackageError, LimitError) as error:
                self.error = f"{error}; it is {what_is(self.content.head(64))}"
        else:
            self.error = f"not a zip archive; it is {what_is(self.content.head(64))}"
        if self.archive is None:
            if _OBB_NAME.fullmatch(self.content.file_name):
                self.account.note("not-a-zip")
                self.error = None
                return PackageKind.OBB
            return PackageKind.NONE
        return self._kind(self.archive)

    def _kind(self, archive: Archive) -> PackageKind:
        if archive.find("AndroidManifest.xml") is not None:
            self.manifest = self._manifest(archive, "AndroidManifest.xml", read_axml)
            split = self.manifest is not None and self.manifest.split is not None
            return PackageKind.SPLIT_APK if split else PackageKind.APK
        base = "base/manifest/AndroidManifest.xml"
        if archive.find("BundleConfig.pb") is not None or archive.find(base) is not None:
            if archive.find(base) is not None:
                self.manifest = self._manifest(archive, base, read_proto)
            return PackageKind.AAB
        names = [entry.name for entry in archive.entries]
        if any(_IPA_MEMBER.fullmatch(name) for name in names):
            return PackageKind.IPA
        indexed = not _BUNDLE_INDEXES.isdisjoint(names)
        named = self.content.has_suffix(".xapk", ".apks", ".apkm")
        if (indexed or named) and any(name.lower().endswith(".apk") for name in names):
            return PackageKind.BUNDLE
        if self.content.has_suffix(".obb"):
            return PackageKind.OBB
        if self.content.has_suffix(".apk"):
            self.error = "no AndroidManifest.xml: a zip archive named like an APK"
        return PackageKind.ARCHIVE

    def _manifest(
        self, archive: Archive, name: str, read: Callable[[memoryview], Manifest]
    ) -> Manifest | None:
        entry = archive.find(name)
        if entry is None:
            return None
        try:
            return read(archive.read(entry))
        except (PackageError, LimitError, FormatError) as error:
            self.error = f"{name}: {error}"
            return None

    def walk(self, descend: Descend = _always) -> Iterator[Member]:
        """Every file, containers before what is in them. Folders are left out.

        Args:
            descend: asked for each container whether to walk its members too; say no to those that
                are understood as a whole (a PyTorch file is a zip).
        """
        if self.archive is not None:
            yield from self._zip(self.archive, "", 0, descend)
        elif self.kind is not PackageKind.NONE:
            content = self.content
            yield from self._file(
                content.file_name, content.size_bytes, lambda: content, 0, descend
            )

    def _zip(self, archive: Archive, prefix: str, depth: int, descend: Descend) -> Iterator[Member]:
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
                _head=head,
                _read=_Reader(archive, entry, prefix),
            )
            if head.startswith(_FIRST_BYTES) and (is_zip(head) or head.startswith(_GZIP_MAGIC)):
                yield from self._container(member, descend)
            else:
                yield member

    def _file(
        self, path: str, size: int, read: Callable[[], Content], depth: int, descend: Descend
    ) -> Iterator[Member]:
        head = read().head(HEAD_BYTES)
        member = Member(path=path, size_bytes=size, depth=depth, _head=head, _read=read)
        if is_zip(head) or head.startswith(_GZIP_MAGIC):
            yield from self._container(member, descend)
        else:
            yield member

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
        archive: Archive | None = None
        inner: Content | None = None
        try:
            content = member.content()
            if is_zip(member.head(16)):
                archive = Archive(content.data, self.account)
            else:
                inner = self._gunzip(member, content)
        except (PackageError, LimitError) as error:
            member.error = error
        yield member
        if archive is not None:
            yield from self._zip(archive, prefix, depth, descend)
        elif inner is not None:
            found = inner
            yield from self._file(found.name, found.size_bytes, lambda: found, depth, descend)

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


_FIRST_BYTES = (b"P", b"\0", b"\x1f")


class _Reader:
    """Reads one member when called."""

    __slots__ = ("archive", "entry", "prefix")

    def __init__(self, archive: Archive, entry: Entry, prefix: str) -> None:
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
    return Package(content, limits)


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

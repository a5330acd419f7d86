"""Evidence that a package uses ML: tokens in its classes, libraries, manifest and member names.

Tokens are data (`signatures/*.toml`). A strong token proves its name; weak ones count only when two
different ones agree. Finding nothing proves nothing: code may be renamed, packed or fetched later.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gaugenn.apps.dex import Dex, Prefixes, is_dex
from gaugenn.apps.elf import Library
from gaugenn.apps.manifest import Manifest
from gaugenn.apps.needles import Needles
from gaugenn.apps.walk import JOINER, Member
from gaugenn.errors import FormatError, LimitError, PackageError
from gaugenn.records import Evidence, EvidenceCategory, EvidenceSource

_KINDS = ("class", "method", "symbol", "string", "library", "manifest", "host", "member")
_ELF_MAGIC = b"\x7fELF"
_SCHEMES = (b"http://", b"https://", b"ws://", b"wss://")
_HOST = re.compile(r"(?:[a-z]+://)?(?:[^/?#@\s]*@)?([^/?#:\s\"']+)", re.IGNORECASE)
_LONGEST_TEXT = 2048
_MOST_TEXTS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One line of a signature file.

    Attributes:
        kind: where it is looked for: `class`, `method`, `symbol`, `string`, `library`, `manifest`,
            `host` or `member`.
        text: what is looked for. Classes are prefixes of type descriptors; a method is such a
            prefix, `->` and a name; libraries and members may contain `*`; in hosts `*` stands for
            one or more labels or parts of them.
        origin: where the token is known from.
        verified: whether that has been checked.
    """

    category: EvidenceCategory
    name: str
    vendor: str | None
    kind: str
    text: str
    strong: bool
    origin: str
    verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the evidence adds up to for one name.

    Attributes:
        confirmed: at least one strong token, or two different weak ones.
        tokens: the different tokens seen, sorted.
    """

    category: EvidenceCategory
    name: str
    vendor: str | None
    confirmed: bool
    tokens: tuple[str, ...]


@cache
def tokens() -> tuple[Token, ...]:
    """All tokens of the signature files."""
    folder = resources.files("gaugenn.apps.signatures")
    found: list[Token] = []
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            found += _read_tokens(file.name, file.read_text(encoding="utf-8"))
    return tuple(found)


def _read_tokens(file: str, text: str) -> Iterator[Token]:
    table = tomllib.loads(text)
    category = EvidenceCategory(table.pop("category"))
    for name, entry in table.items():
        for line in entry["tokens"]:
            kinds = [kind for kind in _KINDS if kind in line]
            if len(kinds) != 1 or line["status"] not in ("verified", "unverified"):
                raise ValueError(f"{file}: {name}: expected one kind and a status in {line}")
            yield Token(
                category=category,
                name=name,
                vendor=entry["vendor"] or None,
                kind=kinds[0],
                text=line[kinds[0]],
                strong=line["strong"],
                origin=line["source"],
                verified=line["status"] == "verified",
            )


def verdicts(evidence: Iterable[Evidence]) -> tuple[Verdict, ...]:
    """Adds evidence up, one verdict for each (category, name), sorted."""
    groups: dict[tuple[EvidenceCategory, str], list[Evidence]] = {}
    for item in evidence:
        groups.setdefault((item.category, item.name), []).append(item)
    return tuple(
        Verdict(
            category=category,
            name=name,
            vendor=items[0].vendor,
            confirmed=any(i.strong for i in items) or len({i.token for i in items}) > 1,
            tokens=tuple(sorted({i.token for i in items})),
        )
        for (category, name), items in sorted(groups.items())
    )


class _Index:
    """The tokens arranged for searching."""

    def __init__(self, every: Iterable[Token]) -> None:
        self.classes: dict[bytes, list[Token]] = {}
        self.methods: dict[bytes, list[tuple[str, Token]]] = {}  # names end in NUL, so are whole
        self.hosts: list[tuple[re.Pattern[str], Token]] = []
        self.manifest: dict[str, list[Token]] = {}
        self.files: dict[str, list[Token]] = {}
        self.patterns: list[tuple[re.Pattern[str], Token]] = []
        self.strings: dict[bytes, list[Token]] = {}
        self.symbols: dict[bytes, list[Token]] = {}
        prefixes: set[bytes] = set(_SCHEMES)
        for token in every:
            raw = token.text.encode()
            if token.kind == "class":
                self.classes.setdefault(raw, []).append(token)
            elif token.kind == "method":
                owner, _, name = token.text.partition("->")
                self.methods.setdefault(name.encode() + b"\0", []).append((owner, token))
            elif token.kind == "host":
                self.hosts.append((_pattern(token.text, "[^/:]+"), token))
                prefixes.add(raw.lstrip(b"*").partition(b"*")[0])
            elif token.kind == "manifest":
                self.manifest.setdefault(token.text, []).append(token)
            elif "*" in token.text:
                self.patterns.append((_pattern(token.text, "[^/]*"), token))
            elif token.kind in ("library", "member"):
                self.files.setdefault(token.text, []).append(token)
            else:
                table = self.symbols if token.kind == "symbol" else self.strings
                table.setdefault(raw, []).append(token)
        self.class_prefixes = Prefixes(self.classes)
        self.method_names = Prefixes(self.methods)
        self.host_prefixes = Prefixes(prefixes)
        self.string_needles = Needles(list(self.strings))
        self.symbol_needles = Needles(list(self.symbols))

    def named(self, name: str) -> list[Token]:
        """Tokens that a library's file name, or a member's path, matches."""
        found = list(self.files.get(name, ()))
        found += (token for pattern, token in self.patterns if pattern.fullmatch(name))
        return found


def _pattern(text: str, star: str) -> re.Pattern[str]:
    return re.compile(star.join(re.escape(part) for part in text.split("*")), re.IGNORECASE)


@cache
def _index() -> _Index:
    return _Index(tokens())


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClassHit:
    token: Token
    member: str
    seen: frozenset[str]
    defined: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sighting:
    token: Token
    source: EvidenceSource
    member: str
    defined: bool | None


class Collector:
    """Gathers evidence from the members of one package.

    Call `look` for every member of a walk and `look_at_manifest` for every manifest, then `evidence`.

    Attributes:
        failures: members that looked like code but could not be read, with the reason.
        class_count: classes that the package defines, over all its dex files.
    """

    def __init__(self) -> None:
        self._sightings: dict[_Sighting, None] = {}
        self._class_hits: list[_ClassHit] = []
        self.notes: tuple[str, ...] = ()
        self.failures: list[tuple[str, str]] = []
        self.class_count = 0

    def look(self, member: Member) -> None:
        """Takes what a member's name and, if it is a dex file or a library, its content says."""
        path = member.path
        index = _index()
        for token in index.files.get(
            path if JOINER not in path else path.rpartition(JOINER)[2], ()
        ):
            if token.kind == "member":
                self._add(token, EvidenceSource.MEMBER, path)
        if ".so" in path:
            for token in index.named(path.rpartition("/")[2]):
                if token.kind == "library":
                    self._add(token, EvidenceSource.LIBRARY, path)
        head = member.head(8)
        try:
            if is_dex(head):
                self.look_at_dex(member.path, member.content().data)
            elif head.startswith(_ELF_MAGIC):
                self.look_at_library(member.path, member.content().data)
        except (FormatError, PackageError, LimitError) as error:
            self.failures.append((member.path, str(error)))

    def look_at_manifest(self, member: str, manifest: Manifest) -> None:
        """Takes what a manifest says."""
        names = [*manifest.native_libraries, *(item.name for item in manifest.meta_data)]
        for name in names:
            for token in _index().manifest.get(name, ()):
                self._add(token, EvidenceSource.MANIFEST, member)

    def look_at_dex(self, member: str, data: memoryview) -> None:
        """Takes what the tables of a dex file say.

        Raises:
            FormatError: not a dex file.
        """
        dex = Dex(data)
        index = _index()
        own = dex.defined_types()
        self.class_count += int(own.sum())
        for prefix, rows in dex.types.with_prefixes(index.class_prefixes).items():
            seen = frozenset(dex.types.get(row) for row in rows)
            defined = frozenset(dex.types.get(row) for row in rows if own[row])
            self._class_hits += (
                _ClassHit(token=token, member=member, seen=seen, defined=defined)
                for token in index.classes[prefix]
            )
        for name, rows in dex.strings.with_prefixes(index.method_names).items():
            owners = dex.owners(rows)
            for owner, token in index.methods[name]:
                if any(descriptor.startswith(owner) for descriptor in owners):
                    self._add(token, EvidenceSource.METHOD, member)
        for host in _hosts(dex, index.host_prefixes):
            for pattern, token in index.hosts:
                if pattern.fullmatch(host):
                    self._add(token, EvidenceSource.STRING, member)

    def look_at_library(self, member: str, data: memoryview) -> None:
        """Takes what a native library needs, exports, imports and holds as constants.

        Raises:
            FormatError: not an ELF file.
        """
        library = Library(data)
        index = _index()
        for needed in library.needed:
            for token in index.named(needed):
                if token.kind == "library":
                    self._add(token, EvidenceSource.LIBRARY, member)
        offsets = index.symbol_needles.find(library.symbol_names())
        symbols = library.symbols_at({o for found in offsets.values() for o in found})
        for text, found in offsets.items():
            whole = {o for o in found if library.symbol_names()[o + len(text)] == 0}
            if not whole.isdisjoint(symbols):
                for token in index.symbols[text]:
                    self._add(token, EvidenceSource.SYMBOL, member)
        for constants in library.constants:
            for text in index.string_needles.find(constants):
                for token in index.strings[text]:
                    self._add(token, EvidenceSource.STRING, member)

    def evidence(self, app_sha256: str) -> tuple[Evidence, ...]:
        """All rows. A class that any dex file of the package defines counts as shipped.

        Args:
            app_sha256: the package's digest, carried by every row.
        """
        shipped = frozenset[str]().union(*(hit.defined for hit in self._class_hits))
        for hit in self._class_hits:
            if hit.defined or hit.seen - shipped:
                self._add(hit.token, EvidenceSource.CLASS, hit.member, defined=bool(hit.defined))
        return tuple(
            Evidence(
                app_sha256=app_sha256,
                category=sighting.token.category,
                name=sighting.token.name,
                vendor=sighting.token.vendor,
                source=sighting.source,
                token=sighting.token.text,
                member=sighting.member,
                strong=sighting.token.strong,
                defined=sighting.defined,
            )
            for sighting in self._sightings
        )

    def _add(
        self, token: Token, source: EvidenceSource, member: str, *, defined: bool | None = None
    ) -> None:
        sighting = _Sighting(token=token, source=source, member=member, defined=defined)
        self._sightings[sighting] = None


def _hosts(dex: Dex, prefixes: Prefixes) -> set[str]:
    """Host names in string constants that start with a scheme or with a known host's first part."""
    found: set[str] = set()
    for rows in dex.strings.with_prefixes(prefixes).values():
        for row in rows[:_MOST_TEXTS]:
            text = dex.strings.raw(row)[:_LONGEST_TEXT].decode(errors="replace")
            match = _HOST.match(text)
            if match:
                found.add(match.group(1).lower())
    return found

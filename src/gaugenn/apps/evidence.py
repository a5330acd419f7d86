"""Evidence that a package uses ML: tokens in its classes, libraries, manifest and member names.

Tokens are data (`signatures/*.toml`). A strong token proves its name; weak ones count only when two
different ones agree. Finding nothing proves nothing: code may be renamed, packed or fetched later.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from gaugenn.apps.dex import DEX_MAGIC, Dex, Prefixes, is_dex
from gaugenn.apps.elf import ELF_MAGIC, Library
from gaugenn.apps.macho import MACHO_MAGICS, Executable, is_macho
from gaugenn.apps.manifest import Manifest
from gaugenn.apps.needles import Needles
from gaugenn.apps.walk import JOINER, Member
from gaugenn.errors import FormatError, LimitError, PackageError
from gaugenn.records import Evidence, EvidenceCategory, EvidenceSource

_KINDS = ("class", "method", "symbol", "string", "library", "manifest", "host", "member")
_CODE = frozenset({DEX_MAGIC, ELF_MAGIC, *MACHO_MAGICS})
"""First four bytes of what is code. Nearly all members are told from it by one look-up."""

_SCHEMES = (b"http://", b"https://", b"ws://", b"wss://")
_HOST = re.compile(r"(?:[a-z]+://)?(?:[^/?#@\s]*@)?([^/?#:\s\"']+)", re.IGNORECASE)
_LONGEST_TEXT = 2048
_MOST_TEXTS = 20_000
_MOST_PLACES = 64  # of one token: a package of thousands of copies needs no row for each
_MOST_CLASSES = 4096  # of one token in one dex file that are kept by name
_SHORT_NAME = 2  # characters of a class name that a shrinker chose
_SAMPLED_CLASSES = 500
_FEWEST_CLASSES = 50  # below, a share of short names says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One line of a signature file.

    Attributes:
        kind: where it is looked for: `class`, `method`, `symbol`, `string`, `library`, `manifest`,
            `host` or `member`.
        text: what is looked for. Classes are prefixes of type descriptors; a method is such a
            prefix, `->` and a name; libraries and members may contain `*`; in hosts `*` stands for
            one or more labels or parts of them.
        origin: address of the page that the token is known from.
        checked: how it was checked against the real thing; None where it was not.
    """

    category: EvidenceCategory
    name: str
    vendor: str | None
    kind: str
    text: str
    strong: bool
    origin: str
    checked: str | None


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
            if len(kinds) != 1 or not line["source"].startswith("https://"):
                raise ValueError(f"{file}: {name}: expected one kind and an address in {line}")
            yield Token(
                category=category,
                name=name,
                vendor=entry["vendor"] or None,
                kind=kinds[0],
                text=line[kinds[0]],
                strong=line["strong"],
                origin=line["source"],
                checked=line.get("checked"),
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
        self._any_pattern = re.compile(
            "|".join(pattern.pattern for pattern, _ in self.patterns), re.IGNORECASE
        )
        self.class_prefixes = Prefixes(self.classes)
        self.method_names = Prefixes(self.methods)
        self.host_prefixes = Prefixes(prefixes)
        self.string_needles = Needles(list(self.strings))
        self.symbol_needles = Needles(list(self.symbols))

    def named(self, name: str) -> list[Token]:
        """Tokens that a library's file name, or a member's path, matches."""
        found = list(self.files.get(name, ()))
        if self._any_pattern.fullmatch(name):
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
        debug_bytes: symbol tables and debug sections of native libraries; None without any.
    """

    def __init__(self) -> None:
        self._sightings: dict[_Sighting, None] = {}
        self._places: Counter[Token] = Counter()
        self._class_hits: list[_ClassHit] = []
        self._renamed = 0
        self._encrypted = False
        self._cut = False
        self.failures: list[tuple[str, str]] = []
        self.class_count = 0
        self.debug_bytes: int | None = None

    def look(self, member: Member) -> None:
        """Takes what a member's name and, if it is a dex file or a library, its content says."""
        path = member.path
        index = _index()
        inside = path.rpartition(JOINER)[2] if JOINER in path else path
        for token in index.files.get(inside.removeprefix("base/"), ()):  # an AAB's main module
            if token.kind == "member":
                self._add(token, EvidenceSource.MEMBER, path)
        if ".so" in path:
            for token in index.named(path.rpartition("/")[2]):
                if token.kind == "library":
                    self._add(token, EvidenceSource.LIBRARY, path)
        head = member.head(8)
        if head[:4] not in _CODE:
            return
        try:
            if is_dex(head):
                self.look_at_dex(member.path, member.content().data)
            elif head.startswith(ELF_MAGIC):
                self.look_at_library(member.path, member.content().data)
            elif is_macho(head):
                self.look_at_executable(member.path, member.content().data)
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
        self._count_renamed(dex, np.flatnonzero(own))
        for prefix, rows in dex.types.with_prefixes(index.class_prefixes).items():
            rows = rows[:_MOST_CLASSES]
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

    def _count_renamed(self, dex: Dex, own: npt.NDArray[np.int64]) -> None:
        step = max(1, len(own) // _SAMPLED_CLASSES)
        short = dex.types.count_short_last_parts(own[::step], _SHORT_NAME + 1)  # with its `;`
        self._renamed += step * short

    def look_at_library(self, member: str, data: memoryview) -> None:
        """Takes what a native library needs, exports, imports and holds as constants.

        Raises:
            FormatError: not an ELF file.
        """
        library = Library(data)
        self.debug_bytes = (self.debug_bytes or 0) + library.debug_bytes
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
            self._look_at_constants(member, constants)

    def look_at_executable(self, member: str, data: memoryview) -> None:
        """Takes what an iOS executable links, its symbols and constants.

        Raises:
            FormatError: not a Mach-O file.
        """
        executable = Executable(data)
        index = _index()
        self._encrypted = self._encrypted or executable.encrypted
        for linked in executable.linked:
            for token in index.named(linked):
                if token.kind == "library":
                    self._add(token, EvidenceSource.LIBRARY, member)
        names = executable.symbol_names
        for text, found in index.symbol_needles.find(names).items():
            if any(
                bytes(names[o - 2 : o]) == b"\0_" and _ends(names, o + len(text)) for o in found
            ):
                for token in index.symbols[text]:
                    self._add(token, EvidenceSource.SYMBOL, member)
        for constants in executable.constants:
            self._look_at_constants(member, constants)

    def _look_at_constants(self, member: str, constants: memoryview) -> None:
        index = _index()
        for text in index.string_needles.find(constants):
            for token in index.strings[text]:
                self._add(token, EvidenceSource.STRING, member)

    @property
    def notes(self) -> tuple[str, ...]:
        """What makes missing evidence mean little.

        `obfuscated-classes`: at least half of the classes carry names that a shrinker chose, so that
        libraries may be there under other names, and native symbols and strings are what is left;
        `packed-code`: a protector hides the code; `encrypted-code`: the store's encryption does;
        `limit-evidence`: one token was seen in more places than there are rows.
        """
        found: list[str] = []
        if self.class_count >= _FEWEST_CLASSES and 2 * self._renamed >= self.class_count:
            found.append("obfuscated-classes")
        if any(v.confirmed and v.category is EvidenceCategory.PACKER for v in self._verdicts()):
            found.append("packed-code")
        if self._encrypted:
            found.append("encrypted-code")
        if self._cut:
            found.append("limit-evidence")
        return tuple(found)

    def _verdicts(self) -> tuple[Verdict, ...]:
        return verdicts(self.evidence(""))

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
        if sighting in self._sightings:
            return
        if self._places[token] >= _MOST_PLACES:
            self._cut = True
            return
        self._places[token] += 1
        self._sightings[sighting] = None


def _ends(names: memoryview, at: int) -> bool:
    return at >= names.nbytes or names[at] == 0


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

"""Names in a native library: what it needs, exports and imports, and where its constants lie.

Works from the dynamic segment, which a loader cannot do without; section headers, which may be
stripped or lie, only narrow down where constants are.

**Source:** https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html chapters 4 and 5 for all
layouts and numbers (ELF header, section header, program header, dynamic array, symbol table).
"""

import struct
from dataclasses import dataclass

import numpy as np

from gaugenn.errors import FormatError

ELF_MAGIC = b"\x7fELF"
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _HASH, _STRTAB, _SYMTAB, _STRSZ, _SYMENT, _SONAME = 1, 4, 5, 6, 10, 11, 14
_NO_BITS = 8
_MAXIMUM_ENTRIES = 1 << 16
_MAXIMUM_NEEDED = 1024
_DEBUG_SECTIONS = (b".symtab", b".strtab", b".gnu_debugdata")
_DEBUG_PREFIXES = (b".debug_", b".zdebug_")
_CONSTANT_SECTIONS = (b".rodata", b".data.rel.ro", b".rdata", b".data", b".conststring")


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A dynamic symbol; `defined` where the library exports it, else it imports it."""

    name: str
    defined: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """How the fields lie in 32- or 64-bit files (`<` or `>` is put before the formats)."""

    header: str  # after e_ident: type machine version entry phoff shoff flags ehsize ph.. sh..
    segment: str
    section: str
    dynamic: str
    symbol_bytes: int
    symbol_section: int  # offset of st_shndx
    symbol_kind: str


_LAYOUTS = {
    1: _Layout(
        header="HHIIIIIHHHHHH",
        segment="IIIIIIII",
        section="IIIIIIIIII",
        dynamic="iI",
        symbol_bytes=16,
        symbol_section=14,
        symbol_kind="u4",
    ),
    2: _Layout(
        header="HHIQQQIHHHHHH",
        segment="IIQQQQQQ",
        section="IIQQQQIIQQ",
        dynamic="qQ",
        symbol_bytes=24,
        symbol_section=6,
        symbol_kind="u8",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    name: bytes
    kind: int
    offset: int
    size: int


class Library:
    """An ELF shared library.

    Attributes:
        machine: e_machine; 183 is AArch64, 40 ARM, 62 x86-64, 3 x86.
        soname: its own name; None where it gives none.
        needed: names of the libraries that it loads, in order.
        stripped: without a usable section table; `constants` is then the whole file.
        constants: the parts of the file where string constants lie.
        debug_bytes: what symbol tables and debug sections take up, which `strip` removes.

    Raises:
        FormatError: no ELF magic, an unknown class or byte order, or a header cut short.
    """

    __slots__ = (
        *("_data", "_layout", "_order", "_segments", "_strings", "_symbols"),
        *("constants", "debug_bytes", "machine", "needed", "soname", "stripped"),
    )

    def __init__(self, data: memoryview) -> None:
        ident = bytes(data[:16])
        if ident[:4] != ELF_MAGIC:
            raise FormatError("ELF: expected the bytes 7F 'ELF' at the start")
        layout = _LAYOUTS.get(ident[4]) if len(ident) == 16 else None
        order = {1: "<", 2: ">"}.get(ident[5]) if len(ident) == 16 else None
        if layout is None or order is None:
            raise FormatError("ELF: expected class 1 or 2 and byte order 1 or 2 in bytes 4 and 5")
        self._data, self._layout, self._order = data, layout, order
        header = struct.Struct(order + layout.header)
        if data.nbytes < 16 + header.size:
            raise FormatError(f"ELF: {data.nbytes} bytes, the header alone has {16 + header.size}")
        fields = header.unpack_from(data, 16)
        self.machine: int = fields[1]
        program, section = fields[4], fields[5]
        program_width, program_count, section_width, section_count, names = fields[8:13]
        self._segments = self._read_segments(program, program_width, program_count)
        sections = self._read_sections(section, section_width, section_count, names)
        self.stripped = not any(s.name == b".rodata" for s in sections)
        self.constants = self._find_constants(sections)
        self.debug_bytes = self._count_debug_bytes(sections)
        self._strings = memoryview(b"")
        self._symbols = (0, 0)
        self.soname: str | None = None
        self.needed: tuple[str, ...] = ()
        self._read_dynamic(sections)

    def _count_debug_bytes(self, sections: list[_Section]) -> int:
        """Never more than the file has, whatever its sections say."""
        sizes = (
            max(0, min(section.size, self._data.nbytes - section.offset))
            for section in sections
            if section.kind != _NO_BITS
            and (section.name in _DEBUG_SECTIONS or section.name.startswith(_DEBUG_PREFIXES))
        )
        return min(sum(sizes), self._data.nbytes)

    def _find_constants(self, sections: list[_Section]) -> tuple[memoryview, ...]:
        if self.stripped:
            return (self._data,)
        found: list[memoryview] = []
        left = self._data.nbytes  # sections that overlap must not multiply the work
        for section in sections:
            part = self._data[section.offset : section.offset + section.size]
            constant = section.name.startswith(_CONSTANT_SECTIONS) and section.kind != _NO_BITS
            if constant and part.nbytes <= left:
                found.append(part)
                left -= part.nbytes
        return tuple(found)

    def symbols(self) -> list[Symbol]:
        """All dynamic symbols that have a name."""
        names, defined = self._symbol_columns()
        return [
            Symbol(name=text, defined=bool(is_defined))
            for offset, is_defined in zip(names.tolist(), defined.tolist(), strict=True)
            if (text := self._text(offset))
        ]

    def symbol_names(self) -> memoryview:
        """The table of symbol names, NUL-terminated; it holds library names as well."""
        return self._strings

    def symbols_at(self, offsets: set[int]) -> dict[int, bool]:
        """Which of these offsets in `symbol_names` are names of symbols, and whether defined here."""
        if not offsets:
            return {}
        names, defined = self._symbol_columns()
        rows = np.flatnonzero(np.isin(names, np.array(sorted(offsets), dtype=np.int64)))
        found: dict[int, bool] = {}
        for row in rows.tolist():
            offset = int(names[row])
            found[offset] = found.get(offset, False) or bool(defined[row])
        return found

    def _symbol_columns(self) -> tuple["np.ndarray[tuple[int], np.dtype[np.int64]]", ...]:
        offset, count = self._symbols
        width = self._layout.symbol_bytes
        kind = np.dtype(
            {
                "names": ["name", "section"],
                "formats": [self._order + "u4", self._order + "u2"],
                "offsets": [0, self._layout.symbol_section],
                "itemsize": width,
            }
        )
        table = np.frombuffer(self._data, dtype=kind, count=count, offset=offset if count else 0)
        return (table["name"].astype(np.int64), (table["section"] != 0).astype(np.int64))

    def _text(self, offset: int) -> str:
        piece = bytes(self._strings[offset : offset + 4096])
        return piece.partition(b"\0")[0].decode(errors="replace")

    def _read_segments(self, offset: int, width: int, count: int) -> list[tuple[int, ...]]:
        """(type, file offset, address, size in the file) of each segment that lies in the file."""
        row = struct.Struct(self._order + self._layout.segment)
        found: list[tuple[int, ...]] = []
        if width < row.size:
            return found
        for index in range(min(count, _MAXIMUM_ENTRIES)):
            at = offset + index * width
            if at + row.size > self._data.nbytes:
                break
            fields = row.unpack_from(self._data, at)
            if self._layout.symbol_bytes == 24:
                kind, _, start, address, _, size, _, _ = fields
            else:
                kind, start, address, _, size, _, _, _ = fields
            found.append((kind, start, address, size))
        return found

    def _read_sections(self, offset: int, width: int, count: int, names: int) -> list[_Section]:
        row = struct.Struct(self._order + self._layout.section)
        rows: list[tuple[int, ...]] = []
        if width >= row.size and offset:
            inside = (self._data.nbytes - offset - row.size) // width + 1
            ends = offset + width * max(0, min(count, _MAXIMUM_ENTRIES, inside))
            rows = [row.unpack_from(self._data, at) for at in range(offset, ends, width)]
        if names >= len(rows):
            return []
        table = bytes(self._data[rows[names][4] : rows[names][4] + rows[names][5]][: 1 << 20])
        return [
            _Section(
                name=table[r[0] : table.find(b"\0", r[0])] if r[0] < len(table) else b"",
                kind=r[1],
                offset=r[4],
                size=r[5],
            )
            for r in rows
        ]

    def _file_offset(self, address: int) -> int | None:
        for kind, start, base, size in self._segments:
            if kind == _LOAD and base <= address < base + size:
                offset = address - base + start
                return offset if offset < self._data.nbytes else None
        return None

    def _read_dynamic(self, sections: list[_Section]) -> None:
        entry = struct.Struct(self._order + self._layout.dynamic)
        tags: dict[int, int] = {}
        needed: list[int] = []
        for kind, start, _, size in self._segments:
            if kind != _DYNAMIC:
                continue
            end = min(start + size, self._data.nbytes)
            whole = max(0, end - start) // entry.size * entry.size
            for tag, value in entry.iter_unpack(self._data[start : start + whole]):
                if not tag or len(tags) > _MAXIMUM_ENTRIES:
                    break
                if tag == _NEEDED:
                    needed.append(value)
                else:
                    tags.setdefault(tag, value)
            break
        strings = self._file_offset(tags.get(_STRTAB, 0)) if _STRTAB in tags else None
        if strings is None:
            return
        self._strings = self._data[strings : strings + tags.get(_STRSZ, 0)]
        self.needed = tuple(t for n in needed[:_MAXIMUM_NEEDED] if (t := self._text(n)))
        self.soname = (self._text(tags[_SONAME]) or None) if _SONAME in tags else None
        self._symbols = self._find_symbols(tags, strings, sections)

    def _find_symbols(
        self, tags: dict[int, int], strings: int, sections: list[_Section]
    ) -> tuple[int, int]:
        """File offset and number of dynamic symbols; no dynamic tag gives the number directly."""
        width = self._layout.symbol_bytes
        offset = self._file_offset(tags.get(_SYMTAB, 0)) if _SYMTAB in tags else None
        if offset is None or tags.get(_SYMENT, width) != width:
            return (0, 0)
        most = (self._data.nbytes - offset) // width
        hashes = self._file_offset(tags[_HASH]) if _HASH in tags else None
        if hashes is not None and hashes + 8 <= self._data.nbytes:
            (count,) = struct.unpack_from(self._order + "I", self._data, hashes + 4)
            return (offset, min(count, most))
        for section in sections:
            if section.offset == offset and section.name == b".dynsym":
                return (offset, min(section.size // width, most))
        count = (strings - offset) // width if strings > offset else most
        return (offset, min(count, most))

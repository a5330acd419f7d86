"""Names in an iOS executable: the frameworks that it links, its symbols, and where its constants lie.

**Source:** https://github.com/apple-oss-distributions/xnu/blob/main/EXTERNAL_HEADERS/mach-o/loader.h
(mach_header, load_command, dylib_command, segment_command, section, symtab_command,
encryption_info_command) and fat.h in the same folder (fat_header, fat_arch, big-endian).
"""

import struct

from gaugenn.errors import FormatError

_THIN = {b"\xcf\xfa\xed\xfe": 64, b"\xce\xfa\xed\xfe": 32}
_FAT = b"\xca\xfe\xba\xbe"
MACHO_MAGICS = (*_THIN, _FAT)
_ARM64 = 0x0100_000C
_MOST_ARCHITECTURES = 16  # a Java class file has the same magic, and 45 or more in this place
_MOST_COMMANDS = 4096
_MOST_SECTIONS = 1024
_LINKS = (0xC, 0x8000_0018, 0x8000_001F, 0x20)  # load, weak, re-export, lazy
_SYMBOLS, _SEGMENTS, _ENCRYPTION = 0x2, {0x1: 32, 0x19: 64}, (0x21, 0x2C)
_CONSTANT_SECTIONS = (b"__cstring", b"__const", b"__objc_methname", b"__objc_classname")


def is_macho(head: bytes) -> bool:
    """Whether the bytes start a Mach-O file, of one architecture or several."""
    if head[:4] == _FAT and len(head) >= 8:
        return 0 < int.from_bytes(head[4:8], "big") <= _MOST_ARCHITECTURES
    return head[:4] in _THIN


class Executable:
    """A Mach-O executable or library; of several architectures the one for 64-bit Arm, else the first.

    Attributes:
        linked: the libraries that it loads: the framework's folder (`CoreML.framework`), else the
            file's name.
        constants: the parts of the file where string constants lie.
        symbol_names: the table of symbol names, each with a leading underscore, NUL-terminated.
        encrypted: whether the store's encryption covers the code, so that constants mean nothing.

    Raises:
        FormatError: no Mach-O magic, or a header cut short.
    """

    __slots__ = ("_data", "constants", "encrypted", "linked", "symbol_names")

    def __init__(self, data: memoryview) -> None:
        if not is_macho(bytes(data[:8])):
            raise FormatError("Mach-O: expected the magic of one or several architectures")
        self._data = _slice(data) if bytes(data[:4]) == _FAT else data
        self.linked: tuple[str, ...] = ()
        self.constants: tuple[memoryview, ...] = ()
        self.symbol_names = memoryview(b"")
        self.encrypted = False
        bits = _THIN.get(bytes(self._data[:4]))
        header = 32 if bits == 64 else 28
        if bits is None or self._data.nbytes < header:
            raise FormatError(f"Mach-O: {self._data.nbytes} bytes, a header has {header}")
        (count,) = struct.unpack_from("<I", self._data, 16)
        self._read_commands(header, min(count, _MOST_COMMANDS))

    def _read_commands(self, at: int, count: int) -> None:
        data = self._data
        linked: list[str] = []
        constants: list[memoryview] = []
        room = data.nbytes  # sections that overlap must not multiply the work
        for _ in range(count):
            if at + 8 > data.nbytes:
                break
            kind, size = struct.unpack_from("<II", data, at)
            end = min(at + size, data.nbytes)
            if size < 8:
                break
            if kind in _LINKS and end - at >= 24:
                (name,) = struct.unpack_from("<I", data, at + 8)
                linked.append(_library(bytes(data[at + name : end])))
            elif kind in _SEGMENTS:
                for part in self._sections(at, end, _SEGMENTS[kind]):
                    if part.nbytes <= room:
                        constants.append(part)
                        room -= part.nbytes
            elif kind == _SYMBOLS and end - at >= 24:
                _, _, offset, length = struct.unpack_from("<4I", data, at + 8)
                self.symbol_names = data[offset : offset + length]
            elif kind in _ENCRYPTION and end - at >= 20:
                (system,) = struct.unpack_from("<I", data, at + 16)
                self.encrypted = self.encrypted or system != 0
            at += size
        self.linked = tuple(dict.fromkeys(linked))
        self.constants = tuple(constants)

    def _sections(self, at: int, end: int, bits: int) -> list[memoryview]:
        data = self._data
        first, width = (72, 80) if bits == 64 else (56, 68)
        if end - at < first:
            return []
        (count,) = struct.unpack_from("<I", data, at + first - 8)
        found: list[memoryview] = []
        for row in range(at + first, end - width + 1, width)[: min(count, _MOST_SECTIONS)]:
            name = bytes(data[row : row + 16]).rstrip(b"\0")
            if name not in _CONSTANT_SECTIONS:
                continue
            if bits == 64:
                size, offset = struct.unpack_from("<QI", data, row + 40)
            else:
                size, offset = struct.unpack_from("<II", data, row + 36)
            found.append(data[offset : offset + size])
        return found


def _library(raw: bytes) -> str:
    path = raw.partition(b"\0")[0].decode(errors="replace")
    folders = [part for part in path.split("/") if part.endswith(".framework")]
    return folders[-1] if folders else path.rpartition("/")[2]


def _slice(data: memoryview) -> memoryview:
    count = int.from_bytes(data[4:8], "big")
    rows = [
        struct.unpack_from(">5I", data, 8 + 20 * row)
        for row in range(count)
        if 28 + 20 * row <= data.nbytes
    ]
    if not rows:
        raise FormatError("Mach-O: the list of architectures is cut short")
    _, _, offset, size, _ = next((row for row in rows if row[0] == _ARM64), rows[0])
    return data[offset : offset + size]

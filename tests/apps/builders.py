"""Zips, dex and ELF files assembled byte by byte, so that every field can lie."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A member; what is None is filled in truthfully."""

    name: bytes
    data: bytes = b""
    deflated: bool = True
    method: int | None = None
    local_method: int | None = None
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    local_size: int | None = None
    local_compressed: int | None = None
    descriptor: bool = False
    zip64: bool = False
    local_extra: bytes = b""

    def raw(self) -> bytes:
        if not self.deflated:
            return self.data
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.data) + packer.flush()


def _local(part: Part) -> bytes:
    raw = part.raw()
    method = part.method if part.method is not None else 8 * part.deflated
    local_method = part.local_method if part.local_method is not None else method
    crc = part.crc if part.crc is not None else zlib.crc32(part.data)
    size = part.local_size if part.local_size is not None else len(part.data)
    compressed = part.local_compressed if part.local_compressed is not None else len(raw)
    flags, tail, extra = part.flags, b"", part.local_extra
    if part.descriptor:
        flags |= 8
        tail = struct.pack("<4sIII", b"PK\x07\x08", crc, compressed, size)
        crc = size = compressed = 0
    if part.zip64:
        extra += struct.pack("<HHQQ", 1, 16, size, compressed)
        size = compressed = 0xFFFFFFFF
    head = struct.pack(
        "<4sHHHHHIIIHH",
        *(b"PK\x03\x04", 20, flags, local_method, 0, 0),
        *(crc, compressed, size, len(part.name), len(extra)),
    )
    return head + part.name + extra + raw + tail


def _central(part: Part, offset: int) -> bytes:
    raw = part.raw()
    method = part.method if part.method is not None else 8 * part.deflated
    crc = part.crc if part.crc is not None else zlib.crc32(part.data)
    size = part.size if part.size is not None else len(part.data)
    compressed, extra = len(raw), b""
    if part.zip64:
        extra = struct.pack("<HHQQQ", 1, 24, size, compressed, offset)
        size = compressed = offset = 0xFFFFFFFF
    head = struct.pack(
        "<4sHHHHHHIIIHHHHHII",
        *(b"PK\x01\x02", 20, 20, part.flags | 8 * part.descriptor, method, 0, 0),
        *(crc, compressed, size, len(part.name), len(extra), 0, 0, 0, 0, offset),
    )
    return head + part.name + extra


def build_zip(
    parts: Sequence[Part],
    *,
    prefix: bytes = b"",
    gap: bytes = b"",
    comment: bytes = b"",
    end: bool = True,
    block: bytes = b"",
    zip64_end: bool = False,
) -> bytes:
    """A zip of the parts. `gap` lies between directory and end, `block` before the directory."""
    body, directory = b"", b""
    for part in parts:
        directory += _central(part, len(body))
        body += _local(part)
    body += block
    start, size, count = len(body), len(directory), len(parts)
    out = prefix + body + directory + gap
    if zip64_end:
        out += struct.pack(
            "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, start
        )
        out += struct.pack("<4sIQI", b"PK\x06\x07", 0, len(out) - 56, 1)
        start, size, count = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF
    if end:
        out += struct.pack(
            "<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, start, len(comment)
        )
        out += comment
    return out


def build_dex(
    types: Sequence[str],
    *,
    classes: Sequence[str] = (),
    methods: Sequence[tuple[str, str]] = (),
    strings: Sequence[str] = (),
    in_order: bool = True,
) -> bytes:
    """A dex file with tables only: no code, no checksums, as a table reader needs it."""
    everything = {*types, *classes, *strings, *(t for pair in methods for t in pair)}
    texts = sorted(everything, reverse=not in_order)
    descriptors = {*types, *classes, *(owner for owner, _ in methods)}
    type_rows = [i for i, text in enumerate(texts) if text in descriptors]
    place = {texts[row]: i for i, row in enumerate(type_rows)}
    string_at = 0x70
    type_at = string_at + 4 * len(texts)
    method_at = type_at + 4 * len(type_rows)
    class_at = method_at + 8 * len(methods)
    data_at = class_at + 32 * len(classes)
    offsets, blob = [], b""
    for text in texts:
        offsets.append(data_at + len(blob))
        length = len(text)
        prefix = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
        blob += prefix + text.encode() + b"\0"
    out = bytearray(0x70)
    out[:8] = b"dex\n035\0"
    struct.pack_into("<II", out, 0x20, data_at + len(blob), 0x70)
    struct.pack_into("<4I", out, 0x38, len(texts), string_at, len(type_rows), type_at)
    struct.pack_into("<II", out, 0x58, len(methods), method_at)
    struct.pack_into("<II", out, 0x60, len(classes), class_at)
    out += struct.pack(f"<{len(offsets)}I", *offsets)
    out += struct.pack(f"<{len(type_rows)}I", *type_rows)
    for owner, name in methods:
        out += struct.pack("<HHI", place[owner], 0, texts.index(name))
    for name in classes:
        out += struct.pack("<8I", place[name], *(0,) * 7)
    return bytes(out) + blob


def build_elf(
    constants: bytes = b"",
    *,
    exports: Sequence[str] = (),
    imports: Sequence[str] = (),
    needed: Sequence[str] = (),
    soname: str | None = None,
    wide: bool = True,
    big: bool = False,
    sections: bool = True,
    debug: bytes = b"",
    debug_claimed: int | None = None,
) -> bytes:
    """A shared library of one segment: constants, names, symbols, dynamic entries.

    `debug` is a section of debug information, of `debug_claimed` bytes as the section table says.
    """
    order = ">" if big else "<"
    names = b"\0"
    where: dict[str, int] = {}
    for text in (*exports, *imports, *needed, *((soname,) if soname else ())):
        where.setdefault(text, len(names))
        names += text.encode() + b"\0"
    symbol_bytes = 24 if wide else 16
    symbols = bytes(symbol_bytes)
    for text, section in [(t, 7) for t in exports] + [(t, 0) for t in imports]:
        if wide:
            symbols += struct.pack(order + "IBBHQQ", where[text], 0x12, 0, section, 0, 0)
        else:
            symbols += struct.pack(order + "IIIBBH", where[text], 0, 0, 0x12, 0, section)
    start = (64 if wide else 52) + 2 * (56 if wide else 32)
    names_at = start + len(constants)
    symbols_at = names_at + len(names)
    dynamic_at = symbols_at + len(symbols)
    tags = [(1, where[t]) for t in needed] + ([(14, where[soname])] if soname else [])
    tags += [(5, names_at), (10, len(names)), (6, symbols_at), (11, symbol_bytes)]
    if not sections:  # then only a hash table tells the number of symbols
        hash_at = dynamic_at + (16 if wide else 8) * (len(tags) + 2)
        tags.append((4, hash_at))
    dynamic = b"".join(struct.pack(order + ("qQ" if wide else "iI"), *t) for t in [*tags, (0, 0)])
    tail = b""
    if not sections:
        tail = struct.pack(order + "II", 1, 1 + len(exports) + len(imports))
    body = constants + names + symbols + dynamic + tail
    end = start + len(body)
    rows = [(0, b"", 0, 0)]
    if sections:
        rows += [
            (1, b".rodata", start, len(constants)),
            (11, b".dynsym", symbols_at, len(symbols)),
        ]
        if debug:
            claimed = len(debug) if debug_claimed is None else debug_claimed
            rows.append((1, b".debug_info", end, claimed))
        rows.append((3, b".shstrtab", end + len(debug), 0))
        table = b"\0" + b"".join(name + b"\0" for _, name, _, _ in rows[1:])
        rows[-1] = (3, b".shstrtab", end + len(debug), len(table))
        body += debug + table
        shoff = start + len(body)
        for kind, name, offset, size in rows:
            head = (table.find(name) if name else 0, kind)
            if wide:
                body += struct.pack(
                    order + "IIQQQQIIQQ", *head, 0, offset, offset, size, 0, 0, 1, 0
                )
            else:
                body += struct.pack(order + "10I", *head, 0, offset, offset, size, 0, 0, 1, 0)
    else:
        rows, shoff = [], 0
    total = start + len(body)
    spans = [(1, 0, total), (2, dynamic_at, len(dynamic))]
    if wide:
        header = struct.pack(
            order + "HHIQQQIHHHHHH",
            *(3, 183, 1, 0, 64, shoff, 0, 64, 56, 2, 64, len(rows), max(0, len(rows) - 1)),
        )
        segments = b"".join(
            struct.pack(order + "IIQQQQQQ", k, 4, o, o, o, s, s, 1) for k, o, s in spans
        )
    else:
        header = struct.pack(
            order + "HHIIIIIHHHHHH",
            *(3, 40, 1, 0, 52, shoff, 0, 52, 32, 2, 40, len(rows), max(0, len(rows) - 1)),
        )
        segments = b"".join(struct.pack(order + "8I", k, o, o, o, s, s, 4, 1) for k, o, s in spans)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 2 if big else 1, 1]) + bytes(9)
    return ident + header + segments + body


def build_macho(
    constants: bytes = b"",
    *,
    linked: Sequence[str] = (),
    symbols: Sequence[str] = (),
    system: int = 0,
) -> bytes:
    """A 64-bit iOS executable of load commands, one segment of constants and a symbol table.

    Args:
        linked: paths of libraries.
        symbols: names without the leading underscore.
        system: of the store's encryption; 0 is none.
    """
    loads = b""
    for path in linked:
        name = path.encode() + b"\0"
        name += bytes(-len(name) % 8)
        loads += struct.pack("<IIIIII", 0xC, 24 + len(name), 24, 0, 0, 0) + name
    names = b"\0" + b"".join(b"_" + name.encode() + b"\0" for name in symbols)
    size = 32 + len(loads) + 152 + 24 + 24
    section = struct.pack("<16s16sQQI28x", b"__cstring", b"__TEXT", size, len(constants), size)
    segment = struct.pack("<II16sQQQQ", 0x19, 152, b"__TEXT", 0, size, 0, size)
    segment += struct.pack("<IIII", 7, 5, 1, 0) + section
    table = struct.pack("<6I", 2, 24, 0, 0, size + len(constants), len(names))
    cipher = struct.pack("<6I", 0x2C, 24, size, len(constants), system, 0)
    head = struct.pack(
        "<4sIIIIIII", b"\xcf\xfa\xed\xfe", 0x0100000C, 0, 2, len(linked) + 3, size - 32, 0, 0
    )
    return head + loads + segment + table + cipher + constants + names

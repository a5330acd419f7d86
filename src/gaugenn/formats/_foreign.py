"""What is known not to be a model: pages, pictures, archives, code, text.

Readers claim files first; this table only explains the rest, and keeps compressed data from being
taken for encrypted.
"""

import json
import re
import zlib

from gaugenn.formats import _mediapipe

_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_SIZE = re.compile(rb"\nsize (\d{1,18})\n")

_ICU_WORDS = "data of the ICU library"
_ANDROID_XML_WORDS = "an Android resource in protobuf form"
_SIGNATURE_WORDS = "a signature with its certificates"

_MAGICS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"II*\x00", "a TIFF image"),
    (0, b"MM\x00*", "a TIFF image"),
    (0, b"8BPS", "a Photoshop image"),
    (0, b"\xabKTX", "a KTX texture"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"sB\x13\x00", "a Basis texture"),
    (0, b"\x13\xab\xa1\x5c", "an ASTC texture"),
    (8, b"WEBP", "a WebP image"),
    (8, b"WAVE", "a WAVE sound"),
    (8, b"AVI ", "an AVI video"),
    (0, b"OggS", "an Ogg stream"),
    (0, b"ID3", "an MP3 sound"),
    (0, b"\xff\xfb", "an MP3 sound"),
    (0, b"fLaC", "a FLAC sound"),
    (0, b"MThd", "a MIDI file"),
    (4, b"ftyp", "an MP4 or HEIF file"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (0, b"FLV\x01", "a Flash video"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x7fELF", "an ELF library or program"),
    (0, b"MZ", "a Windows program"),
    (0, b"\xcf\xfa\xed\xfe", "a Mach-O library or program"),
    (0, b"\xca\xfe\xba\xbe", "a Java class or a fat Mach-O file"),
    (0, b"dex\n", "Dalvik bytecode"),
    (0, b"cdex", "compact Dalvik bytecode"),
    (0, b"\x00asm", "a WebAssembly module"),
    (0, b"\x1bLua", "Lua bytecode"),
    (0, b"\xac\xed\x00\x05", "serialised Java objects"),
    (0, b"\x03\x00\x08\x00", "Android binary XML"),
    (0, b"\x02\x00\x0c\x00", "an Android resource table"),
    (0, b"SQLite format 3\x00", "an SQLite database"),
    (16, b"T-DB", "a Realm database"),
    (0, b"UnityFS", "a Unity asset bundle"),
    (0, b"glTF", "a glTF scene"),
    (0, b"Kaydara FBX", "an FBX scene"),
    (0, b"\x00\x01\x00\x00\x00", "a TrueType font"),
    (0, b"true\x00", "a TrueType font"),
    (0, b"OTTO", "an OpenType font"),
    (0, b"ttcf", "a font collection"),
    (0, b"wOFF", "a WOFF font"),
    (0, b"wOF2", "a WOFF2 font"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x1f\x8b\x08", "gzip-compressed data"),
    (0, b"\xfd7zXZ\x00", "xz-compressed data"),
    (0, b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
    (0, b"\x04\x22\x4d\x18", "LZ4-compressed data"),
    (0, b"BZh", "bzip2-compressed data"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!\x1a\x07", "a RAR archive"),
    (0, b"MSCF", "a cabinet archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"bplist", "a binary property list"),
    (0, b"\x9b\xc1\x3a\xfe", "a keyboard dictionary"),
    (0, b"\\fsa", "a dictionary as a finite-state automaton"),
    (0, b"pro\x00", "an Android compilation profile"),
    (0, b"prm\x00", "an Android compilation profile"),
    (2, b"\xda\x27", _ICU_WORDS),
    (0, b"-----BEGIN ", "a PEM key or certificate"),
    (4, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", _SIGNATURE_WORDS),
    (
        0,
        b"mmap lm http://kheafield.com/code",
        "a KenLM language model: counts of words, no network",
    ),
    (0, b"\xd6\xfd\xb2\x7e", "an OpenFst transducer: a graph of states, no network"),
    (64, b"\xef\xbe\xad\xde", "the weights of a Core ML program"),
    (28, b"\x07\0\0\0\0\0\0\0generic", "the description of a compiled Core ML model"),
)
"""(offset, bytes, what it is). **Source:** the formats' own specifications, as collected in
https://www.iana.org/assignments/media-types and https://source.android.com/docs/core/runtime/dex-format;
https://github.com/kpu/kenlm/blob/master/lm/binary_format.cc and https://www.openfst.org for the
language model and the transducer; RFC 5652 section 5.1 for the number of signed data.
"""

_CERTAIN_BYTES = 4
_NOT_CERTAIN = frozenset({b"PK\x03\x04", b"PK\x05\x06", b"\x00\x01\x00\x00\x00"}) | frozenset(
    {b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"}
)
"""Signatures that models can begin with: zips, offsets of flatbuffers, compression."""

_CERTAIN_WORDS = {
    magic: what
    for offset, magic, what in _MAGICS
    if not offset and len(magic) >= _CERTAIN_BYTES and magic not in _NOT_CERTAIN
} | dict.fromkeys((b"Manifest-Version: ", b"Signature-Version: "), "text")
"""With the digests of a signed archive. **Source:**
https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html"""

_CERTAIN: dict[bytes, tuple[bytes, str]] = {
    magic[:_CERTAIN_BYTES]: (magic, what) for magic, what in _CERTAIN_WORDS.items()
}
"""By their first bytes; no two share them."""

_CERTAIN_SHAPES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"..\xda\x27(?:\x14\x00|\x00\x14)", re.DOTALL), _ICU_WORDS),
    (
        re.compile(
            rb"\n[\x80-\xff]{0,4}[\x00-\x7f]\n.\n.[a-z]{1,32}\x12.http://schemas\.android\.com/",
            re.DOTALL,
        ),
        _ANDROID_XML_WORDS,
    ),
    (
        re.compile(rb"\x30[\x80-\x84].{2}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", re.DOTALL),
        _SIGNATURE_WORDS,
    ),
)
"""ICU: two bytes of the header's size, the signature, the size of what follows, 20, in either byte
order. Android XML: XmlNode, its element, the element's first namespace, that namespace's prefix and
address. A signature: a sequence that begins with the number of signed data.

**Source:** https://github.com/unicode-org/icu/blob/main/icu4c/source/common/ucmndata.h ;
https://android.googlesource.com/platform/frameworks/base/+/main/tools/aapt2/Resources.proto ; RFC 5652.
"""

_RESOURCE_TABLE = re.compile(
    rb"\n[\x80-\xff]{0,4}[\x00-\x7f]\n[\x80-\xff]{0,4}[\x00-\x7f]\x01\x00\x1c\x00"
    rb"|\x12[\x80-\xff]{0,4}[\x00-\x7f]\n\x02\x08[\x01-\x7f]\x12[\x01-\x7f][A-Za-z]\w*\."
)
"""A pool of strings, itself in Android's binary form, or a package with a number and a name.
**Source:** https://android.googlesource.com/platform/frameworks/base/+/main/tools/aapt2/Resources.proto
"""

_BUNDLE: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        re.compile(rb"\n[\x07-\x40]\x12[\x05-\x3e]\d+\.\d+\.\d+"),
        "the configuration of an Android app bundle",
    ),
    (
        re.compile(rb"\n[\x80-\xff]?[\x01-\x7f]\n[\x03-\x7f](?:assets|lib)[/\x12#]"),
        "a list of targeted folders of an Android app bundle",
    ),
    (
        re.compile(
            rb"\n[\x80-\xff]?[\x01-\x7f]\n[\x80-\xff]?[\x01-\x7f]\n[\x01-\x7f][A-Za-z][\w.-]+\x12[\x01-\x7f]"
            rb"[\w.-]+[\x1a\x22\x2a\x32][\x01-\x7f]\d"
        ),
        "a list of the libraries in an Android app bundle",
    ),
)
"""What else an app bundle holds in protobuf form: `BundleConfig.pb`, `assets.pb` and `native.pb`,
`dependencies.pb`.
**Source:** https://github.com/google/bundletool/tree/master/src/main/proto
"""

_MARKUP = (b"<!doctype html", b"<html", b"<head", b"<body")
_OPENCV = re.compile(rb"<opencv_storage>|^%YAML[: ]1\.0|!!opencv-")
"""**Source:** https://docs.opencv.org/4.x/da/d56/group__core__xml.html"""
_TOKENIZER = re.compile(rb'"(?:added_tokens|tokenizer_class|do_lower_case)"\s*:')
"""**Source:** https://huggingface.co/docs/tokenizers/index"""
_TEXT_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_VOCABULARY = re.compile(rb"(?:^|\n)(?:\[PAD\]|\[UNK\]|<unk>|<s>|<pad>)\r?\n")


def pointer_size_bytes(head: bytes) -> int | None:
    """Size of the file that a Git LFS pointer stands for, or None where it is no pointer.

    **Source:** https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
    """
    if not head.startswith(_POINTER):
        return None
    found = _POINTER_SIZE.search(head + b"\n")
    return int(found[1]) if found else 0


def certain(head: bytes) -> str | None:
    """What a file is that no reader need be asked about; None for all that `describe` must look at.

    Nearly all of a package's members are such files, and asking each reader is dear.

    Args:
        head: the first bytes of the file.
    """
    found = _CERTAIN.get(head[:_CERTAIN_BYTES])
    if found is not None and head.startswith(found[0]):
        return found[1]
    return next((what for shape, what in _CERTAIN_SHAPES if shape.match(head)), None)


def describe(head: bytes, size_bytes: int) -> str | None:
    """What a file is that is no model, as a noun phrase; None where the head says nothing.

    Args:
        head: the first bytes of the file, at least 512 of a longer one.
        size_bytes: size of the whole file.
    """
    if not head:
        return "empty"
    pointed = pointer_size_bytes(head)
    if pointed is not None:
        return f"a Git LFS pointer to {pointed} bytes that were never fetched"
    for offset, magic, what in _MAGICS:
        if head.startswith(magic, offset):
            return what
    if head[:8].lstrip(b"\0").startswith(b"PK\x03\x04"):
        return "a zip archive"
    if head.startswith(b"BM") and int.from_bytes(head[2:6], "little") == size_bytes:
        return "a BMP image"
    if b"http://schemas.android.com/" in head[:512] and not _is_text(head):
        return _ANDROID_XML_WORDS
    if _RESOURCE_TABLE.match(head):
        return "an Android resource table in protobuf form"
    for pattern, what in _BUNDLE:
        if pattern.match(head):
            return what
    pipeline = _mediapipe.recognised(head, text=False)
    if pipeline is not None:
        return pipeline
    if head.startswith(b"\n") and b"<unk>\x15" in head[:64]:
        return "a SentencePiece vocabulary"
    if _is_zlib(head):
        return "zlib-compressed data"
    return _describe_text(head, size_bytes) if _is_text(head) else None


def _describe_text(head: bytes, size_bytes: int) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    lower = text[:256].lower()
    if lower.startswith(_MARKUP):
        return "an HTML page"
    if _OPENCV.search(text[:512]):
        return "an OpenCV storage, such as a cascade of features"
    if lower.startswith((b"<?xml", b"<")):
        return "an HTML page" if b"<html" in lower else "an XML document"
    pipeline = _mediapipe.recognised(text, text=True)
    if pipeline is not None:
        return pipeline
    if _VOCABULARY.search(text[:512]):
        return "a vocabulary list"
    if text[:1] == b"{" and _TOKENIZER.search(text):
        return "the settings of a tokenizer"
    if text[:1] in (b"{", b"["):
        whole = len(head) == size_bytes
        return "JSON that describes no known model" if _is_json(text, whole=whole) else "text"
    return "text"


def _is_json(text: bytes, *, whole: bool) -> bool:
    if not whole:
        return bool(re.match(rb'[{\[]\s*["{\[\]}\d]', text))
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_text(head: bytes) -> bool:
    if _TEXT_CONTROLS.search(head):
        return False
    for cut in range(4):  # the head may end inside a character
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False


def _is_zlib(head: bytes) -> bool:
    """A zlib header (RFC 1950) with a stream behind it that inflates."""
    if head[0] & 0x0F != 8 or len(head) < 8 or int.from_bytes(head[:2], "big") % 31:
        return False
    try:
        return bool(zlib.decompressobj().decompress(head, 256))
    except zlib.error:
        return False

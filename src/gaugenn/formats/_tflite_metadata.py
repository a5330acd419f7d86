"""What a TensorFlow Lite file says about itself beside its graphs.

**Source:** https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/
(`conversion_metadata.fbs`), https://ai.google.dev/edge/litert/conversion/tensorflow/metadata
(`TFLITE_METADATA` and the files packed behind the model as a zip),
https://github.com/google-ai-edge/LiteRT/tree/main/litert/core (`LiteRtStamp`)
"""

import struct
from collections.abc import Iterator

from gaugenn.errors import FormatError
from gaugenn.formats._flatbuffers import FlatBuffer, fields

_DESCRIPTION = fields(
    "name?:str description?:str version?:str - author?:str license?:str - min?:str"
)
_SOURCES = {1: "TensorFlow SavedModel", 2: "Keras", 3: "TensorFlow functions"} | {
    4: "TensorFlow GraphDef",
    5: "TensorFlow session",
    6: "JAX",
    7: "PyTorch",
}

_MOST_TEXT_BYTES = 4096
_MOST_FILES = 1024

# Zip: the end record is at least 22 bytes, followed by a comment of at most 65535; a central header is
# at least 46. **Source:** https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
_END_RECORD = struct.Struct("<4s4H2LH")
_CENTRAL_HEADER = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 0xFFFF


def entries(name: str, data: memoryview) -> Iterator[tuple[str, str]]:
    """What one metadata buffer says, as (key, text); nothing for kinds that are not known.

    Args:
        name: of the metadata entry.
        data: the buffer it names.
    """
    try:
        if name == "min_runtime_version":
            version = bytes(data[:64]).split(b"\0")[0].decode("ascii", "replace")
            if version:
                yield name, version
        elif name == "TFLITE_METADATA":
            for key, value in FlatBuffer(data, name).root(b"M001").read(_DESCRIPTION).items():
                key = "min_parser_version" if key == "min" else key
                yield key, str(value)[:_MOST_TEXT_BYTES]
        elif name == "CONVERSION_METADATA":
            environment = FlatBuffer(data, name).root().table(0)
            if environment is None:
                return
            if environment.has(0):
                yield "tensorflow_version", environment.string(0)[:_MOST_TEXT_BYTES]
            source = _SOURCES.get(environment.integer(2))
            if source:
                yield "converted_from", source
        elif name == "LiteRtStamp":
            # Two fields of fixed size, padded with zeros: the chip's maker and its name.
            words = bytes(data[:_MOST_TEXT_BYTES]).decode("ascii", "replace").split("\0")
            yield "compiled_for", " ".join(word for word in words if word)
    except FormatError:
        yield f"unreadable {name}", f"{data.nbytes} bytes"


def packed_files(data: memoryview) -> tuple[str, ...]:
    """Names of the files in a zip at the end of the model file; empty when there is none."""
    tail_start = max(0, data.nbytes - _END_RECORD.size - _LONGEST_COMMENT)
    at = tail_start + bytes(data[tail_start:]).rfind(b"PK\5\6")
    if at < tail_start or at + _END_RECORD.size > data.nbytes:
        return ()
    _, _, _, _, count, size, offset, _ = _END_RECORD.unpack_from(data, at)
    # Offsets count from the first local header or from the start of the file, by the zip's writer.
    position = at - size
    if position < 0 or offset > position:
        return ()
    names: list[str] = []
    for _ in range(min(count, _MOST_FILES)):
        if position + _CENTRAL_HEADER.size > at:
            break
        header = _CENTRAL_HEADER.unpack_from(data, position)
        lengths = header[10:13]
        start = position + _CENTRAL_HEADER.size
        position = start + sum(lengths)
        if header[0] != b"PK\1\2" or position > at:
            break
        names.append(bytes(data[start : start + lengths[0]]).decode("utf-8", "replace"))
    return tuple(names)

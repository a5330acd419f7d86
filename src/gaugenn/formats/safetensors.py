"""safetensors: named tensors behind a header in JSON, and nothing else."""

import json
import struct
from collections.abc import Iterator, Mapping
from itertools import pairwise

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._weights_only import weights_model
from gaugenn.graph import DataType, Model, Tensor, TensorKind

_LARGEST_HEADER_BYTES = 100_000_000
_RANK_LIMIT = 64
_TYPES: Mapping[str, DataType] = {
    "F64": DataType.FLOAT64,
    "F32": DataType.FLOAT32,
    "F16": DataType.FLOAT16,
    "BF16": DataType.BFLOAT16,
    "F8_E4M3": DataType.FLOAT8_E4M3FN,
    "F8_E4M3FNUZ": DataType.FLOAT8_E4M3FNUZ,
    "F8_E5M2": DataType.FLOAT8_E5M2,
    "F8_E5M2FNUZ": DataType.FLOAT8_E5M2FNUZ,
    "F8_E8M0": DataType.FLOAT8_E8M0FNU,
    "F4": DataType.FLOAT4_E2M1FN,
    "I64": DataType.INT64,
    "I32": DataType.INT32,
    "I16": DataType.INT16,
    "I8": DataType.INT8,
    "U64": DataType.UINT64,
    "U32": DataType.UINT32,
    "U16": DataType.UINT16,
    "U8": DataType.UINT8,
    "BOOL": DataType.BOOL,
    "C64": DataType.COMPLEX64,
}


class SafetensorsReader(FormatReader):
    """Reads the tensors. There is no graph: the remark is `weights-only`."""

    title = "safetensors"
    spec = "https://github.com/huggingface/safetensors#format"
    suffixes = (".safetensors",)
    magics = ((5, b'\0\0\0{"'),)  # the header has less than 2**40 bytes

    def sniff(self, name: str, head: bytes) -> bool:
        """By the header's length and the brace and key that begin it."""
        del name
        if len(head) < 10:
            return False
        size = int.from_bytes(head[:8], "little")
        begun = head[8:10] == b'{"' or head[8:].rstrip(b" ") == b"{}"
        return 2 <= size <= _LARGEST_HEADER_BYTES and begun

    def read(self, content: Content) -> Model:
        """Reads the header; the tensors must fill the rest without gaps.

        Raises:
            FormatError: cut off, a header that is not JSON of the right form, gaps or overlaps.
        """
        data, where = content.data, content.name
        if data.nbytes < 8:
            raise FormatError(f"{where}: safetensors of {data.nbytes} bytes: cut off")
        (size,) = struct.unpack_from("<Q", data)
        if size > min(_LARGEST_HEADER_BYTES, data.nbytes - 8):
            raise FormatError(f"{where}: a header of {size} bytes in {data.nbytes}: cut off")
        header = _parsed(bytes(data[8 : 8 + size]), where)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict):
            raise FormatError(f"{where}: __metadata__ should map texts to texts")
        rest = data[8 + size :]
        found = sorted(_tensors(header, rest, where), key=lambda each: each[:2])
        ends = [(0, 0), *(each[:2] for each in found), (rest.nbytes, rest.nbytes)]
        if any(before[1] != after[0] for before, after in pairwise(ends)):
            raise FormatError(
                f"{where}: the tensors do not fill the {rest.nbytes} bytes behind the header "
                "without gaps: the file is cut off or was changed"
            )
        return weights_model(
            "safetensors",
            "",
            (tensor for _, _, tensor in found),
            metadata={str(k): str(v) for k, v in metadata.items()},
        )


def _parsed(raw: bytes, where: str) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise FormatError(f"{where}: the header has a key twice")
        return found

    try:
        header = json.loads(raw, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where}: the header is no JSON: {str(error)[:80]}") from None
    if not isinstance(header, dict):
        raise FormatError(f"{where}: the header should be a JSON object")
    return header


def _tensors(
    header: Mapping[str, object], rest: memoryview, where: str
) -> Iterator[tuple[int, int, Tensor]]:
    """Start, end and tensor of each entry."""
    for name, entry in header.items():
        if not isinstance(entry, dict):
            raise FormatError(f"{where}: tensor {name!r} is described by no object")
        kind, shape = entry.get("dtype"), _integers(entry.get("shape"))
        offsets = _integers(entry.get("data_offsets"))
        if not isinstance(kind, str) or shape is None or offsets is None or len(offsets) != 2:
            raise FormatError(f"{where}: tensor {name!r} lacks dtype, shape or data_offsets")
        if kind not in _TYPES:
            raise UnsupportedFormatError(f"{where}: tensor {name!r} has the unknown dtype {kind!r}")
        start, end = offsets
        if not start <= end <= rest.nbytes:
            raise FormatError(f"{where}: tensor {name!r} ends at {end} of {rest.nbytes}: cut off")
        tensor = Tensor(
            name=name,
            dtype=_TYPES[kind],
            shape=shape,
            data=rest[start:end],
            kind=TensorKind.CONSTANT,
        )
        yield start, end, tensor


def _integers(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or len(value) > _RANK_LIMIT:
        return None
    found = tuple(v for v in value if type(v) is int and 0 <= v < 1 << 62)
    return found if len(found) == len(value) else None

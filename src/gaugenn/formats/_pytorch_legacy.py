"""PyTorch checkpoints from before the zip: five pickles in a row, then the storages.

**Source:** https://github.com/pytorch/pytorch/blob/main/torch/serialization.py, `_legacy_save`: a magic
number, a protocol version, facts about the machine, the value, the storages' keys in their order; then
for each storage its number of elements as 64 bits and the elements.
"""

import struct

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._pickle import Pairs, Persistent, Value, children, walk
from gaugenn.formats._pytorch_tensors import PickledTensors, named_tensors, storage_type
from gaugenn.formats._weights_only import weights_model
from gaugenn.graph import Model

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickle of the magic number 0x1950a86a20f9469cfc6c."""
_PROTOCOL = 1001


def read_legacy(content: Content) -> Model:
    """Reads the weights.

    Raises:
        FormatError: cut off, or storages that the value does not have.
    """
    data, where = content.data, content.name
    at = len(LEGACY_MAGIC)
    values: list[Value] = []
    for _ in range(4):
        pickled = walk(data, where, at)
        values.append(pickled.value)
        at = pickled.end
    protocol, machine, root, keys = values
    if protocol != _PROTOCOL:
        raise UnsupportedFormatError(f"{where}: PyTorch's legacy protocol should be {_PROTOCOL}")
    if isinstance(machine, Pairs) and machine.get("little_endian") is False:
        raise UnsupportedFormatError(f"{where}: weights of the other byte order")
    if not isinstance(keys, list):
        raise FormatError(f"{where}: the storages' keys are no list")
    sizes = _item_sizes(root)
    found: dict[str, memoryview] = {}
    for key in keys:
        if not isinstance(key, str) or key not in sizes:
            raise FormatError(f"{where}: a storage that no tensor uses")
        if at + 8 > data.nbytes:
            raise FormatError(f"{where}: cut off before the storage {key[:40]!r}")
        (count,) = struct.unpack_from("<q", data, at)
        at += 8
        size = count * sizes[key]
        if count < 0 or size > data.nbytes - at:
            raise FormatError(
                f"{where}: the storage {key[:40]!r} of {size} bytes at {at} is cut off"
            )
        found[key] = data[at : at + size]
        at += size

    def storage(key: str) -> memoryview:
        if key not in found:
            raise FormatError(f"{where}: the storage {key[:40]!r} is missing")
        return found[key]

    tensors = PickledTensors(where=where, storages=storage)
    held = tuple(named_tensors(root, tensors))
    notes = {*tensors.notes, "legacy"}
    return weights_model("pytorch", "legacy", held, notes=notes)


def _item_sizes(root: Value) -> dict[str, int]:
    """Bytes of an element of each storage that the value refers to."""
    sizes: dict[str, int] = {}
    seen: set[int] = set()
    pending: list[Value] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, Persistent):
            found = storage_type(value)
            if found is not None:
                sizes[found[1]] = (found[0].bits or 8) // 8
            continue
        if value is None or isinstance(value, bool | int | float | str | bytes):
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        pending += children(value)
    return sizes

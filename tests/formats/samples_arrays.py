"""safetensors and numpy samples; the layouts are short enough to write down."""

import io
import json
import struct

import numpy as np

from tests.formats.samples import Sample


def safetensors() -> bytes:
    """Two tensors and a remark, as the format's description has it."""
    header = {
        "__metadata__": {"format": "pt"},
        "bias": {"dtype": "F32", "shape": [2], "data_offsets": [12, 20]},
        "weight": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(range(20))


def npy() -> bytes:
    """One array by numpy itself."""
    stream = io.BytesIO()
    np.save(stream, np.arange(12, dtype="<f4").reshape(3, 4))
    return stream.getvalue()


def npz(*, compressed: bool) -> bytes:
    """Several arrays by numpy itself; one of them column by column."""
    stream = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(stream, weight=np.asfortranarray(np.arange(6.0).reshape(2, 3)), count=np.int64(7))
    return stream.getvalue()


def samples() -> tuple[Sample, ...]:
    """One of each kind of file."""
    return (
        Sample(name="two", format="safetensors", source=safetensors, file_name="model.safetensors"),
        Sample(name="npy", format="numpy", source=npy, file_name="a.npy"),
        Sample(name="npz", format="numpy", source=lambda: npz(compressed=False), file_name="a.npz"),
        Sample(
            name="npz-deflated",
            format="numpy",
            source=lambda: npz(compressed=True),
            file_name="a.npz",
        ),
    )

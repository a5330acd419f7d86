"""A Whisper model in ggml's older form, put together by hand from the documented layout."""

import struct

from tests.formats.samples import Sample

FACTS = (5, 8, 4, 2, 1, 8, 4, 2, 1, 2, 1)
"""Vocabulary, audio context, state, heads, layers, the same of the text, mel bands, file type."""


def parts() -> list[bytes]:
    """Everything before the tensors, then each tensor."""
    head = b"lmgg" + struct.pack("<11i", *FACTS) + struct.pack("<2i6f", 2, 3, *range(6))
    words = [b"a", b" of", "ü".encode()]
    head += struct.pack("<i", len(words))
    head += b"".join(struct.pack("<i", len(word)) + word for word in words)
    tensors = [
        ("decoder.positional_embedding", (4, 8), 0, bytes(128)),
        ("encoder.conv1.bias", (1, 4), 1, bytes(range(8))),
        ("encoder.blocks.0.mlp.0.weight", (32, 2), 8, bytes(68)),
    ]
    return [
        head,
        *(
            struct.pack(f"<{3 + len(sizes)}i", len(sizes), len(name), kind, *sizes)
            + name.encode()
            + data
            for name, sizes, kind, data in tensors
        ),
    ]


def endings(_data: bytes) -> set[int]:
    """Nothing says how many tensors follow."""
    found = parts()
    return {sum(map(len, found[:count])) for count in range(1, len(found))}


def samples() -> tuple[Sample, ...]:
    """Three tensors, one of them quantised."""
    return (
        Sample(
            name="whisper",
            format="ggml",
            source=lambda: b"".join(parts()),
            file_name="ggml-tiny.bin",
            endings=endings,
        ),
    )

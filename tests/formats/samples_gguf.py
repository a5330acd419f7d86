"""GGUF samples, laid out by hand as the format's description has it."""

import struct

import numpy as np

from tests.formats.samples import Sample


def text(value: str) -> bytes:
    """Text with its length before it."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(
    tensors: dict[str, tuple[tuple[int, ...], int, bytes]], *, facts: bytes = b"", count: int = 0
) -> bytes:
    """A file of tensors: shape outermost first, type, bytes."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), count) + facts
    rest = b""
    for name, (shape, kind, data) in tensors.items():
        head += text(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", kind, len(rest))
        rest += data + bytes(-len(data) % 32)
    return head + bytes(-len(head) % 32) + rest


def all_kinds() -> bytes:
    """Plain, split into blocks of integers, and blocks of another kind."""
    generator = np.random.default_rng(0)
    q8 = b"".join(struct.pack("<e", i / 8) + generator.bytes(32) for i in range(4))
    q4 = b"".join(struct.pack("<e", i / 8) + generator.bytes(16) for i in range(2))
    facts = text("general.architecture") + struct.pack("<I", 8) + text("bert")
    facts += text("tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    facts += text("weights") + struct.pack("<IIQ2f", 9, 6, 2, 0.5, 0.25)
    return gguf(
        {
            "plain": ((2, 3), 0, generator.bytes(24)),
            "bytes": ((2, 64), 8, q8),
            "nibbles": ((2, 32), 2, q4),
            "other": ((256,), 12, generator.bytes(144)),
        },
        facts=facts,
        count=3,
    )


def samples() -> tuple[Sample, ...]:
    """With tensors of all kinds, and with none."""
    return (
        Sample(name="kinds", format="gguf", source=all_kinds, file_name="a.gguf"),
        Sample(
            name="vocabulary",
            format="gguf",
            source=lambda: gguf({}, facts=text("n") + struct.pack("<II", 4, 7), count=1),
            file_name="a.gguf",
        ),
    )

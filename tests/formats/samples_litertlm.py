"""LiteRT-LM samples: bundles of small TensorFlow Lite models."""

import struct
from collections.abc import Iterable, Sequence

from tests.formats._flatbuffer_builder import Fields, Value, build
from tests.formats.samples import Sample
from tests.formats.samples_tflite import control_flow_file, external_file, float_file, floats

MODEL, TOKENIZER, WEIGHTS = 3, 4, 7
BLOCK_BYTES = 256
"""Real files align sections to 16 KiB; here it only has to be more than the header."""

Part = tuple[int, dict[str, str], bytes]


def text(key: str, value: str) -> Fields:
    """A property."""
    return {0: key, 1: ("u8", 9), 2: {0: value}}


def bundle(parts: Sequence[Part], version: tuple[int, int, int] = (1, 4, 0)) -> bytes:
    """A file with these sections."""
    properties: list[Value] = [
        text("Authors", "gaugenn"),
        {0: "layers", 1: ("u8", 5), 2: {0: ("u32", 3)}},
    ]
    start = 8 * BLOCK_BYTES
    sections: list[Value] = []
    body = b""
    for kind, told, data in parts:
        items: list[Value] = [text(key, value) for key, value in told.items()]
        sections.append(
            {
                0: items,
                1: ("u64", start + len(body)),
                2: ("u64", start + len(body) + len(data)),
                3: ("u8", kind),
            }
        )
        body += data + bytes(-len(data) % BLOCK_BYTES)
    table = build({0: {0: properties}, 1: {0: sections}})
    head = struct.pack("<8s4IQ", b"LITERTLM", *version, 0, 32 + len(table)) + table
    assert len(head) <= start
    return head.ljust(start, b"\0") + body


def language_model() -> bytes:
    """Two models, of which one has its weights beside it, and a tokenizer."""
    return bundle(
        [
            (MODEL, {"model_type": "tf_lite_embedder"}, float_file().data()),
            (TOKENIZER, {}, b"\n\x0e\n\x05<unk>"),
            (MODEL, {"model_type": "tf_lite_prefill_decode"}, control_flow_file().data()),
            (MODEL, {"model_type": "tf_lite_vision_encoder"}, external_file().data()),
            (WEIGHTS, {"model_type": "tf_lite_vision_encoder"}, bytes(4) + floats(8)),
        ]
    )


def samples() -> Iterable[Sample]:
    """Every sample of the format."""
    yield Sample(
        name="language_model",
        format="litertlm",
        source=language_model,
        file_name="language_model.litertlm",
    )

"""MediaPipe graphs: pipelines of calculators around models that lie elsewhere.

They are no networks and count as none; what they run, and which files they name, is worth knowing.

**Source:** https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/framework/calculator.proto
"""

import re
from collections import Counter

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._protobuf import Schema, read_message

GRAPH = "a MediaPipe graph"
TRACE = "a MediaPipe trace, a record of how long calculators took"

_VARINT = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
_BINARY = re.compile(
    rb"\n" + _VARINT + rb"(?:\n[\x00-\x7f][ -~]+)?\x12[\x00-\x7f]\w+(?:Calculator|Subgraph|Cpu|Gpu)"
)
_TRACE = re.compile(
    rb"\n" + _VARINT + rb"\x08" + _VARINT + rb"\x10" + _VARINT + rb"\x1a[\x00-\x7f]\w+Calculator"
)
"""The first node of a graph; the first names in a trace (**Source:** `calculator_profile.proto`)."""

_TEXT = re.compile(rb"^\s*(?:node\s*:?\s*\{\s*(?:name:\s*\S+\s+)?)?calculator\s*:", re.MULTILINE)
_CALCULATOR = re.compile(rb"\bcalculator\s*:\s*[\"']([\w.:]{1,200})[\"']")
_FILE = re.compile(rb"[\w./-]{1,200}?\.(?:tflite|task|onnx|pb|binarypb|litertlm)\b")

_CONFIG = Schema("CalculatorGraphConfig", node=1)
_NODE = Schema("Node", name=1, calculator=2)

_MOST_BYTES = 16 << 20
_MOST_TOLD = 12


def recognised(head: bytes, *, text: bool) -> str | None:
    """What of MediaPipe begins with these bytes, or None.

    Args:
        head: the first bytes of the file.
        text: whether they are text.
    """
    if text:
        is_graph = b"calculator" in head and b"node" in head and _TEXT.search(head)
        return GRAPH if is_graph else None
    if _BINARY.match(head):
        return GRAPH
    return TRACE if _TRACE.match(head) else None


def describe(content: Content) -> str:
    """A graph in words: its calculators, the most frequent first, and the model files it names."""
    data = content.data[:_MOST_BYTES]
    calculators = _calculators(data)
    total = sum(calculators.values())
    told = [
        name if count == 1 else f"{name} ({count})"
        for name, count in sorted(calculators.items(), key=lambda item: (-item[1], item[0]))
    ]
    rest = f" and {len(told) - _MOST_TOLD} others" if len(told) > _MOST_TOLD else ""
    files = sorted({found[0].decode() for found in _FILE.finditer(data)})[:_MOST_TOLD]
    models = f"; it names {', '.join(files)}" if files else ""
    return f"{GRAPH} of {total} calculators: {', '.join(told[:_MOST_TOLD])}{rest}{models}"


def _calculators(data: memoryview) -> Counter[str]:
    if not _BINARY.match(data[:4096]):
        return Counter(found[1].decode() for found in _CALCULATOR.finditer(data))
    try:
        nodes = read_message(data, _CONFIG).messages("node", _NODE)
        return Counter(node.text("calculator") for node in nodes)
    except FormatError:
        return Counter()

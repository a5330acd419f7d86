"""The bar on real files: what share is recognised and read, and what every difference is.

Two answer keys: the manifest of the corpus (what the file is) and what the Netron viewer says of it
(how often each operator occurs). Where gaugenn differs from one of them, a table here says why.
"""

from collections import Counter

import pytest

from gaugenn.errors import FormatError
from gaugenn.formats import identify, read_model
from gaugenn.records import FileKind
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus

RECOGNISED_BAR = 1.0
READ_BAR = 0.98

LABELS: dict[str, str] = {
    "caffe": "caffe",
    "coreml": "coreml",
    "executorch": "executorch",
    "ggml_legacy": "ggml",
    "gguf": "gguf",
    "keras_h5": "keras",
    "mindspore_lite": "mindspore",
    "mnn": "mnn",
    "ncnn": "ncnn",
    "onnx": "onnx",
    "ort": "ort",
    "pytorch_checkpoint": "pytorch",
    "snpe_dlc": "snpe",
    "tengine": "tengine",
    "tf_frozen": "tensorflow",
    "tf_savedmodel": "tensorflow",
    "tflite": "tflite",
    "tflite_gzip": "tflite",
    "tnn": "tnn",
}
"""Readers by the manifest's names of whole models."""

KINDS: dict[str, FileKind] = {
    "none": FileKind.UNKNOWN,
    "encrypted": FileKind.ENCRYPTED,
    "invalid": FileKind.INVALID,
    "onnx_truncated": FileKind.INVALID,
    "tflite_truncated": FileKind.INVALID,
    "coreml_compiled": FileKind.UNKNOWN,
    "mediapipe_graph": FileKind.UNKNOWN,
    "mediapipe_task": FileKind.UNKNOWN,
}
"""What the other names of the manifest mean here. The file of a compiled Core ML model that the
manifest names describes inputs and outputs; the network lies in another. A
MediaPipe graph is a pipeline and no network; a task bundle is an archive, whose members are files of
their own."""

OTHER_VERDICTS: dict[str, tuple[FileKind, str]] = {
    "caffe/RFB-320.caffemodel": (FileKind.WEIGHTS, "belongs to RFB-320.prototxt"),
    "caffe/det1.caffemodel": (FileKind.WEIGHTS, "belongs to det1.prototxt"),
    "caffe/det2.caffemodel": (FileKind.WEIGHTS, "belongs to det2.prototxt"),
    "ncnn/RFB-320.bin": (FileKind.WEIGHTS, "belongs to RFB-320.param"),
    "ncnn/model_1.bin": (FileKind.WEIGHTS, "belongs to model_1.param"),
    "negative/simple_model_qualcomm.bin": (
        FileKind.INVALID,
        "the manifest's none means that no layers can be read; it is a QNN context and named as one",
    ),
}
"""Files whose kind is not what the manifest's word means, with the reason."""

OTHER_FORMATS: dict[str, tuple[str, str]] = {
    "tengine/mnist.onnx": ("onnx", "the ONNX file that the Tengine file beside it was made from"),
}
"""Files of another format than the manifest's word, with the reason."""

CONSTANTS_FOLDED = "the key draws constants as weights of the nodes that take them"
OUTER_GRAPH_ONLY = "the key lists the outermost graph; bodies of If and Loop are counted here"
ACTIVATIONS_FOLDED = "the key draws a layer that works in place into the layer before it"

OTHER_OPERATORS: dict[str, tuple[dict[str, int], str]] = {
    "caffe/det1.prototxt": ({"prelu": 3}, ACTIVATIONS_FOLDED),
    "caffe/det2.prototxt": ({"prelu": 4}, ACTIVATIONS_FOLDED),
    "caffe/squeezenet_v1.1.prototxt": ({"relu": 26, "dropout": 1}, ACTIVATIONS_FOLDED),
    "ggml/ggml-vocab-bert-bge.gguf": ({"tokenizer": -1}, "the key draws the vocabulary as a node"),
    "ggml/ggml-vocab-llama-spm.gguf": ({"tokenizer": -1}, "the key draws the vocabulary as a node"),
    "ncnn/nanodet_m.param": (
        {"noop": -1},
        "the file declares one layer less than it lists; ncnn stops there, the key goes on",
    ),
    "onnx/attention_past_state.u8s8.onnx": ({"constant": 42}, CONSTANTS_FOLDED),
    "onnx/cnn_mnist_pytorch.onnx": ({"constant": 1}, CONSTANTS_FOLDED),
    "onnx/pytorch_superresolution_with_pre_post_processing_op18.onnx": (
        {"constant": 23},
        CONSTANTS_FOLDED,
    ),
    "onnx/version-RFB-320.onnx": ({"constant": 31}, CONSTANTS_FOLDED),
    "pytorch/model.pth": ({"weights": -19}, "the key draws each layer's weights as a node"),
    "tensorflow/saved_model.pb": ({"const": 15}, CONSTANTS_FOLDED),
    "tensorflow/tf_graph_def.pb": (
        {"const": 11, "placeholder": -1},
        f"{CONSTANTS_FOLDED}, and a placeholder that nothing takes as a node",
    ),
}
"""Operators that are counted here and not by Netron (negative: the other way round), and why."""

OUTER_GRAPHS: dict[str, str] = {
    "onnx/silero_vad.onnx": OUTER_GRAPH_ONLY,
    "onnx/tiny_gpt2_beamsearch.onnx": OUTER_GRAPH_ONLY,
}
"""Files where only the outermost graph can be compared."""

KEYLESS: dict[str, str] = {
    "adversarial/model_gz.tflite": "Netron does not look inside gzip",
    "executorch/model.pte": "Netron lacks the schema of an operator of Arm's",
    "ggml/for-tests-ggml-tiny.bin": "Netron names the format and reads no further",
}
"""Models that are read here and have no key, and what Netron says instead."""


def listed() -> list[tuple[str, str]]:
    """Path and the manifest's word for every file that is no app package."""
    return [(p, e) for p, e in _corpus.rows() if not p.startswith(("apk/", "packages/"))]


def expected_kind(path: str, word: str) -> FileKind:
    if path in OTHER_VERDICTS:
        return OTHER_VERDICTS[path][0]
    return KINDS.get(word, FileKind.MODEL)


def expected_format(path: str, word: str) -> str:
    return OTHER_FORMATS[path][0] if path in OTHER_FORMATS else LABELS[word]


def verdict(path: str) -> tuple[FileKind, str]:
    """Kind and format after reading."""
    content = _corpus.content(path)
    found = identify(content)
    if found.kind is not FileKind.MODEL:
        return found.kind, found.formats[0] if found.formats else ""
    try:
        return FileKind.MODEL, read_model(content).format
    except FormatError:
        return FileKind.INVALID, found.formats[0]


def plain(operators: Counter[str]) -> Counter[str]:
    """Operators without the spelling that a reader chose: `CONV_2D` and `Conv2D` are one."""
    found: Counter[str] = Counter()
    for name, count in operators.items():
        found[name.replace("_", "").lower()] += count
    return found


@needs_corpus
@pytest.mark.parametrize(("path", "word"), listed())
def test_a_file_is_what_the_manifest_says_or_the_difference_is_explained(
    path: str, word: str
) -> None:
    kind, format_ = verdict(path)
    assert kind is expected_kind(path, word)
    if kind in (FileKind.MODEL, FileKind.WEIGHTS):
        assert format_ == expected_format(path, word)


@needs_corpus
def test_the_shares_that_are_recognised_and_read_reach_the_bars() -> None:
    models = [(path, word) for path, word in listed() if word in LABELS]
    weights = {path for path, (kind, _) in OTHER_VERDICTS.items() if kind is FileKind.WEIGHTS}
    recognised = read = 0
    for path, word in models:
        found = identify(_corpus.content(path))
        recognised += expected_format(path, word) in found.formats
        read += path in weights or verdict(path)[0] is FileKind.MODEL
    assert len(models) >= 95
    assert recognised / len(models) >= RECOGNISED_BAR
    assert read / len(models) >= READ_BAR


@needs_corpus
@pytest.mark.parametrize(
    "path", [path for path, word in listed() if expected_kind(path, word) is FileKind.MODEL]
)
def test_operators_occur_as_often_as_netron_says_or_the_difference_is_explained(path: str) -> None:
    key = _corpus.key(path)
    model = read_model(_corpus.content(path))
    if key is None:
        assert path in KEYLESS
        return
    graphs = model.graphs[:1] if path in OUTER_GRAPHS else model.graphs
    mine = plain(Counter(node.source_operator for graph in graphs for node in graph.nodes))
    theirs = plain(key)
    difference = {
        name: mine[name] - theirs[name]
        for name in mine.keys() | theirs.keys()
        if mine[name] != theirs[name]
    }
    assert difference == OTHER_OPERATORS.get(path, ({}, ""))[0]


@needs_corpus
def test_every_explained_difference_is_about_a_file_that_exists() -> None:
    paths = {path for path, _ in listed()}
    for table in (OTHER_VERDICTS, OTHER_FORMATS, OTHER_OPERATORS, OUTER_GRAPHS, KEYLESS):
        assert set(table) <= paths

"""What models are for: each rule on a hand-made network, and all of them on labelled files."""

import os
from pathlib import Path

import pytest
from benchmarks.task import BARS, cases, labels, score
from tests.analysis.networks import (
    Builder,
    mobilenet_v1,
    mobilenet_v2,
    resnet_50,
    squeezenet_1_1,
    vgg_16,
)

from gaugenn.analysis.layers import layer_classes
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.analysis.task import MODALITY_OF, Purpose, purpose
from gaugenn.graph import DataType, Model
from gaugenn.records import Modality, Task

CORPUS = os.environ.get("GAUGENN_CORPUS")


def look(model: Model, *names: str) -> Purpose:
    shapes = infer_shapes(model)
    return purpose(model, shapes, layer_classes(model, shapes), names)


def answer(model: Model, *names: str) -> tuple[str, str, str]:
    found = look(model, *names)
    return found.modality.value, found.task.value, found.family


def features(b: Builder, x: str, layers: int = 4) -> str:
    """Some convolutions that keep the size."""
    for _ in range(layers):
        x = b.relu(b.conv(x, 8, 3, padding=1))
    return x


def head(b: Builder, x: str, outputs: int) -> str:
    return b.dense(b.flat(b.node("GlobalAveragePool", [x])), 8, outputs)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        (mobilenet_v1(Builder()), "mobilenet-v1"),
        (mobilenet_v2(Builder()), "mobilenet-v2"),
        (mobilenet_v2(Builder(channels_last=True)), "mobilenet-v2"),
        (resnet_50(Builder(), stride_in_3x3=True), "resnet"),
        (vgg_16(Builder()), "vgg"),
        (squeezenet_1_1(Builder()), "squeezenet"),
    ],
    ids=["mobilenet-v1", "mobilenet-v2", "mobilenet-v2 nhwc", "resnet", "vgg", "squeezenet"],
)
def test_published_networks_are_image_classifiers_of_their_family(
    model: Model, family: str
) -> None:
    assert answer(model) == ("vision", "classification", family)


def gated_residuals(b: Builder, activation: str) -> Model:
    x = b.conv(b.image(3, 64, 64), 16, 3, 2, 1)
    for _ in range(4):
        y = b.node(activation, [b.conv(x, 64, 1)])
        y = b.node(activation, [b.conv(y, 64, 5, padding=2, group=64)])
        gate = b.relu(b.conv(b.node("GlobalAveragePool", [y]), 16, 1))
        y = b.node("Mul", [y, b.node("Sigmoid", [b.conv(gate, 64, 1)])])
        b.channels[y] = 64
        x = b.node("Add", [x, b.conv(y, 16, 1)])
        b.channels[x] = 16
    return b.model(b.dense(b.flat(b.node("GlobalAveragePool", [x])), 16, 1000))


def test_gated_residuals_are_told_apart_by_their_activation() -> None:
    assert look(gated_residuals(Builder(), "HardSwish")).family == "mobilenet-v3"
    assert look(gated_residuals(Builder(), "Swish")).family == "efficientnet"


def test_a_list_of_anchors_with_boxes_and_scores_is_a_detector() -> None:
    def detector(scores: int, coordinates: int) -> Model:
        b = Builder()
        x = features(b, b.image(3, 32, 32))
        boxes = b.node("Reshape", [b.conv(x, coordinates, 1), b.sizes(1, 1024, coordinates)])
        found = b.node("Reshape", [b.conv(x, scores, 1), b.sizes(1, 1024, scores)])
        return b.model(boxes, found)

    assert answer(detector(21, 4)) == ("vision", "detection", "ssd")
    assert answer(detector(1, 16)) == ("vision", "face-detection", "blazeface")


def test_a_post_processing_operator_makes_a_detector() -> None:
    b = Builder()
    x = features(b, b.image(3, 32, 32))
    y = b.node("", [x], source="TFLite_Detection_PostProcess", declared=(1, 10, 4))
    assert answer(b.model(y)) == ("vision", "detection", "ssd")


def test_a_class_for_each_pixel_is_a_segmentation() -> None:
    b = Builder()
    x = b.conv(features(b, b.image(3, 64, 64)), 21, 1)
    assert answer(b.model(b.node("ArgMax", [x], axis=1, keepdims=0)))[:2] == (
        "vision",
        "segmentation",
    )
    assert answer(b.model(x))[:2] == ("vision", "segmentation")


def test_skips_into_an_upsampling_path_make_a_u_net() -> None:
    b = Builder()
    x = b.image(3, 64, 64)
    levels = []
    for _ in range(4):
        x = b.relu(b.conv(x, 8, 3, padding=1))
        levels.append(x)
        x = b.pool("MaxPool", x, 2, 2)
    for level in reversed(levels):
        x = b.node("Resize", [x, "", b.constant(4, values=[1.0, 1.0, 2.0, 2.0])])
        b.channels[x] = 8
        x = b.relu(b.conv(b.concat(x, level), 8, 3, padding=1))
    assert answer(b.model(b.node("Sigmoid", [b.conv(x, 1, 1)]))) == (
        "vision",
        "segmentation",
        "u-net",
    )


def test_a_larger_image_is_super_resolution_and_depth_to_space_an_espcn() -> None:
    b = Builder()
    x = b.conv(features(b, b.image(1, 64, 64)), 9, 3, padding=1)
    assert answer(b.model(b.node("DepthToSpace", [x], blocksize=3))) == (
        "vision",
        "super-resolution",
        "espcn",
    )


def test_an_image_again_with_instance_normalisation_is_a_style_transfer() -> None:
    def filter_(normalised: bool) -> Model:
        b = Builder()
        x = b.image(3, 64, 64)
        for _ in range(5):
            x = b.conv(x, 8, 3, padding=1)
            if normalised:
                x = b.node("InstanceNormalization", [x, b.constant(8), b.constant(8)])
        return b.model(b.node("Sigmoid", [b.conv(x, 3, 3, padding=1)]))

    assert answer(filter_(normalised=True))[:2] == ("vision", "style-transfer")
    assert answer(filter_(normalised=False))[:2] == ("vision", "image-enhancement")


@pytest.mark.parametrize(
    ("length", "task"), [(136, "landmarks"), (1404, "landmarks"), (512, "embedding")]
)
def test_the_length_of_a_vector_tells_points_from_embeddings(length: int, task: str) -> None:
    b = Builder()
    found = answer(b.model(head(b, features(b, b.image(3, 64, 64)), length)))
    assert found[:2] == ("vision", task)


def test_heat_maps_for_seventeen_joints_are_a_pose() -> None:
    b = Builder()
    x = b.conv(b.conv(b.image(3, 64, 64), 8, 3, 2, 1), 17, 3, 2, 1)
    assert answer(b.model(x))[:2] == ("vision", "pose")


def test_a_score_and_a_box_is_a_stage_of_mtcnn() -> None:
    for channels_last in (False, True):
        b = Builder(channels_last=channels_last)
        x = b.relu(b.conv(b.image(3, 24, 24), 8, 3))
        model = b.model(b.node("Softmax", [b.conv(x, 2, 1)]), b.conv(x, 4, 1))
        assert answer(model) == ("vision", "face-detection", "mtcnn")


def embedded(b: Builder, rows: int = 300) -> str:
    return b.node("Gather", [b.constant(rows, 16), b.input(1, 12, dtype=DataType.INT64)])


def attended(b: Builder, x: str) -> str:
    scores = b.node("MatMul", [x, b.node("Transpose", [x], perm=(0, 2, 1))])
    return b.node("MatMul", [b.node("Softmax", [scores]), x])


def test_tokens_and_attention_to_a_few_classes_classify_text() -> None:
    b = Builder()
    x = b.node("ReduceMean", [attended(b, embedded(b))], axes=(1,), keepdims=0)
    y = b.node("Softmax", [b.dense(x, 16, 3)])
    assert answer(b.model(y)) == ("text", "text-classification", "bert")


def test_a_score_for_each_word_of_the_table_is_a_language_model() -> None:
    b = Builder()
    y = b.node("MatMul", [attended(b, embedded(b, 300)), b.constant(16, 300)])
    assert answer(b.model(y))[:2] == ("text", "language-model")


def test_a_sentence_vector_is_an_embedding() -> None:
    b = Builder()
    x = b.node("ReduceMean", [attended(b, embedded(b))], axes=(1,), keepdims=0)
    assert answer(b.model(b.dense(x, 16, 384)))[:2] == ("text", "embedding")


def test_strings_are_text_and_nothing_more_is_known() -> None:
    b = Builder()
    b.input(1, dtype=DataType.STRING)
    y = b.node("", b.inputs, source="SomeTokenizer", declared=(1, 16))
    assert answer(b.model(y)) == ("text", "unknown", "unknown")


def test_bands_over_time_to_classes_are_keywords() -> None:
    b = Builder()
    x = b.conv(b.image(1, 49, 40), 8, 3, padding=1)
    for _ in range(4):
        x = b.relu(b.conv(b.relu(b.conv(x, 8, 3, padding=1, group=8)), 8, 1))
    y = b.node("Softmax", [head(b, x, 12)])
    assert answer(b.model(y)) == ("audio", "keyword-spotting", "ds-cnn")


def test_classes_of_audioset_are_sound_events() -> None:
    b = Builder()
    y = b.node("Sigmoid", [head(b, features(b, b.image(1, 96, 64)), 521)])
    assert answer(b.model(y))[:2] == ("audio", "sound-events")


def test_a_mask_over_frequencies_suppresses_noise() -> None:
    b = Builder(channels_last=True)
    x = b.node("", [b.input(1, 1, 257)], source="UNIDIRECTIONAL_SEQUENCE_LSTM", declared=(1, 1, 16))
    y = b.node("Sigmoid", [b.dense(x, 16, 257)], declared=(1, 1, 257))
    assert answer(b.model(y)) == ("audio", "noise-suppression", "lstm")


def test_signal_processing_without_weights_makes_features() -> None:
    b = Builder()
    x = b.node("", [b.input(1, 480, dtype=DataType.INT16)], source="SignalRfft", declared=(1, 257))
    y = b.node("", [x], source="SignalFilterBank", declared=(1, 40))
    assert answer(b.model(y))[:2] == ("audio", "audio-features")


def test_a_few_channels_over_time_are_a_movement() -> None:
    b = Builder()
    x = b.node("", [b.input(1, 128, 6)], source="UNIDIRECTIONAL_SEQUENCE_LSTM", declared=(1, 16))
    y = b.node("Softmax", [b.dense(x, 16, 6)])
    assert answer(b.model(y)) == ("sensor", "movement", "lstm")


def test_trees_predict_from_tables() -> None:
    b = Builder()
    y = b.node("TreeEnsembleRegressor", [b.input(1, 4)], domain="ai.onnx.ml")
    assert answer(b.model(y)) == ("other", "tabular-prediction", "tree-ensemble")


def test_what_no_rule_knows_stays_unknown() -> None:
    b = Builder()
    found = look(b.model(b.node("Add", [b.input(1, 200), b.input(1, 200)])))
    assert found == Purpose(
        modality=Modality.UNKNOWN,
        task=Task.UNKNOWN,
        family="unknown",
        confidence=None,
        evidence=(),
    )


def test_one_name_refines_what_structure_says_and_does_not_decide_alone() -> None:
    b = Builder()
    x = features(b, b.image(3, 32, 32))
    parts = [b.node("Reshape", [b.conv(x, n, 1), b.sizes(1, 1024, n)]) for n in (4, 21)]
    detector = b.model(*parts)
    assert look(detector).task is Task.DETECTION
    assert look(detector, "face.tflite").task is Task.FACE_DETECTION
    other = Builder()
    bare = other.model(other.node("Add", [other.input(1, 200), other.input(1, 200)]))
    assert look(bare, "face_detection.tflite").task is Task.UNKNOWN


def test_a_name_against_the_structure_does_not_win() -> None:
    found = look(mobilenet_v2(Builder()), "speech_recognition_resnet.tflite")
    assert (found.modality, found.task) == (Modality.VISION, Task.CLASSIFICATION)
    assert found.family == "mobilenet-v2"


def test_words_inside_other_words_do_not_count() -> None:
    assert (
        look(mobilenet_v2(Builder()), "surface_interface.tflite").evidence
        == look(mobilenet_v2(Builder())).evidence
    )


def test_evidence_says_why_and_confidence_is_bounded() -> None:
    found = look(mobilenet_v2(Builder()))
    assert found.confidence is not None
    assert 0.5 <= found.confidence <= 1
    assert "task: 1,000 classes, as ImageNet has" in found.evidence
    assert any(text.startswith("modality: input 224x224x3") for text in found.evidence)
    assert any(text.startswith("family: 16 inverted residuals") for text in found.evidence)


def test_every_answer_about_a_task_fits_its_modality() -> None:
    assert {MODALITY_OF[task] for task in MODALITY_OF} <= set(Modality) - {Modality.UNKNOWN}


def test_labels_are_words_that_answers_can_be() -> None:
    for row in labels().values():
        assert row["modality"] in {modality.value for modality in Modality}
        assert row["task"] in {task.value for task in Task}
        assert row["reason"]


def test_the_samples_are_told_what_they_are() -> None:
    found = cases(None)
    assert len(found) == sum(path.startswith("samples/") for path in labels())
    assert score(found, "modality").precision == score(found, "modality").coverage == 1
    assert score(found, "task").precision >= 0.9


@pytest.mark.skipif(not CORPUS, reason="GAUGENN_CORPUS names no folder of real models")
def test_labelled_files_are_told_what_they_are() -> None:
    found = cases(Path(CORPUS or "."))
    assert len(found) >= 75
    for (column, measure), bar in BARS.items():
        assert getattr(score(found, column), measure) >= bar, (column, measure)
    assert score(found, "task", named=False).precision >= 0.8

"""What kind of work nodes do."""

from collections import Counter

import pytest
from tests.analysis.networks import Builder, mobilenet_v2, squeezenet_1_1

from gaugenn.analysis import _shapes_source
from gaugenn.analysis._rules import OPERATOR_RULES
from gaugenn.analysis.layers import layer_classes
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.analysis.summary import summarise
from gaugenn.graph import DataType, Model, Node, Tensor
from gaugenn.records import LayerClass

WITHOUT_CLASS = frozenset(
    """
    BlackmanWindow HammingWindow HannWindow STFT DFT Rfft Irfft RFFT2D MelWeightMatrix RandomNormal
    RandomNormalLike RandomUniform RandomUniformLike Bernoulli TreeEnsemble TreeEnsembleClassifier
    TreeEnsembleRegressor SVMClassifier SVMRegressor StringConcat StringNormalizer StringSplit
    RegexFullMatch TfIdfVectorizer CategoryMapper OneHotEncoder Binarizer NegativeLogLikelihoodLoss
    SoftmaxCrossEntropyLoss Det Inverse ImageDecoder
    """.split()  # noqa: SIM905
)
"""Signal processing, random numbers, trees, text and training: no layer of a neural network."""


def classes(model: Model) -> list[LayerClass]:
    return list(layer_classes(model, infer_shapes(model))[0])


def test_every_operator_whose_shape_is_known_has_a_class() -> None:
    nodes = [
        Node(name="", operator=o, source_operator=o, inputs=(), outputs=()) for o in OPERATOR_RULES
    ]
    nodes += [
        Node(name="", operator="", source_operator=o, inputs=(), outputs=())
        for o in _shapes_source.RULES
    ]
    b = Builder()
    b.nodes.extend(nodes)
    without = {
        node.source_operator
        for node, found in zip(nodes, classes(b.model()), strict=True)
        if found is LayerClass.OTHER
    }
    assert without == WITHOUT_CLASS


@pytest.mark.parametrize("channels_last", [False, True])
def test_depthwise_convolutions_are_told_from_grouped_and_whole_ones(channels_last: bool) -> None:
    b = Builder(channels_last=channels_last)
    x = b.conv(b.image(4, 8, 8), 8, 3)
    x = b.conv(x, 8, 3, group=8)
    b.conv(x, 8, 3, group=2)
    assert classes(b.model()) == [
        LayerClass.CONVOLUTION,
        LayerClass.DEPTHWISE_CONVOLUTION,
        LayerClass.CONVOLUTION,
    ]


def test_a_gather_from_a_table_of_weights_is_an_embedding() -> None:
    b = Builder()
    ids = b.input(1, 5, dtype=DataType.INT32)
    b.node("Gather", [b.constant(100, 8), ids])
    b.node("Gather", [b.constant(100, 8, dtype=DataType.INT64), ids])
    b.node("Gather", [b.input(100, 8), ids])
    assert classes(b.model()) == [
        LayerClass.EMBEDDING,
        LayerClass.DATA_MOVEMENT,
        LayerClass.DATA_MOVEMENT,
    ]


def test_products_on_both_sides_of_a_softmax_are_attention() -> None:
    b = Builder()
    query, key, value = (b.input(1, 2, 5, 4) for _ in range(3))
    scores = b.node("MatMul", [query, b.node("Transpose", [key], perm=(0, 1, 3, 2))])
    scores = b.node("Mul", [scores, b.constant(values=[0.5])])
    mixed = b.node("MatMul", [b.node("Softmax", [scores]), value])
    b.dense(mixed, 4, 4)
    found = [c for c in classes(b.model()) if c in (LayerClass.ATTENTION, LayerClass.DENSE)]
    assert found == [LayerClass.ATTENTION, LayerClass.ATTENTION, LayerClass.DENSE]


def test_a_classifier_before_its_softmax_is_no_attention() -> None:
    b = Builder()
    y = b.node("MatMul", [b.input(1, 8), b.constant(8, 4)])
    b.node("Softmax", [b.node("Add", [y, b.constant(4)])])
    assert classes(b.model())[0] is LayerClass.DENSE


def test_a_product_of_activations_without_a_softmax_is_dense() -> None:
    b = Builder()
    b.node("MatMul", [b.input(3, 4), b.input(4, 3)])
    assert classes(b.model()) == [LayerClass.DENSE]


def test_operators_without_a_counterpart_are_known_by_their_own_name() -> None:
    b = Builder()
    x = b.input(1, 8)
    b.node("", [x], source="SVDF")
    b.node("", [x], source="TFLite_Detection_PostProcess")
    b.node("", [x], source="SomebodysOwn")
    assert classes(b.model()) == [
        LayerClass.RECURRENT,
        LayerClass.POST_PROCESSING,
        LayerClass.OTHER,
    ]


def test_a_network_is_mostly_what_its_paper_says() -> None:
    found = Counter(classes(mobilenet_v2(Builder())))
    assert found[LayerClass.DEPTHWISE_CONVOLUTION] == 17
    assert found[LayerClass.CONVOLUTION] == 35
    assert found[LayerClass.ELEMENTWISE] == 10
    assert found[LayerClass.NORMALISATION] == 52
    assert found[LayerClass.ACTIVATION] == 35
    assert found[LayerClass.OTHER] == 0


def test_rows_of_layers_carry_their_class() -> None:
    _, layers = summarise(squeezenet_1_1(Builder()), model_sha256="0" * 64, size_bytes=1)
    assert Counter(layer.layer_class for layer in layers)[LayerClass.CONVOLUTION] == 26


def test_a_node_that_feeds_itself_does_not_hang_the_search() -> None:
    b = Builder()
    b.tensors["loop"] = Tensor(name="loop", dtype=DataType.FLOAT32, shape=(4, 4))
    for position in range(2):
        b.nodes.append(
            Node(
                name=str(position),
                operator="MatMul",
                source_operator="MatMul",
                inputs=("loop", "loop"),
                outputs=("loop",),
            )
        )
    assert classes(b.model()) == [LayerClass.DENSE, LayerClass.DENSE]

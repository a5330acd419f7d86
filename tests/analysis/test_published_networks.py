"""Costs of published architectures, to the last multiplication."""

from collections.abc import Callable
from functools import partial

import pytest
from tests.analysis.networks import (
    Builder,
    mobilenet_v1,
    mobilenet_v2,
    resnet_50,
    squeezenet_1_1,
    vgg_16,
)

from gaugenn.analysis.cost import ModelCost, costs
from gaugenn.analysis.fingerprint import architecture_digest
from gaugenn.analysis.shapes import infer_shapes
from gaugenn.graph import Model

NETWORKS: dict[str, tuple[Callable[[Builder], Model], int, int]] = {
    "mobilenet_v1": (mobilenet_v1, 568_740_352, 4_231_976),
    "mobilenet_v2": (mobilenet_v2, 300_774_272, 3_504_872),
    "vgg_16": (vgg_16, 15_470_264_320, 138_357_544),
    "resnet_50_v1": (partial(resnet_50, stride_in_3x3=False), 3_857_973_248, 25_557_032),
    "resnet_50_v1_5": (partial(resnet_50, stride_in_3x3=True), 4_089_184_256, 25_557_032),
    "squeezenet_1_1": (squeezenet_1_1, 349_151_936, 1_235_496),
}
"""Builder, multiply-accumulates of convolutions and dense layers, parameters with gamma and beta."""


def count(model: Model) -> ModelCost:
    return costs(model, infer_shapes(model))


@pytest.mark.parametrize("channels_last", [False, True], ids=["channels_first", "channels_last"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_published_network_has_its_published_cost(name: str, channels_last: bool) -> None:
    build, macs, parameters = NETWORKS[name]
    cost = count(build(Builder(channels_last=channels_last)))
    assert (cost.macs, cost.flops) == (macs, 2 * macs)
    assert cost.parameters == parameters
    assert cost.uncounted_nodes == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_both_layouts_of_a_network_have_one_architecture(name: str) -> None:
    build = NETWORKS[name][0]
    digests = {
        architecture_digest(model, infer_shapes(model))
        for model in (build(Builder()), build(Builder(channels_last=True)))
    }
    assert len(digests) == 1


def test_different_networks_have_different_architectures() -> None:
    models = [build(Builder()) for build, _, _ in NETWORKS.values()]
    digests = {architecture_digest(model, infer_shapes(model)) for model in models}
    assert len(digests) == len(models)


def test_layers_sum_up_to_the_model() -> None:
    cost = count(mobilenet_v2(Builder()))
    assert sum(node.macs or 0 for node in cost.nodes[0]) == cost.macs
    assert sum(node.parameters for node in cost.nodes[0]) == cost.parameters
    assert sum(node.weights_bytes for node in cost.nodes[0]) == cost.weights_bytes


def test_running_statistics_are_weights_but_no_parameters() -> None:
    cost = count(mobilenet_v2(Builder()))
    channels = (3_504_872 - 1_280_000 - 1000 - 2_189_760) // 2  # gammas: all but kernels and head
    assert cost.weights_bytes == 4 * (3_504_872 + 2 * channels)

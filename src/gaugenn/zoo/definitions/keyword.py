"""Keyword spotting with depthwise separable convolutions: https://arxiv.org/abs/1711.07128."""

from torch import nn

from gaugenn.zoo.definitions._blocks import classifier, convolution, separable


def ds_cnn() -> nn.Module:
    """The small network: 49 frames of 10 coefficients, 12 classes."""
    first = convolution(1, 64, (10, 4), 2, padding=(5, 1))
    return nn.Sequential(first, *(separable(64, 64) for _ in range(4)), classifier(64, 12))

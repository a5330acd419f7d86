"""Classifiers of 2014 to 2016: VGG, ResNet, SqueezeNet, DenseNet; each class cites its paper."""

import torch
from torch import Tensor, nn

from gaugenn.zoo.definitions._blocks import Branches, classifier, convolution


def vgg16() -> nn.Module:
    """Configuration D, 224 x 224. Source: https://arxiv.org/abs/1409.1556, table 1."""
    layers: list[nn.Module] = []
    channels = 3
    for outputs, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU()]
            channels = outputs
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, 1000),
    )


class _Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1; the first has the stride, as in the paper.

    Source: https://arxiv.org/abs/1512.03385, figure 5.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.path = nn.Sequential(
            convolution(inputs, width, 1, stride),
            convolution(width, width, 3),
            convolution(width, outputs, activation=None),
        )
        self.shortcut = (
            nn.Identity()
            if inputs == outputs
            else convolution(inputs, outputs, 1, stride, activation=None)
        )
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Path plus shortcut, rectified."""
        return self.activation(self.path(x) + self.shortcut(x))


def resnet50() -> nn.Module:
    """224 x 224. Source: https://arxiv.org/abs/1512.03385, table 1."""
    layers: list[nn.Module] = [convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, blocks, first_stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            layers.append(_Bottleneck(channels, width, first_stride if block == 0 else 1))
            channels = 4 * width
    return nn.Sequential(*layers, classifier(2048))


def _fire(inputs: int, squeezed: int, expanded: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, squeezed, 1),
        nn.ReLU(),
        Branches(
            nn.Sequential(nn.Conv2d(squeezed, expanded, 1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(squeezed, expanded, 3, padding=1), nn.ReLU()),
        ),
    )


def squeezenet() -> nn.Module:
    """Version 1.0, 224 x 224. Source: https://arxiv.org/abs/1602.07360, table 1."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 7, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _fire(96, 16, 64),
        _fire(128, 16, 64),
        _fire(128, 32, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _fire(256, 32, 128),
        _fire(256, 48, 192),
        _fire(384, 48, 192),
        _fire(384, 64, 256),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        _fire(512, 64, 256),
        nn.Conv2d(512, 1000, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class _DenseLayer(nn.Module):
    """Normalise, rectify, 1 x 1, normalise, rectify, 3 x 3; joined to its input."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The input and the new channels."""
        return torch.cat([x, self.path(x)], 1)


def densenet121() -> nn.Module:
    """Growth 32, 224 x 224. Source: https://arxiv.org/abs/1608.06993, table 1."""
    layers: list[nn.Module] = [convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)]
    channels, growth = 64, 32
    for block, depth in enumerate((6, 12, 24, 16)):
        if block:
            layers += [
                nn.BatchNorm2d(channels),
                nn.ReLU(),
                nn.Conv2d(channels, channels // 2, 1, bias=False),
                nn.AvgPool2d(2),
            ]
            channels //= 2
        for _ in range(depth):
            layers.append(_DenseLayer(channels, growth))
            channels += growth
    return nn.Sequential(*layers, nn.BatchNorm2d(channels), nn.ReLU(), classifier(channels))

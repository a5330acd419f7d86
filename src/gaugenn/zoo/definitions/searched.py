"""Classifiers found by search: NASNet, MnasNet, EfficientNet-Lite; each function cites its paper."""

import torch
from torch import Tensor, nn

from gaugenn.zoo.definitions._blocks import classifier, convolution, inverted_residual

_MNASNET_A1 = (
    (6, 3, 24, 2, 2, False),
    (3, 5, 40, 3, 2, True),
    (6, 3, 80, 4, 2, False),
    (6, 3, 112, 2, 1, True),
    (6, 5, 160, 3, 2, True),
    (6, 3, 320, 1, 1, False),
)
"""Expansion, kernel, output channels, blocks, stride, squeeze-and-excitation.

Source: https://arxiv.org/abs/1807.11626, figure 7.
"""

_EFFICIENTNET_B0 = (
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
"""Expansion, kernel, output channels, blocks, stride.

Source: https://arxiv.org/abs/1905.11946, table 1.
"""


def mnasnet() -> nn.Module:
    """A1, 224 x 224."""
    layers: list[nn.Module] = [
        convolution(3, 32, 3, 2),
        convolution(32, 32, 3, groups=32),
        convolution(32, 16, activation=None),
    ]
    channels = 16
    for expansion, kernel, outputs, blocks, first_stride, squeezes in _MNASNET_A1:
        for block in range(blocks):
            layers.append(
                inverted_residual(
                    channels,
                    outputs,
                    kernel,
                    first_stride if block == 0 else 1,
                    expanded=channels * expansion,
                    squeezed=channels // 4 if squeezes else None,
                    activation=nn.ReLU,
                )
            )
            channels = outputs
    return nn.Sequential(*layers, convolution(channels, 1280), classifier(1280))


def efficientnet_lite0() -> nn.Module:
    """B0 without squeeze-and-excitation and with ReLU6, 224 x 224."""
    layers: list[nn.Module] = [
        convolution(3, 32, 3, 2, activation=nn.ReLU6),
        inverted_residual(32, 16, 3, expanded=32),
    ]
    channels = 16
    for expansion, kernel, outputs, blocks, first_stride in _EFFICIENTNET_B0:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            layers.append(
                inverted_residual(channels, outputs, kernel, stride, expanded=channels * expansion)
            )
            channels = outputs
    head = convolution(channels, 1280, activation=nn.ReLU6)
    return nn.Sequential(*layers, head, classifier(1280))


def _average(stride: int = 1) -> nn.Module:
    return nn.AvgPool2d(3, stride, 1, count_include_pad=False)


def _separable_twice(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    """Two rounds of: rectify, depthwise, pointwise, normalise."""
    layers: list[nn.Module] = []
    for channels, step in ((inputs, stride), (outputs, 1)):
        layers += [
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, step, kernel // 2, groups=channels, bias=False),
            nn.Conv2d(channels, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
        ]
    return nn.Sequential(*layers)


def _squeeze(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.ReLU(), convolution(inputs, outputs, activation=None, epsilon=1e-3))


class _Halve(nn.Module):
    """Halves the size by two 1 x 1 convolutions of stride 2, one of them a pixel further."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.activation = nn.ReLU()
        self.here = nn.Conv2d(inputs, outputs // 2, 1, 2, bias=False)
        self.further = nn.Conv2d(inputs, outputs - outputs // 2, 1, 2, bias=False)
        self.shift = nn.ZeroPad2d((0, 1, 0, 1))
        self.normalise = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, outputs, ceil(height / 2), ceil(width / 2))."""
        x = self.activation(x)
        further = self.further(self.shift(x[:, :, 1:, 1:]))
        return self.normalise(torch.cat([self.here(x), further], 1))


class _Cell(nn.Module):
    """Brings the two inputs of a cell to the same size and number of channels."""

    def __init__(self, current: int, previous: int, width: int, *, halve_previous: bool) -> None:
        super().__init__()
        self.current = _squeeze(current, width)
        self.previous: nn.Module
        if halve_previous:
            self.previous = _Halve(previous, width)
        elif previous != width:
            self.previous = _squeeze(previous, width)
        else:
            self.previous = nn.Identity()


class _NormalCell(_Cell):
    """Source: https://arxiv.org/abs/1707.07012, figure 4, left."""

    def __init__(self, current: int, previous: int, width: int, *, halve_previous: bool) -> None:
        super().__init__(current, previous, width, halve_previous=halve_previous)
        self.current_5 = _separable_twice(width, width, 5)
        self.previous_3 = _separable_twice(width, width, 3)
        self.previous_5 = _separable_twice(width, width, 5)
        self.previous_3b = _separable_twice(width, width, 3)
        self.current_3 = _separable_twice(width, width, 3)
        self.average = _average()

    def forward(self, x: Tensor, previous: Tensor) -> Tensor:
        """(batch, 6 x width, height, width)."""
        p, h = self.previous(previous), self.current(x)
        pooled = self.average(p)
        joined = [
            p,
            self.current_5(h) + self.previous_3(p),
            self.previous_5(p) + self.previous_3b(p),
            self.average(h) + p,
            pooled + pooled,
            self.current_3(h) + h,
        ]
        return torch.cat(joined, 1)


class _ReductionCell(_Cell):
    """Source: https://arxiv.org/abs/1707.07012, figure 4, right."""

    def __init__(self, current: int, previous: int, width: int, *, halve_previous: bool) -> None:
        super().__init__(current, previous, width, halve_previous=halve_previous)
        self.current_5 = _separable_twice(width, width, 5, 2)
        self.previous_7 = _separable_twice(width, width, 7, 2)
        self.previous_7b = _separable_twice(width, width, 7, 2)
        self.previous_5 = _separable_twice(width, width, 5, 2)
        self.inner_3 = _separable_twice(width, width, 3)
        self.average = _average()
        self.average_2 = _average(2)
        self.maximum_2 = nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor, previous: Tensor) -> Tensor:
        """(batch, 4 x width, height / 2, width / 2)."""
        p, h = self.previous(previous), self.current(x)
        largest = self.maximum_2(h)
        first = self.current_5(h) + self.previous_7(p)
        second = largest + self.previous_7b(p)
        third = self.average_2(h) + self.previous_5(p)
        fourth = second + self.average(first)
        fifth = self.inner_3(first) + largest
        return torch.cat([second, third, fourth, fifth], 1)


class _Nasnet(nn.Module):
    """NASNet-A (4 @ 1056)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, 32, 3, 2, padding=0, activation=None, epsilon=1e-3)
        cells: list[nn.Module] = []
        current, previous, halved = 32, 32, False
        widths = ((11, 1, 0), (22, 1, 0), (44, 0, 4), (88, 1, 4), (176, 1, 4))
        for width, reductions, normals in widths:
            for kind, count in ((_ReductionCell, reductions), (_NormalCell, normals)):
                for _ in range(count):
                    cells.append(kind(current, previous, width, halve_previous=halved))
                    previous = current
                    current = width * (4 if kind is _ReductionCell else 6)
                    halved = kind is _ReductionCell
        self.cells = nn.ModuleList(cells)
        self.activation = nn.ReLU()
        self.classifier = classifier(current)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, 1000)."""
        x = self.stem(x)
        previous = x
        for cell in self.cells:
            x, previous = cell(x, previous), x
        return self.classifier(self.activation(x))


def nasnet_mobile() -> nn.Module:
    """224 x 224. Source: https://arxiv.org/abs/1707.07012."""
    return _Nasnet()

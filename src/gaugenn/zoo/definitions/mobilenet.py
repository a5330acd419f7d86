"""MobileNet, versions 1 to 4: https://arxiv.org/abs/1704.04861, 1801.04381, 1905.02244, 2404.10518."""

from torch import nn

from gaugenn.zoo.definitions._blocks import (
    Residual,
    classifier,
    convolution,
    divisible,
    inverted_residual,
    separable,
)

_V1 = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
"""Output channels and stride of each separable convolution. Source: 1704.04861, table 1."""

_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
"""Expansion, output channels, blocks, stride. Source: 1801.04381, table 2; 320 channels follow."""

_V3_LARGE = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard-swish", 2),
    (3, 200, 80, False, "hard-swish", 1),
    (3, 184, 80, False, "hard-swish", 1),
    (3, 184, 80, False, "hard-swish", 1),
    (3, 480, 112, True, "hard-swish", 1),
    (3, 672, 112, True, "hard-swish", 1),
    (5, 672, 160, True, "hard-swish", 2),
    (5, 960, 160, True, "hard-swish", 1),
    (5, 960, 160, True, "hard-swish", 1),
)
"""Kernel, expanded channels, output channels, squeeze-and-excitation, activation, stride.

Source: 1905.02244, table 1.
"""

_V4_CONV_SMALL = (
    (5, 5, 3.0, 96, 2),
    *((0, 3, 2.0, 96, 1),) * 4,
    (3, 0, 4.0, 96, 1),
    (3, 3, 6.0, 128, 2),
    (5, 5, 4.0, 128, 1),
    (0, 5, 4.0, 128, 1),
    (0, 5, 3.0, 128, 1),
    (0, 3, 4.0, 128, 1),
    (0, 3, 4.0, 128, 1),
)
"""First and second depthwise kernel (0: none), expansion, output channels, stride.

Source: 2404.10518, table 11 (MNv4-Conv-S).
"""


def mobilenet_v1_features(multiplier: float = 1.0, output_stride: int = 32) -> list[nn.Module]:
    """Stem and the thirteen separable convolutions; strides beyond `output_stride` become dilation."""
    channels = int(32 * multiplier)
    layers: list[nn.Module] = [convolution(3, channels, 3, 2, activation=nn.ReLU6)]
    reached, dilation = 2, 1
    for outputs, stride in _V1:
        outputs = int(outputs * multiplier)
        if stride == 2 and reached == output_stride:
            here, now, dilation = 1, dilation, dilation * 2
        else:
            here, now = stride, dilation
            reached *= stride
        layers.append(separable(channels, outputs, 3, here, dilation=now, activation=nn.ReLU6))
        channels = outputs
    return layers


def mobilenet_v2_features(output_stride: int = 32) -> list[nn.Module]:
    """Stem and the bottlenecks up to 320 channels; strides beyond `output_stride` become dilation."""
    layers: list[nn.Module] = [convolution(3, 32, 3, 2, activation=nn.ReLU6)]
    channels, reached, dilation = 32, 2, 1
    for expansion, outputs, blocks, first_stride in (*_V2, (6, 320, 1, 1)):
        for block in range(blocks):
            stride, now = (first_stride if block == 0 else 1), dilation
            if stride == 2 and reached == output_stride:
                stride, dilation = 1, dilation * 2
            reached *= stride
            layers.append(
                inverted_residual(
                    channels, outputs, 3, stride, expanded=channels * expansion, dilation=now
                )
            )
            channels = outputs
    return layers


def mobilenet_v1() -> nn.Module:
    """Width 1.0, 224 x 224."""
    return nn.Sequential(*mobilenet_v1_features(), classifier(1024))


def mobilenet_v2() -> nn.Module:
    """Width 1.0, 224 x 224."""
    head = convolution(320, 1280, activation=nn.ReLU6)
    return nn.Sequential(*mobilenet_v2_features(), head, classifier(1280))


def mobilenet_v3() -> nn.Module:
    """Large, width 1.0, 224 x 224."""
    layers: list[nn.Module] = [convolution(3, 16, 3, 2, activation=nn.Hardswish)]
    channels = 16
    for kernel, expanded, outputs, squeezes, activation, stride in _V3_LARGE:
        layers.append(
            inverted_residual(
                channels,
                outputs,
                kernel,
                stride,
                expanded=expanded,
                squeezed=divisible(expanded / 4) if squeezes else None,
                activation=nn.ReLU if activation == "relu" else nn.Hardswish,
                gate=nn.Hardsigmoid,
            )
        )
        channels = outputs
    return nn.Sequential(
        *layers,
        convolution(channels, 960, activation=nn.Hardswish),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(960, 1280),
        nn.Hardswish(),
        nn.Linear(1280, 1000),
    )


def _universal_bottleneck(
    inputs: int, first: int, second: int, expansion: float, outputs: int, stride: int
) -> nn.Module:
    """An inverted bottleneck with a depthwise convolution before, in between, both or neither."""
    expanded = divisible(inputs * expansion)
    layers: list[nn.Module] = []
    if first:
        first_stride = 1 if second else stride
        layers.append(
            convolution(inputs, inputs, first, first_stride, groups=inputs, activation=None)
        )
    layers.append(convolution(inputs, expanded))
    if second:
        layers.append(convolution(expanded, expanded, second, stride, groups=expanded))
    layers.append(convolution(expanded, outputs, activation=None))
    path = nn.Sequential(*layers)
    return Residual(path) if stride == 1 and inputs == outputs else path


def mobilenet_v4() -> nn.Module:
    """Convolutional, small, 224 x 224."""
    layers: list[nn.Module] = [
        convolution(3, 32, 3, 2),
        convolution(32, 32, 3, 2),
        convolution(32, 32),
        convolution(32, 96, 3, 2),
        convolution(96, 64),
    ]
    channels = 64
    for first, second, expansion, outputs, stride in _V4_CONV_SMALL:
        layers.append(_universal_bottleneck(channels, first, second, expansion, outputs, stride))
        channels = outputs
    return nn.Sequential(
        *layers,
        convolution(channels, 960),
        nn.AdaptiveAvgPool2d(1),
        convolution(960, 1280),
        nn.Flatten(),
        nn.Linear(1280, 1000),
    )

"""What several definitions are built from. Tensors are (batch, channels, height, width)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[], nn.Module]


class Branches(nn.Module):
    """Feeds one input to several paths and joins their outputs along the channels."""

    def __init__(self, *paths: nn.Module) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Tensor) -> Tensor:
        """The joined outputs."""
        return torch.cat([path(x) for path in self.paths], 1)


class Residual(nn.Module):
    """A path whose input is added to its output."""

    def __init__(self, path: nn.Module) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: Tensor) -> Tensor:
        """Input plus output of the path."""
        return x + self.path(x)


class SqueezeExcitation(nn.Module):
    """Weighs each channel by what the whole picture says of it.

    Source: https://arxiv.org/abs/1709.01507
    """

    def __init__(self, channels: int, squeezed: int, inner: Activation, gate: Activation) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            inner(),
            nn.Conv2d(squeezed, channels, 1),
            gate(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The weighed channels."""
        return x * self.gate(x)


def convolution(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    dilation: int = 1,
    padding: int | tuple[int, int] | None = None,
    activation: Activation | None = nn.ReLU,
    epsilon: float = 1e-5,
) -> nn.Sequential:
    """Convolution, batch normalisation, activation; padded to keep the size unless told otherwise."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    if padding is None:
        padding = (height // 2 * dilation, width // 2 * dilation)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, (height, width), stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(outputs, eps=epsilon),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


def separable(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    dilation: int = 1,
    activation: Activation | None = nn.ReLU,
) -> nn.Sequential:
    """A depthwise and a pointwise convolution, each with normalisation and activation.

    Source: https://arxiv.org/abs/1704.04861
    """
    return nn.Sequential(
        convolution(
            inputs,
            inputs,
            kernel,
            stride,
            groups=inputs,
            dilation=dilation,
            activation=activation,
        ),
        convolution(inputs, outputs, activation=activation),
    )


def inverted_residual(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    expanded: int,
    squeezed: int | None = None,
    dilation: int = 1,
    activation: Activation = nn.ReLU6,
    inner: Activation = nn.ReLU,
    gate: Activation = nn.Sigmoid,
) -> nn.Module:
    """Expand, filter each channel, project without activation; residual where the shapes allow it.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
        expanded: channels in between; no expansion where it equals the inputs.
        squeezed: channels of a squeeze-and-excitation, if there is one.
        dilation: of the depthwise convolution.
        activation: after expansion and filter.
        inner: inside the squeeze-and-excitation.
        gate: at its end.

    Source: https://arxiv.org/abs/1801.04381
    """
    layers: list[nn.Module] = []
    if expanded != inputs:
        layers.append(convolution(inputs, expanded, activation=activation))
    layers.append(
        convolution(
            expanded,
            expanded,
            kernel,
            stride,
            groups=expanded,
            dilation=dilation,
            activation=activation,
        )
    )
    if squeezed is not None:
        layers.append(SqueezeExcitation(expanded, squeezed, inner, gate))
    layers.append(convolution(expanded, outputs, activation=None))
    path = nn.Sequential(*layers)
    return Residual(path) if stride == 1 and inputs == outputs else path


def classifier(channels: int, classes: int = 1000) -> nn.Sequential:
    """The mean over the picture and a dense layer: logits."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def divisible(channels: float, divisor: int = 8) -> int:
    """The nearest multiple, but not below 90 % of the value.

    Source: https://arxiv.org/abs/1905.02244 (channels are multiples of 8)
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor

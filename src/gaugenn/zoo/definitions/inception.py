"""Inception, versions 3 and 4: https://arxiv.org/abs/1512.00567, https://arxiv.org/abs/1602.07261."""

from torch import nn

from gaugenn.zoo.definitions._blocks import Branches, classifier, convolution

_EPSILON = 1e-3


def _conv(
    inputs: int,
    outputs: int,
    kernel: int | tuple[int, int] = 1,
    stride: int = 1,
    padding: int | tuple[int, int] | None = None,
) -> nn.Module:
    return convolution(inputs, outputs, kernel, stride, padding=padding, epsilon=_EPSILON)


def _chain(inputs: int, *steps: tuple[int, int | tuple[int, int]]) -> nn.Sequential:
    """Convolutions that keep the size, each given as output channels and kernel."""
    layers: list[nn.Module] = []
    for outputs, kernel in steps:
        layers.append(_conv(inputs, outputs, kernel))
        inputs = outputs
    return nn.Sequential(*layers)


def _shrink(*layers: nn.Module, inputs: int, outputs: int) -> nn.Sequential:
    """The given layers, then a 3 x 3 convolution of stride 2 without padding."""
    return nn.Sequential(*layers, _conv(inputs, outputs, 3, 2, padding=0))


def _average() -> nn.Module:
    return nn.AvgPool2d(3, 1, 1, count_include_pad=False)


def _maximum() -> nn.Module:
    return nn.MaxPool2d(3, 2)


def _averaged(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_average(), _conv(inputs, outputs))


def _fork(inputs: int, outputs: int) -> nn.Module:
    """A 1 x 3 and a 3 x 1 convolution side by side."""
    return Branches(_conv(inputs, outputs, (1, 3)), _conv(inputs, outputs, (3, 1)))


def _v3_coarse(inputs: int, pooled: int) -> nn.Module:
    return Branches(
        _conv(inputs, 64),
        _chain(inputs, (48, 1), (64, 5)),
        _chain(inputs, (64, 1), (96, 3), (96, 3)),
        _averaged(inputs, pooled),
    )


def _v3_factorised(width: int) -> nn.Module:
    tall, wide = (7, 1), (1, 7)
    return Branches(
        _conv(768, 192),
        _chain(768, (width, 1), (width, wide), (192, tall)),
        _chain(768, (width, 1), (width, tall), (width, wide), (width, tall), (192, wide)),
        _averaged(768, 192),
    )


def _v3_expanded(inputs: int) -> nn.Module:
    return Branches(
        _conv(inputs, 320),
        nn.Sequential(_conv(inputs, 384), _fork(384, 384)),
        nn.Sequential(*_chain(inputs, (448, 1), (384, 3)), _fork(384, 384)),
        _averaged(inputs, 192),
    )


def inception_v3() -> nn.Module:
    """299 x 299, without the auxiliary classifier, which exists for training only."""
    return nn.Sequential(
        _conv(3, 32, 3, 2, padding=0),
        _conv(32, 32, 3, padding=0),
        _conv(32, 64, 3),
        _maximum(),
        _conv(64, 80, padding=0),
        _conv(80, 192, 3, padding=0),
        _maximum(),
        _v3_coarse(192, 32),
        _v3_coarse(256, 64),
        _v3_coarse(288, 64),
        Branches(
            _shrink(inputs=288, outputs=384),
            _shrink(*_chain(288, (64, 1), (96, 3)), inputs=96, outputs=96),
            _maximum(),
        ),
        *(_v3_factorised(width) for width in (128, 160, 160, 192)),
        Branches(
            _shrink(_conv(768, 192), inputs=192, outputs=320),
            _shrink(*_chain(768, (192, 1), (192, (1, 7)), (192, (7, 1))), inputs=192, outputs=192),
            _maximum(),
        ),
        _v3_expanded(1280),
        _v3_expanded(2048),
        classifier(2048),
    )


def _v4_a() -> nn.Module:
    return Branches(
        _averaged(384, 96),
        _conv(384, 96),
        _chain(384, (64, 1), (96, 3)),
        _chain(384, (64, 1), (96, 3), (96, 3)),
    )


def _v4_b() -> nn.Module:
    tall, wide = (7, 1), (1, 7)
    return Branches(
        _averaged(1024, 128),
        _conv(1024, 384),
        _chain(1024, (192, 1), (224, wide), (256, tall)),
        _chain(1024, (192, 1), (192, wide), (224, tall), (224, wide), (256, tall)),
    )


def _v4_c() -> nn.Module:
    return Branches(
        _averaged(1536, 256),
        _conv(1536, 256),
        nn.Sequential(_conv(1536, 384), _fork(384, 256)),
        nn.Sequential(*_chain(1536, (384, 1), (448, (1, 3)), (512, (3, 1))), _fork(512, 256)),
    )


def inception_v4() -> nn.Module:
    """299 x 299."""
    return nn.Sequential(
        _conv(3, 32, 3, 2, padding=0),
        _conv(32, 32, 3, padding=0),
        _conv(32, 64, 3),
        Branches(_maximum(), _shrink(inputs=64, outputs=96)),
        Branches(
            nn.Sequential(_conv(160, 64), _conv(64, 96, 3, padding=0)),
            nn.Sequential(
                *_chain(160, (64, 1), (64, (7, 1)), (64, (1, 7))), _conv(64, 96, 3, padding=0)
            ),
        ),
        Branches(_shrink(inputs=192, outputs=192), _maximum()),
        *(_v4_a() for _ in range(4)),
        Branches(
            _maximum(),
            _shrink(inputs=384, outputs=384),
            _shrink(*_chain(384, (192, 1), (224, 3)), inputs=224, outputs=256),
        ),
        *(_v4_b() for _ in range(7)),
        Branches(
            _maximum(),
            _shrink(_conv(1024, 192), inputs=192, outputs=192),
            _shrink(*_chain(1024, (256, 1), (256, (1, 7)), (320, (7, 1))), inputs=320, outputs=320),
        ),
        *(_v4_c() for _ in range(3)),
        classifier(1536),
    )

"""Networks that answer for places in the picture: detection, segmentation, pose, super-resolution."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from gaugenn.zoo.definitions._blocks import convolution
from gaugenn.zoo.definitions.mobilenet import mobilenet_v1_features, mobilenet_v2_features


class _Ssd(nn.Module):
    """Raw heads of SSD over MobileNet v1: box offsets and class logits of each anchor.

    Source: https://arxiv.org/abs/1512.02325, https://arxiv.org/abs/1704.04861 (section 4.6)
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        features = mobilenet_v1_features()
        self.fine = nn.Sequential(*features[:12])
        self.coarse = nn.Sequential(*features[12:])
        self.extras = nn.ModuleList(
            nn.Sequential(
                convolution(inputs, outputs // 2, activation=nn.ReLU6),
                convolution(outputs // 2, outputs, 3, 2, activation=nn.ReLU6),
            )
            for inputs, outputs in ((1024, 512), (512, 256), (256, 256), (256, 128))
        )
        self.classes = classes
        sizes = ((512, 3), (1024, 6), (512, 6), (256, 6), (256, 6), (128, 6))
        self.boxes = nn.ModuleList(nn.Conv2d(channels, 4 * n, 1) for channels, n in sizes)
        self.scores = nn.ModuleList(nn.Conv2d(channels, classes * n, 1) for channels, n in sizes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets (batch, anchors, 4) and logits (batch, anchors, classes)."""
        maps = [self.fine(x)]
        maps.append(self.coarse(maps[0]))
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        boxes = [_rows(head(m), 4) for head, m in zip(self.boxes, maps, strict=True)]
        scores = [_rows(head(m), self.classes) for head, m in zip(self.scores, maps, strict=True)]
        return torch.cat(boxes, 1), torch.cat(scores, 1)


def _rows(x: Tensor, width: int) -> Tensor:
    """(batch, n x width, height, width) -> (batch, height x width x n, width)."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)


def ssd_mobilenet() -> nn.Module:
    """300 x 300, 90 classes and background, 1,917 anchors; no suppression of overlapping boxes."""
    return _Ssd(91)


class _DeepLab(nn.Module):
    """DeepLab v3 over MobileNet v2 without atrous pyramid, output stride 16.

    Source: https://arxiv.org/abs/1801.04381, section 6.3; https://arxiv.org/abs/1706.05587
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*mobilenet_v2_features(output_stride=16))
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), convolution(320, 256))
        self.local = convolution(320, 256)
        self.joined = convolution(512, 256)
        self.logits = nn.Conv2d(256, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, classes, height, width)."""
        features = self.features(x)
        local = self.local(features)
        pooled = self.pooled(features).expand(-1, -1, local.shape[2], local.shape[3])
        logits = self.logits(self.joined(torch.cat([pooled, local], 1)))
        return functional.interpolate(
            logits, size=(x.shape[2], x.shape[3]), mode="bilinear", align_corners=False
        )


def deeplab_v3() -> nn.Module:
    """513 x 513, 20 classes and background."""
    return _DeepLab(21)


class _PoseHeatMaps(nn.Module):
    """Heat maps, offsets and displacements of 17 key points over MobileNet v1 0.75, output stride 16.

    Source: https://arxiv.org/abs/1803.08225
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(*mobilenet_v1_features(0.75, output_stride=16))
        self.heads = nn.ModuleList(nn.Conv2d(768, n, 1) for n in (17, 34, 32, 32))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Four maps, (batch, 17, 34, 32 and 32, height / 16, width / 16)."""
        features = self.features(x)
        return tuple(head(features) for head in self.heads)


def posenet() -> nn.Module:
    """257 x 257."""
    return _PoseHeatMaps()


class _DenseBlock(nn.Module):
    """Five convolutions, each reading all before it; added to the input at a fifth of its size."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Conv2d(channels + growth * i, growth if i < 4 else channels, 3, padding=1)
            for i in range(5)
        )
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        known = x
        for step in self.steps[:-1]:
            known = torch.cat([known, self.activation(step(known))], 1)
        return x + self.steps[-1](known) * 0.2


class _ResidualInResidual(nn.Module):
    """Three dense blocks, added to the input at a fifth of their size."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_DenseBlock(channels, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        return x + self.blocks(x) * 0.2


class _Esrgan(nn.Module):
    """The generator of ESRGAN: four times the height and width.

    Source: https://arxiv.org/abs/1809.00219
    """

    def __init__(self, blocks: int, channels: int, growth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3, padding=1)
        self.trunk = nn.Sequential(
            *(_ResidualInResidual(channels, growth) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.larger = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.activation = nn.LeakyReLU(0.2)
        self.last = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The picture, (batch, 3, 4 x height, 4 x width)."""
        x = self.first(x)
        x = x + self.trunk(x)
        for step in self.larger:
            x = self.activation(step(functional.interpolate(x, scale_factor=2.0, mode="nearest")))
        return self.last(x)


def esrgan() -> nn.Module:
    """23 blocks of 64 channels, 50 x 50 to 200 x 200."""
    return _Esrgan(23, 64, 32)

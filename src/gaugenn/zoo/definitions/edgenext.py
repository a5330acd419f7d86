"""EdgeNeXt, convolution and attention across channels: https://arxiv.org/abs/2206.10589."""

import math

import torch
from torch import Tensor, nn


class _ChannelNorm(nn.Module):
    """Layer normalisation over the channels of (batch, channels, height, width)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Mlp(nn.Module):
    """Normalise, widen four times, narrow, scale. Works on (batch, positions, channels)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
        )
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        return self.scale * self.path(x)


class _ConvolutionEncoder(nn.Module):
    """A depthwise convolution and a feed-forward network with a residual around both."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.filter = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.mlp = _Mlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        inner = self.mlp(self.filter(x).permute(0, 2, 3, 1))
        return x + inner.permute(0, 3, 1, 2)


class _ChannelAttention(nn.Module):
    """Attention between channels instead of positions.

    Source: https://arxiv.org/abs/2106.09681
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.mixed = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, positions, channels), of the input's shape."""
        batch, positions, channels = x.shape
        width = channels // self.heads
        q, k, v = (
            part.reshape(batch, positions, self.heads, width).permute(0, 2, 3, 1)
            for part in torch.split(self.mixed(x), channels, 2)
        )
        q, k = (t * torch.rsqrt((t * t).sum(3, keepdim=True) + 1e-12) for t in (q, k))
        scores = torch.matmul(q, k.transpose(2, 3)) * self.temperature
        mixed = torch.matmul(torch.softmax(scores, 3), v)
        return self.project(mixed.permute(0, 3, 1, 2).reshape(batch, positions, channels))


class _SplitTransposeEncoder(nn.Module):
    """Depthwise filters over a cascade of channel groups, then attention between channels."""

    positions: Tensor

    def __init__(
        self, channels: int, size: int, scales: int, heads: int, *, positional: bool
    ) -> None:
        super().__init__()
        self.width = math.ceil(channels / scales)
        self.filters = nn.ModuleList(
            nn.Conv2d(self.width, self.width, 3, padding=1, groups=self.width)
            for _ in range(scales - 1)
        )
        self.positional = nn.Conv2d(64, channels, 1) if positional else None
        self.register_buffer("positions", _fourier(size, 32), persistent=False)
        self.normalise = nn.LayerNorm(channels, eps=1e-6)
        self.attention = _ChannelAttention(channels, heads)
        self.attention_scale = nn.Parameter(torch.ones(channels))
        self.mlp = _Mlp(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        batch, channels, height, width = x.shape
        groups = list(torch.split(x, self.width, 1))
        done: list[Tensor] = []
        for position, layer in enumerate(self.filters):
            group = groups[position] if not done else done[-1] + groups[position]
            done.append(layer(group))
        inner = torch.cat([*done, groups[-1]], 1)
        if self.positional is not None:
            inner = inner + self.positional(self.positions)
        rows = inner.reshape(batch, channels, height * width).permute(0, 2, 1)
        rows = rows + self.attention_scale * self.attention(self.normalise(rows))
        rows = self.mlp(rows)
        return x + rows.permute(0, 2, 1).reshape(batch, channels, height, width)


def _fourier(size: int, features: int) -> Tensor:
    """Sines and cosines of row and column, (1, 2 x features, size, size)."""
    places = torch.arange(1, size + 1).float() / (size + 1e-6) * 2 * math.pi
    rates = 10000.0 ** (2 * torch.div(torch.arange(features), 2, rounding_mode="floor") / features)
    angles = places[:, None] / rates
    waves = torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], 2).flatten(1).T
    rows = waves[:, :, None].expand(-1, -1, size)
    columns = waves[:, None, :].expand(-1, size, -1)
    return torch.cat([rows, columns], 0)[None]


class _EdgeNext(nn.Module):
    def __init__(self, widths: tuple[int, ...], depths: tuple[int, ...], size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 4), _ChannelNorm(widths[0])]
        size //= 4
        stages = zip(widths, depths, (3, 5, 7, 9), (2, 2, 3, 4), strict=True)
        for stage, (width, depth, kernel, scales) in enumerate(stages):
            if stage:
                layers += [
                    _ChannelNorm(widths[stage - 1]),
                    nn.Conv2d(widths[stage - 1], width, 2, 2),
                ]
                size //= 2
            convolutions = depth if stage == 0 else depth - 1
            layers += [_ConvolutionEncoder(width, kernel) for _ in range(convolutions)]
            if stage:
                layers.append(_SplitTransposeEncoder(width, size, scales, 4, positional=stage == 1))
        self.features = nn.Sequential(*layers)
        self.normalise = nn.LayerNorm(widths[-1], eps=1e-6)
        self.head = nn.Linear(widths[-1], 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, 1000)."""
        return self.head(self.normalise(self.features(x).mean((2, 3))))


def edgenext() -> nn.Module:
    """Extra extra small, 256 x 256."""
    return _EdgeNext((24, 48, 88, 168), (2, 2, 6, 2), 256)

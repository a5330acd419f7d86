"""Networks over sequences: BERT's small relatives, a speech encoder, a language model.

Tensors are (batch, positions, features). Token ids are int32, in every format.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Attention(nn.Module):
    """Attention of several heads, spelled out. Source: https://arxiv.org/abs/1706.03762."""

    def __init__(
        self, features: int, heads: int, values: int | None = None, *, key_bias: bool = True
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(features, features)
        self.key = nn.Linear(features, features, bias=key_bias)
        self.value = nn.Linear(values or features, features)

    def forward(self, x: Tensor, values: Tensor) -> Tensor:
        """Mixed values, (batch, positions, features), before any output projection."""
        q, k, v = (
            _split(layer(of), self.heads)
            for layer, of in ((self.query, x), (self.key, x), (self.value, values))
        )
        scores = torch.matmul(q, k.transpose(2, 3)) * (1.0 / math.sqrt(q.shape[3]))
        return _merge(torch.matmul(torch.softmax(scores, 3), v))


def _split(x: Tensor, heads: int) -> Tensor:
    """(batch, positions, features) -> (batch, heads, positions, features / heads)."""
    return x.reshape(x.shape[0], x.shape[1], heads, x.shape[2] // heads).transpose(1, 2)


def _merge(x: Tensor) -> Tensor:
    """The inverse of `_split`."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], x.shape[1] * x.shape[3])


class _Affine(nn.Module):
    """Scale and shift of each feature, where MobileBERT leaves the normalisation out."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        return x * self.weight + self.bias


class _FeedForward(nn.Module):
    def __init__(self, features: int, inner: int) -> None:
        super().__init__()
        self.path = nn.Sequential(nn.Linear(features, inner), nn.ReLU(), nn.Linear(inner, features))
        self.normalise = _Affine(features)

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        return self.normalise(x + self.path(x))


class _MobileBertLayer(nn.Module):
    """A layer of 128 features between two projections from and to 512.

    Source: https://arxiv.org/abs/2004.02984, section 3, table 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(512, 128), _Affine(128))
        self.enter_keys = nn.Sequential(nn.Linear(512, 128), _Affine(128))
        self.attention = _Attention(128, 4, 512)
        self.attended = nn.Linear(128, 128)
        self.normalise = _Affine(128)
        self.stack = nn.Sequential(*(_FeedForward(128, 512) for _ in range(4)))
        self.leave = nn.Linear(128, 512)
        self.normalise_leaving = _Affine(512)

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        inner = self.enter(x)
        mixed = self.attended(self.attention(self.enter_keys(x), x))
        inner = self.stack(self.normalise(inner + mixed))
        return self.normalise_leaving(x + self.leave(inner))


class _MobileBert(nn.Module):
    def __init__(self, tokens: int, positions: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, 128)
        self.trigram = nn.Linear(3 * 128, 512)
        self.position = nn.Parameter(torch.zeros(1, positions, 512))
        self.normalise = _Affine(512)
        self.layers = nn.Sequential(*(_MobileBertLayer() for _ in range(layers)))

    def forward(self, ids: Tensor) -> Tensor:
        """Features of each position, (batch, positions, 512)."""
        x = self.embedding(ids)
        following = functional.pad(x[:, 1:], (0, 0, 0, 1))
        preceding = functional.pad(x[:, :-1], (0, 0, 1, 0))
        x = self.trigram(torch.cat([following, x, preceding], 2))
        return self.layers(self.normalise(x + self.position))


def mobilebert() -> nn.Module:
    """24 layers, 128 positions; takes token ids only: one segment, nothing masked."""
    return _MobileBert(30522, 128, 24)


class _Albert(nn.Module):
    """Twelve times the same layer, over factorised embeddings.

    Source: https://arxiv.org/abs/1909.11942, table 1.
    """

    def __init__(self, tokens: int, positions: int, features: int, heads: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.embedding = nn.Embedding(tokens, 128)
        self.position = nn.Parameter(torch.zeros(1, positions, 128))
        self.normalise = nn.LayerNorm(128)
        self.widen = nn.Linear(128, features)
        self.attention = _Attention(features, heads)
        self.attended = nn.Linear(features, features)
        self.normalise_attention = nn.LayerNorm(features)
        self.feed_forward = nn.Sequential(
            nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, features)
        )
        self.normalise_output = nn.LayerNorm(features)

    def forward(self, ids: Tensor) -> Tensor:
        """Features of each position, (batch, positions, features)."""
        x = self.widen(self.normalise(self.embedding(ids) + self.position))
        for _ in range(self.depth):
            x = self.normalise_attention(x + self.attended(self.attention(x, x)))
            x = self.normalise_output(x + self.feed_forward(x))
        return x


def albert() -> nn.Module:
    """Base, 128 positions; takes token ids only: one segment, nothing masked."""
    return _Albert(30000, 128, 768, 12, 12)


class _SpeechLayer(nn.Module):
    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.normalise_attention = nn.LayerNorm(features)
        self.attention = _Attention(features, heads, key_bias=False)
        self.attended = nn.Linear(features, features)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(features),
            nn.Linear(features, 4 * features),
            nn.GELU(),
            nn.Linear(4 * features, features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        inner = self.normalise_attention(x)
        x = x + self.attended(self.attention(inner, inner))
        return x + self.feed_forward(x)


class _SpeechEncoder(nn.Module):
    """The encoder of Whisper. Source: https://arxiv.org/abs/2212.04356, section 2.2, table 1."""

    def __init__(self, bands: int, frames: int, features: int, heads: int, layers: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(bands, features, 3, padding=1)
        self.second = nn.Conv1d(features, features, 3, 2, padding=1)
        self.activation = nn.GELU()
        self.position = nn.Parameter(torch.zeros(1, frames // 2, features))
        self.layers = nn.Sequential(*(_SpeechLayer(features, heads) for _ in range(layers)))
        self.normalise = nn.LayerNorm(features)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, bands, frames) -> (batch, frames / 2, features)."""
        x = self.activation(self.second(self.activation(self.first(x))))
        return self.normalise(self.layers(x.transpose(1, 2) + self.position))


def whisper_encoder() -> nn.Module:
    """Tiny's width and depth, over 10 s of sound (1,000 frames of 80 bands) rather than 30."""
    return _SpeechEncoder(80, 1000, 384, 6, 4)


class _RootMeanSquareNorm(nn.Module):
    """Source: https://arxiv.org/abs/1910.07467."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        return x * torch.rsqrt((x * x).mean(2, keepdim=True) + 1e-5) * self.weight


class _DecoderLayer(nn.Module):
    """Rotary positions, grouped keys and values, gated feed-forward.

    Source: https://arxiv.org/abs/2302.13971 (section 2.2), https://arxiv.org/abs/2305.13245
    """

    def __init__(self, features: int, heads: int, groups: int, inner: int) -> None:
        super().__init__()
        self.heads, self.groups = heads, groups
        width = features // heads
        self.normalise_attention = _RootMeanSquareNorm(features)
        self.query = nn.Linear(features, features, bias=False)
        self.key = nn.Linear(features, groups * width, bias=False)
        self.value = nn.Linear(features, groups * width, bias=False)
        self.attended = nn.Linear(features, features, bias=False)
        self.normalise_feed_forward = _RootMeanSquareNorm(features)
        self.gate = nn.Linear(features, inner, bias=False)
        self.up = nn.Linear(features, inner, bias=False)
        self.down = nn.Linear(inner, features, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor, mask: Tensor) -> Tensor:
        """Of the input's shape; cosine and sine are (1, 1, positions, features / heads)."""
        inner = self.normalise_attention(x)
        q = _rotate(_split(self.query(inner), self.heads), cosine, sine)
        k = _rotate(_split(self.key(inner), self.groups), cosine, sine)
        v = _split(self.value(inner), self.groups)
        k, v = (torch.repeat_interleave(t, self.heads // self.groups, 1) for t in (k, v))
        scores = torch.matmul(q, k.transpose(2, 3)) * (1.0 / math.sqrt(q.shape[3])) + mask
        x = x + self.attended(_merge(torch.matmul(torch.softmax(scores, 3), v)))
        inner = self.normalise_feed_forward(x)
        return x + self.down(functional.silu(self.gate(inner)) * self.up(inner))


def _rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turns each pair of features by an angle that grows with the position."""
    half = x.shape[3] // 2
    turned = torch.cat([-x[:, :, :, half:], x[:, :, :, :half]], 3)
    return x * cosine + turned * sine


class _Decoder(nn.Module):
    cosine: Tensor
    sine: Tensor
    mask: Tensor

    def __init__(
        self,
        *,
        tokens: int,
        positions: int,
        features: int,
        heads: int,
        groups: int,
        inner: int,
        layers: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, features)
        self.layers = nn.ModuleList(
            _DecoderLayer(features, heads, groups, inner) for _ in range(layers)
        )
        self.normalise = _RootMeanSquareNorm(features)
        self.logits = nn.Linear(features, tokens, bias=False)
        width = features // heads
        rates = 10000.0 ** (-torch.arange(0, width, 2).float() / width)
        angles = torch.outer(torch.arange(positions).float(), rates).repeat(1, 2)[None, None]
        future = torch.triu(torch.full((positions, positions), -10000.0), 1)[None, None]
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        self.register_buffer("mask", future, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the next token at each position, (batch, positions, tokens)."""
        x = self.embedding(ids)
        for layer in self.layers:
            x = layer(x, self.cosine, self.sine, self.mask)
        return self.logits(self.normalise(x))


def decoder_llm() -> nn.Module:
    """A prompt of 64 tokens read at once; a small language model of the LLaMA kind."""
    return _Decoder(
        tokens=8192, positions=64, features=384, heads=6, groups=2, inner=1024, layers=8
    )

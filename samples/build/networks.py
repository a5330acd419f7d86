"""The networks of the sample packages: small, of the usual kinds, with seeded weights.

None of them was trained: weights come from a seeded generator, and batch normalisation and the last
layer are fitted to seeded inputs, so that activations and outputs have the spread of a trained
network. They cost, quantise and convert like the real thing, and recognise nothing.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

SCENES = 16
KEYWORDS = 12
CHARACTERS = 36
STROKE_CLASSES = 52
VOCABULARY = 512
SENTENCE_TOKENS = 32


class Convolution(nn.Module):
    """A convolution without bias and its batch normalisation, padded to keep the size."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        pad = kernel // 2
        self.filter = nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h / stride, w / stride)."""
        return self.norm(self.filter(x))


class InvertedResidual(nn.Module):
    """Expand by 1 x 1, filter each channel, project by 1 x 1 (Sandler et al., MobileNetV2, 2018)."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int = 6, stride: int = 1) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.expand = Convolution(inputs, hidden, 1)
        self.depthwise = Convolution(hidden, hidden, stride=stride, groups=hidden)
        self.project = Convolution(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h / stride, w / stride)."""
        wide = functional.relu6(self.depthwise(functional.relu6(self.expand(x))))
        return x + self.project(wide) if self.residual else self.project(wide)


class ImageClassifier(nn.Module):
    """A narrow MobileNetV2: (batch, 3, 96, 96) image in 0..1 -> (batch, SCENES) probabilities."""

    def __init__(self) -> None:
        super().__init__()
        stages = [(8, 12, 2), (12, 12, 1), (12, 16, 2), (16, 16, 1), (16, 32, 2), (32, 32, 1)]
        stages += [(32, 40, 1), (40, 40, 1)]
        self.stem = Convolution(3, 8, stride=2)
        self.blocks = nn.ModuleList(InvertedResidual(i, o, stride=s) for i, o, s in stages)
        self.head = Convolution(40, 160, 1)
        self.last = nn.Linear(160, SCENES)

    def forward(self, image: Tensor) -> Tensor:
        """Class probabilities."""
        x = functional.relu6(self.stem(image))
        for block in self.blocks:
            x = block(x)
        x = functional.relu6(self.head(x))
        pooled = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return functional.softmax(self.last(pooled), dim=1)


class KeywordSpotter(nn.Module):
    """DS-CNN (Zhang et al., Hello Edge, 2017): (batch, 1, 49, 10) MFCC -> (batch, KEYWORDS)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, (10, 4), (2, 2), (5, 1))
        self.layers = nn.ModuleList()
        for _ in range(4):
            self.layers.append(Convolution(width, width, groups=width))
            self.layers.append(Convolution(width, width, 1))
        self.last = nn.Linear(width, KEYWORDS)

    def forward(self, mfcc: Tensor) -> Tensor:
        """Keyword probabilities."""
        x = functional.relu(self.stem(mfcc))
        for layer in self.layers:
            x = functional.relu(layer(x))
        pooled = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return functional.softmax(self.last(pooled), dim=1)


class FaceLandmarks(nn.Module):
    """(batch, 3, 64, 64) face crop in 0..1 -> (batch, 136): x, y of 68 points."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [Convolution(3, 12, stride=2), nn.PReLU(12)]
        for inputs, outputs in ((12, 20), (20, 32), (32, 48)):
            layers += [Convolution(inputs, inputs, stride=2, groups=inputs), nn.PReLU(inputs)]
            layers += [Convolution(inputs, outputs, 1), nn.PReLU(outputs)]
            layers += [InvertedResidual(outputs, outputs, expansion=2, stride=1)]
        self.backbone = nn.Sequential(*layers, Convolution(48, 16, 1), nn.PReLU(16))
        self.last = nn.Linear(16 * 4 * 4, 136)

    def forward(self, face: Tensor) -> Tensor:
        """Coordinates, about -1..1."""
        return torch.tanh(self.last(self.backbone(face).flatten(1)))


class Sharpness(nn.Module):
    """(batch, 1, 64, 64) grey image in 0..1 -> (batch, 1): how sharp it is, 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            Convolution(1, 8, 5, stride=2), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            Convolution(8, 16), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
            Convolution(16, 24), nn.LeakyReLU(0.1),
        )  # fmt: skip
        self.last = nn.Linear(24, 1)

    def forward(self, image: Tensor) -> Tensor:
        """A score."""
        pooled = functional.adaptive_avg_pool2d(self.backbone(image), 1).flatten(1)
        return torch.sigmoid(self.last(pooled))


class StyleTransfer(nn.Module):
    """(batch, 3, 64, 64) image in 0..1 -> the same size (after Johnson et al., 2016)."""

    def __init__(self) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            filters = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
            return [filters, nn.InstanceNorm2d(outputs, affine=True)]

        self.down = nn.Sequential(
            *block(3, 8, 5),
            nn.ReLU(),
            *block(8, 16, 3, 2),
            nn.ReLU(),
            *block(16, 24, 3, 2),
            nn.ReLU(),
        )
        self.middle = nn.Sequential(*block(24, 24, 3), nn.ReLU(), *block(24, 24, 3))
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2.0), *block(24, 16, 3), nn.ReLU(),
            nn.Upsample(scale_factor=2.0), *block(16, 8, 3), nn.ReLU(),
        )  # fmt: skip
        self.last = nn.Conv2d(8, 3, 5, padding=2)

    def forward(self, image: Tensor) -> Tensor:
        """The image, restyled."""
        features = self.down(image)
        return torch.sigmoid(self.last(self.up(features + self.middle(features))))


class CharacterReader(nn.Module):
    """(batch, 1, 32, 32) grey glyph in 0..1 -> (batch, CHARACTERS) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            Convolution(1, 16), nn.ReLU(), nn.MaxPool2d(2),
            Convolution(16, 32), nn.ReLU(), nn.MaxPool2d(2),
            Convolution(32, 48), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.hidden = nn.Linear(48 * 4 * 4, 64)
        self.last = nn.Linear(64, CHARACTERS)

    def forward(self, glyph: Tensor) -> Tensor:
        """Logits: the app picks the largest."""
        return self.last(functional.relu(self.hidden(self.backbone(glyph).flatten(1))))


class StrokeReader(nn.Module):
    """(batch, 64, 3) pen strokes (dx, dy, pen down) -> (batch, STROKE_CLASSES) probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(3, 64, batch_first=True)
        self.last = nn.Linear(64, STROKE_CLASSES)

    def forward(self, strokes: Tensor) -> Tensor:
        """Character probabilities."""
        states, _ = self.recurrent(strokes)
        return functional.softmax(self.last(states[:, -1]), dim=1)


class NextWord(nn.Module):
    """(batch, 16) token numbers -> (batch, VOCABULARY) logits of the next token."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 32)
        self.recurrent = nn.GRU(32, 64, batch_first=True)
        self.last = nn.Linear(64, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits: the keyboard shows the three largest."""
        states, _ = self.recurrent(self.embedding(tokens))
        return self.last(states[:, -1])


class Sentiment(nn.Module):
    """(batch, SENTENCE_TOKENS) token numbers -> (batch, 3): one transformer encoder layer."""

    def __init__(self, width: int = 32, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.position = nn.Parameter(torch.zeros(1, SENTENCE_TOKENS, width))
        self.query, self.key, self.value, self.mix = (nn.Linear(width, width) for _ in range(4))
        self.attention_norm, self.output_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.last = nn.Linear(width, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        """Probabilities of negative, neutral, positive."""
        x = self.embedding(tokens) + self.position
        x = self.attention_norm(x + self.attend(x))
        x = self.output_norm(x + self.feed_forward(x))
        return functional.softmax(self.last(x.mean(dim=1)), dim=1)

    def attend(self, x: Tensor) -> Tensor:
        """Scaled dot-product attention of every token to every token."""
        shape = (-1, SENTENCE_TOKENS, self.heads, self.head_width)
        query, key, value = (
            layer(x).reshape(shape).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) * self.head_width**-0.5
        mixed = (functional.softmax(scores, dim=-1) @ value).transpose(1, 2)
        return self.mix(mixed.reshape(-1, SENTENCE_TOKENS, self.heads * self.head_width))


class ChannelsLast(nn.Module):
    """A network that takes (batch, height, width, channels), as TFLite has images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """As the network."""
        return self.network(image.permute(0, 3, 1, 2))


def images(count: int, channels: int, size: int, seed: int) -> Tensor:
    """Seeded pictures in 0..1 of different tint and contrast, (count, channels, size, size)."""
    generator = torch.Generator().manual_seed(seed)
    contrast = torch.rand(count, 1, 1, 1, generator=generator)
    coarse = torch.rand(count, channels, 6, 6, generator=generator) * contrast
    coarse = coarse + torch.rand(count, channels, 1, 1, generator=generator) * (1 - contrast)
    smooth = functional.interpolate(coarse, size=(size, size), mode="bicubic")
    grain = torch.randn(count, channels, size, size, generator=generator)
    return (smooth + 0.05 * grain).clamp(0, 1)


def sequences(count: int, *shape: int, seed: int) -> Tensor:
    """Seeded signals of unit variance that drift along their first axis, (count, *shape)."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(count, *shape, generator=generator)
    offset = torch.randn(count, *([1] * (len(shape) - 1)), shape[-1], generator=generator)
    return 0.7 * steps + 0.7 * offset


def sentences(count: int, length: int, seed: int) -> Tensor:
    """Seeded token numbers, frequent ones first, (count, length) int64."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, length, generator=generator) ** 2 * VOCABULARY).long()


def prepare(network: nn.Module, inputs: Tensor, seed: int) -> nn.Module:
    """Gives a network seeded weights and the statistics of `inputs`, in evaluation mode.

    Args:
        network: any of the above; its last layer is the attribute `last`.
        inputs: what batch normalisation and the last layer are fitted to.
        seed: of the weights.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                fan_in = parameter[0].numel() if "embedding" not in name else 1
                if "position" in name:
                    fan_in = 16
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(noise * (1.6 / fan_in) ** 0.5)
            elif "bias" in name.rpartition(".")[2]:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
            else:  # scales of normalisation, slopes of PReLU
                centre = parameter.clone()
                parameter.copy_(
                    centre * (0.8 + 0.4 * torch.rand(parameter.shape, generator=generator))
                )
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # average over all that it sees
        network.train()
        network(inputs)
        network.eval()
        fit_last(network, inputs, seed)
    return network


def fit_last(network: nn.Module, inputs: Tensor, seed: int, spread: float = 1.0) -> None:
    """Gives the last layer weights that follow what varies most among its inputs.

    Dense layers get the gradient of seeded labels, as the first step of training would; the outputs
    over `inputs` then have mean 0 and the deviation `spread`. A layer that follows accidents of its
    inputs would not survive quantisation.
    """
    generator = torch.Generator().manual_seed(seed)
    seen: list[Tensor] = []

    def see(layer: nn.Module, features: tuple[Tensor], _outputs: Tensor) -> None:
        if isinstance(layer, nn.Linear):
            labels = torch.randn(layer.out_features, len(features[0]), generator=generator)
            layer.weight.copy_(labels @ (features[0] - features[0].mean(dim=0)))
        seen.append(layer.forward(features[0]).movedim(1, -1).flatten(0, -2))

    last = network.last
    hook = last.register_forward_hook(see)
    with torch.no_grad():
        network.eval()(inputs)
        scale = spread / seen[0].std(dim=0)
        last.weight.mul_(scale.reshape(-1, *[1] * (last.weight.dim() - 1)))
        last.bias.copy_((last.bias - seen[0].mean(dim=0)) * scale)
    hook.remove()


def fine_tune(network: ImageClassifier, inputs: Tensor, seed: int) -> ImageClassifier:
    """A copy with a last layer of its own: what comes of training only the head on other data."""
    sibling = ImageClassifier()
    sibling.load_state_dict(network.state_dict())
    fit_last(sibling, inputs, seed)
    return sibling.eval()


def multiply_accumulates(network: nn.Module, sample: Tensor) -> int | None:
    """MACs of one inference, counted as it runs; None where layers other than Conv and Linear have any.

    A position of a convolution's output costs kernel x input channels / groups, padding included.
    """
    if any(isinstance(m, nn.RNNBase | nn.Embedding) for m in network.modules()):
        return None
    counts: list[int] = []

    def count(module: nn.Module, _inputs: tuple[Tensor], output: Tensor) -> None:
        counts.append(output.numel() * module.weight[0].numel())

    counted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_hook(count) for module in counted]
    network(sample)
    for hook in hooks:
        hook.remove()
    return sum(counts)


def parameters(network: nn.Module) -> int:
    """Trained values, with batch normalisation folded into its convolution as the exporters do."""
    folded = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    return sum(p.numel() for p in network.parameters()) - folded

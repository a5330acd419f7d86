"""A small language to write networks down, and the published ones that the tests count."""

import math
from collections.abc import Sequence

import numpy as np

from gaugenn.graph import (
    AttributeValue,
    DataType,
    Graph,
    Layout,
    Model,
    Node,
    Shape,
    Tensor,
    TensorKind,
)


class Builder:
    """Builds a model node by node. Activations get no shape: inference has to find them.

    Args:
        channels_last: writes the same network in the layout of TensorFlow Lite.
        seed: of the weights' values; None for weights without values.
        prefix: of every name.
    """

    def __init__(
        self, *, channels_last: bool = False, seed: int | None = None, prefix: str = ""
    ) -> None:
        self.channels_last = channels_last
        self.prefix = prefix
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []
        self.channels: dict[str, int] = {}
        self._random = None if seed is None else np.random.default_rng(seed)

    def _name(self, kind: str) -> str:
        name = f"{self.prefix}{kind}{len(self.tensors)}"
        assert name not in self.tensors
        return name

    def input(self, *shape: int | str, dtype: DataType = DataType.FLOAT32) -> str:
        """A graph input, its shape written as it stands."""
        name = self._name("input")
        self.tensors[name] = Tensor(name=name, dtype=dtype, shape=shape)
        self.inputs.append(name)
        return name

    def image(self, channels: int, height: int, width: int, batch: int = 1) -> str:
        """A graph input in the builder's layout."""
        spatial = (height, width)
        shape = (batch, *spatial, channels) if self.channels_last else (batch, channels, *spatial)
        name = self.input(*shape)
        self.channels[name] = channels
        return name

    def constant(
        self, *shape: int, values: Sequence[float] | None = None, dtype: DataType = DataType.FLOAT32
    ) -> str:
        """A constant tensor; with values, or random ones where the builder has a seed."""
        name = self._name("constant")
        data = None
        numpy_type = np.dtype(dtype.value)
        if values is not None:
            data = memoryview(np.array(values, dtype=numpy_type).tobytes())
        elif self._random is not None:
            drawn = self._random.normal(size=math.prod(shape)).astype(numpy_type)
            data = memoryview(drawn.tobytes())
        self.tensors[name] = Tensor(
            name=name, dtype=dtype, shape=shape, data=data, kind=TensorKind.CONSTANT
        )
        return name

    def sizes(self, *values: int) -> str:
        """A constant list of integers."""
        return self.constant(len(values), values=values, dtype=DataType.INT64)

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        outputs: int = 1,
        source: str = "",
        domain: str = "",
        declared: Shape | None = None,
        **attributes: AttributeValue,
    ) -> str:
        """Any node; returns its first output. `operator` "" with a `source` for what ONNX lacks."""
        names = []
        for _ in range(outputs):
            name = self._name(operator or source)
            self.tensors[name] = Tensor(name=name, dtype=DataType.UNKNOWN, shape=declared)
            names.append(name)
        self.nodes.append(
            Node(
                name=names[0] if names else "",
                operator=operator,
                source_operator=source or operator,
                inputs=tuple(inputs),
                outputs=tuple(names),
                attributes=attributes,
                domain=domain,
            )
        )
        if inputs and inputs[0] in self.channels and names:
            self.channels[names[0]] = self.channels[inputs[0]]
        return names[0] if names else ""

    def conv(
        self,
        data: str,
        channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | str = 0,
        group: int = 1,
        bias: bool = False,
    ) -> str:
        """A convolution with weights in the layout's own order (depthwise: 1HWO in channels-last)."""
        window = (kernel, kernel) if isinstance(kernel, int) else kernel
        inner = self.channels[data] // group
        if not self.channels_last:
            weights = self.constant(channels, inner, *window)
        elif inner == 1 and group > 1:
            weights = self.constant(1, *window, channels)
        else:
            weights = self.constant(channels, *window, inner)
        attributes: dict[str, AttributeValue] = {
            "kernel_shape": window,
            "strides": (stride, stride),
            "dilations": (1, 1),
            "group": group,
            "output_channels": channels,
        }
        if isinstance(padding, str):
            attributes["auto_pad"] = padding
        else:
            attributes["pads"] = (padding,) * 4
        inputs = [data, weights, *([self.constant(channels)] if bias else [])]
        result = self.node("Conv", inputs, **attributes)
        self.channels[result] = channels
        return result

    def normalised(self, data: str) -> str:
        """Batch normalisation: gamma, beta, and the two running statistics."""
        count = self.channels[data]
        constants = [self.constant(count) for _ in range(4)]
        return self.node("BatchNormalization", [data, *constants])

    def relu(self, data: str) -> str:
        return self.node("Relu", [data])

    def pool(
        self, kind: str, data: str, kernel: int, stride: int, padding: int = 0, ceil: bool = False
    ) -> str:
        return self.node(
            kind,
            [data],
            kernel_shape=(kernel, kernel),
            strides=(stride, stride),
            pads=(padding,) * 4,
            ceil_mode=int(ceil),
        )

    def flat(self, data: str) -> str:
        return self.node("Flatten", [data], axis=1)

    def dense(self, data: str, inputs: int, outputs: int, bias: bool = True) -> str:
        """A fully connected layer."""
        constants = [self.constant(outputs, inputs), *([self.constant(outputs)] if bias else [])]
        return self.node("Gemm", [data, *constants], transB=1)

    def concat(self, *parts: str) -> str:
        result = self.node("Concat", parts, axis=-1 if self.channels_last else 1)
        self.channels[result] = sum(self.channels[part] for part in parts)
        return result

    def graph(self, *outputs: str, parent: int | None = None) -> Graph:
        """The graph of what was built."""
        layout = Layout.CHANNELS_LAST if self.channels_last else Layout.CHANNELS_FIRST
        return Graph(
            name="main",
            tensors=self.tensors,
            nodes=tuple(self.nodes),
            inputs=tuple(self.inputs),
            outputs=outputs,
            layout=layout,
            parent=parent,
        )

    def model(self, *outputs: str, inner: Sequence[Graph] = ()) -> Model:
        """The model of what was built."""
        return Model(
            format="test",
            format_version="",
            producer="",
            graphs=(self.graph(*outputs), *inner),
        )


def mobilenet_v1(b: Builder) -> Model:
    """1.0 at 224 x 224. **Source:** https://arxiv.org/abs/1704.04861, table 1."""
    x = b.relu(b.normalised(b.conv(b.image(3, 224, 224), 32, 3, 2, "SAME_UPPER")))
    blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5]
    for channels, stride in [*blocks, (1024, 2), (1024, 1)]:
        inner = b.channels[x]
        x = b.relu(b.normalised(b.conv(x, inner, 3, stride, "SAME_UPPER", group=inner)))
        x = b.relu(b.normalised(b.conv(x, channels, 1)))
    x = b.flat(b.node("GlobalAveragePool", [x]))
    return b.model(b.node("Softmax", [b.dense(x, 1024, 1000)]))


def mobilenet_v2(b: Builder) -> Model:
    """1.0 at 224 x 224. **Source:** https://arxiv.org/abs/1801.04381, table 2."""

    def unit(x: str, channels: int, kernel: int, stride: int = 1, group: int = 1) -> str:
        x = b.conv(x, channels, kernel, stride, kernel // 2, group)
        return b.node("Clip", [b.normalised(x)], min=0.0, max=6.0)

    x = unit(b.image(3, 224, 224), 32, 3, 2)
    table = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)]
    for expansion, channels, repeats, stride in [
        *table,
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ]:
        for i in range(repeats):
            inner = b.channels[x]
            y = unit(x, inner * expansion, 1) if expansion != 1 else x
            y = unit(y, inner * expansion, 3, stride if i == 0 else 1, inner * expansion)
            y = b.normalised(b.conv(y, channels, 1))
            x = b.node("Add", [x, y]) if i > 0 else y
            b.channels[x] = channels
    x = b.flat(b.node("GlobalAveragePool", [unit(x, 1280, 1)]))
    return b.model(b.dense(x, 1280, 1000))


def vgg_16(b: Builder) -> Model:
    """Configuration D at 224 x 224. **Source:** https://arxiv.org/abs/1409.1556, table 1."""
    x = b.image(3, 224, 224)
    for channels, repeats in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(repeats):
            x = b.relu(b.conv(x, channels, 3, padding=1, bias=True))
        x = b.pool("MaxPool", x, 2, 2)
    x = b.flat(x)
    for inputs in (512 * 7 * 7, 4096):
        x = b.relu(b.dense(x, inputs, 4096))
    return b.model(b.dense(x, 4096, 1000))


def resnet_50(b: Builder, *, stride_in_3x3: bool) -> Model:
    """At 224 x 224. The original strides in the first 1x1 of a block, version 1.5 in the 3x3.

    **Source:** https://arxiv.org/abs/1512.03385, table 1; https://ngc.nvidia.com (ResNet-50 v1.5)
    """
    x = b.relu(b.normalised(b.conv(b.image(3, 224, 224), 64, 7, 2, 3)))
    x = b.pool("MaxPool", x, 3, 2, 1)
    for stage, (width, repeats) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for i in range(repeats):
            stride = 2 if stage > 0 and i == 0 else 1
            first, second = (1, stride) if stride_in_3x3 else (stride, 1)
            y = b.relu(b.normalised(b.conv(x, width, 1, first)))
            y = b.relu(b.normalised(b.conv(y, width, 3, second, 1)))
            y = b.normalised(b.conv(y, 4 * width, 1))
            short = b.normalised(b.conv(x, 4 * width, 1, stride)) if i == 0 else x
            x = b.node("Add", [y, short])
            x = b.relu(x)
    x = b.flat(b.node("GlobalAveragePool", [x]))
    return b.model(b.dense(x, 2048, 1000))


def squeezenet_1_1(
    b: Builder, size: int = 224, *, ceil: bool = False, last_padding: int = 0
) -> Model:
    """**Source:** https://github.com/forresti/SqueezeNet (SqueezeNet_v1.1).

    Caffe rounds pooled sizes up; ncnn's own file also pads the last convolution.
    """
    x = b.relu(b.conv(b.image(3, size, size), 64, 3, 2, bias=True))
    x = b.pool("MaxPool", x, 3, 2, ceil=ceil)
    table = [(16, 64), (16, 64), None, (32, 128), (32, 128), None]
    for entry in [*table, (48, 192), (48, 192), (64, 256), (64, 256)]:
        if entry is None:
            x = b.pool("MaxPool", x, 3, 2, ceil=ceil)
            continue
        squeeze, expand = entry
        y = b.relu(b.conv(x, squeeze, 1, bias=True))
        left = b.relu(b.conv(y, expand, 1, bias=True))
        right = b.relu(b.conv(y, expand, 3, padding=1, bias=True))
        x = b.concat(left, right)
    x = b.relu(b.conv(x, 1000, 1, padding=last_padding, bias=True))
    return b.model(b.flat(b.node("GlobalAveragePool", [x])))

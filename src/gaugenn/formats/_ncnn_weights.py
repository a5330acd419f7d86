"""What each ncnn layer loads from the weights file, in which order, and how it is stored there.

**Source:** https://github.com/Tencent/ncnn/blob/master/src/modelbin.cpp for the storage, each layer's
`load_model` in `src/layer/` for order and sizes. Read at revision a4d2ea1d of 2026-07-22.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gaugenn.errors import FormatError
from gaugenn.formats._ncnn_layers import Layer
from gaugenn.graph import DataType, LazyBytes, Quantization, Tensor, TensorData, TensorKind

_HALF = 0x01306B47
_INT8 = 0x000D4B38
_SCALED_FLOAT = 0x0002C056
_TABLE_BYTES = 256 * 4
"""Before flagged data stands a u32: 0 for float32, one of these, or anything else for a table of 256
float32 values with a byte index per element. All data fill up to whole 4 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One load from the weights file.

    Attributes:
        name: ncnn's name of it: `weight_data`.
        shape: sizes, outermost first.
        flagged: a flag says how the elements are stored; otherwise they are float32.
        scaled: of quantisation scales: the name of the weight that they belong to. Such a load
            becomes no tensor of its own.
        axis: of quantisation scales: the dimension of that weight that they run along.
        block_size: of quantisation scales: how many elements along `axis` share one.
        bits: of packed integers: their width; `shape` counts elements, not bytes.
    """

    name: str
    shape: tuple[int, ...]
    flagged: bool = False
    scaled: str = ""
    axis: int | None = None
    block_size: int | None = None
    bits: int | None = None


def weights_of(layer: Layer) -> tuple[Weight, ...]:
    """What a layer loads, in order.

    Raises:
        FormatError: sizes that contradict each other.
    """
    make = _LOADS.get(layer.type)
    return tuple(make(layer)) if make else ()


def _vector(layer: Layer, number: int, name: str, default: int = 0) -> list[Weight]:
    size = layer.size(number, default)
    return [Weight(name=name, shape=(size,))] if size else []


def kernel(layer: Layer) -> tuple[int, ...]:
    """Kernel sizes of a convolution or pooling, outermost dimension first."""
    return per_axis(layer, (1, 11, 21), 0, lowest=1)


def per_axis(
    layer: Layer, numbers: tuple[int, int, int], default: int, *, lowest: int = 0
) -> tuple[int, ...]:
    """A parameter given for width, height and depth, outermost dimension first.

    Height and depth default to the width. One- and two-dimensional types use the first one or two.
    """
    width = layer.size(numbers[0], default, lowest)
    values = [width] + [layer.size(n, width, lowest) for n in numbers[1:]]
    return tuple(reversed(values[: spatial_rank(layer)]))


def spatial_rank(layer: Layer) -> int:
    """How many spatial dimensions a convolution or pooling type has."""
    if layer.type.endswith("1D"):
        return 1
    return 3 if layer.type.endswith("3D") else 2


def group(layer: Layer) -> int:
    """Groups of a convolution; only the depth-wise types have more than one."""
    return layer.size(7, 1, 1) if "DepthWise" in layer.type else 1


def has_dynamic_weight(layer: Layer) -> bool:
    """Whether a convolution takes its weight from a blob instead of the weights file."""
    return bool(layer.integer(28 if "Deconvolution" in layer.type else 19, 0))


def _convolution(layer: Layer) -> list[Weight]:
    if has_dynamic_weight(layer):
        return []
    outputs, window = layer.size(0, 0, 1), kernel(layer)
    shape = (outputs, _divided(layer, layer.size(6, 0, 1), outputs * math.prod(window)), *window)
    loads = [Weight(name="weight_data", shape=shape, flagged=True)]
    if layer.integer(5, 0):
        loads.append(Weight(name="bias_data", shape=(outputs,)))
    term = layer.integer(8, 0)
    if not term or layer.type not in ("Convolution", "ConvolutionDepthWise"):
        return loads
    scales = outputs
    if layer.type == "ConvolutionDepthWise":
        if term not in (1, 2, 101, 102):
            return loads
        scales = group(layer) if term % 100 == 1 else 1
    loads.append(_scales("weight_data", scales, axis=0))
    loads.append(_scales("", 1))
    if term > 100:
        loads.append(_scales("", 1))
    return loads


def _scales(of: str, count: int, axis: int | None = None) -> Weight:
    return Weight(name=f"{of}_int8_scales", shape=(count,), scaled=of or "blob", axis=axis)


def _inner_product(layer: Layer) -> list[Weight]:
    outputs = layer.size(0, 0, 1)
    shape = (outputs, _divided(layer, layer.size(2, 0, 1), outputs))
    loads = [Weight(name="weight_data", shape=shape, flagged=True)]
    if layer.integer(1, 0):
        loads.append(Weight(name="bias_data", shape=(outputs,)))
    if layer.integer(8, 0):
        loads += [_scales("weight_data", outputs, axis=0), _scales("", 1)]
    return loads


def _embed(layer: Layer) -> list[Weight]:
    outputs = layer.size(0, 0, 1)
    shape = (_divided(layer, layer.size(3, 0, 1), outputs), outputs)
    loads = [Weight(name="weight_data", shape=shape, flagged=True)]
    if layer.integer(2, 0):
        loads.append(Weight(name="bias_data", shape=(outputs,)))
    if layer.integer(18, 0):
        loads.append(_scales("weight_data", 1))
    return loads


def _batch_norm(layer: Layer) -> list[Weight]:
    channels = layer.size(0, 0)
    names = ("slope_data", "mean_data", "var_data", "bias_data")
    return [Weight(name=name, shape=(channels,)) for name in names]


def _scale(layer: Layer) -> list[Weight]:
    size = layer.integer(0, 0)
    if size == -233:
        return []
    names = ("scale_data", "bias_data") if layer.integer(1, 0) else ("scale_data",)
    return [Weight(name=name, shape=(layer.size(0, 0),)) for name in names]


def _affine(size: int, term: int, *names: str) -> Callable[[Layer], list[Weight]]:
    def loads(layer: Layer) -> list[Weight]:
        if not layer.integer(term, 1):
            return []
        return [Weight(name=name, shape=(layer.size(size, 0),)) for name in names]

    return loads


def _recurrent(gates: int, biases: int) -> Callable[[Layer], list[Weight]]:
    def loads(layer: Layer) -> list[Weight]:
        outputs = layer.size(0, 0, 1)
        hidden = layer.size(3, outputs, 1) if layer.type == "LSTM" else outputs
        directions = 2 if layer.integer(2, 0) == 2 else 1
        rows = gates * hidden
        size = _divided(layer, layer.size(1, 0, 1), directions * rows)
        found = [
            Weight(name="weight_xc_data", shape=(directions, rows, size), flagged=True),
            Weight(name="bias_c_data", shape=(directions, biases, hidden), flagged=True),
            Weight(name="weight_hc_data", shape=(directions, rows, outputs), flagged=True),
        ]
        if hidden != outputs:
            shape = (directions, outputs, hidden)
            found.append(Weight(name="weight_hr_data", shape=shape, flagged=True))
        if layer.integer(8, 0):
            for of, columns in (("weight_xc_data", size), ("weight_hc_data", outputs)):
                found.append(
                    Weight(
                        name=f"{of}_int8_scales",
                        shape=(directions, rows),
                        scaled=of,
                        axis=2,
                        block_size=columns,
                    )
                )
        return found

    return loads


def _quantize(layer: Layer) -> list[Weight]:
    return _vector(layer, 0, "scale_data", 1)


def _dequantize(layer: Layer) -> list[Weight]:
    return _vector(layer, 0, "scale_data", 1) + _vector(layer, 1, "bias_data")


def _requantize(layer: Layer) -> list[Weight]:
    scales = _vector(layer, 0, "scale_in_data", 1) + _vector(layer, 1, "scale_out_data", 1)
    return scales + _vector(layer, 2, "bias_data")


def memory_shape(layer: Layer) -> tuple[int, ...]:
    """Sizes of an `Input` or a `MemoryData`, outermost first, without batch; () for a bare one.

    The rank follows from the outermost size that is not zero; old converters wrote -233 for none.
    """
    values = [layer.integer(n, 0) for n in (0, 1, 2, 11)]
    if any(value < 0 and value != -233 for value in values):
        raise FormatError(f"ncnn layer {layer.name!r} ({layer.type}) has negative sizes {values}")
    width, height, channels, depth = (max(value, 0) for value in values)
    if depth:
        return (channels, depth, height, width)
    if channels:
        return (channels, height, width)
    if height:
        return (height, width)
    return (width,) if width else ()


def _memory_data(layer: Layer) -> list[Weight]:
    shape = memory_shape(layer)
    if not shape:
        return []
    return [Weight(name="data", shape=shape, flagged=layer.integer(21, 1) == 0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockQuantization:
    """Weight-only quantisation in blocks along the reduced dimension.

    Attributes:
        bits: width of the packed integers, two's complement, lowest bits first.
        block_size: elements that share a scale.
        has_input_scale: a factor per input element follows the scales.
    """

    bits: int
    block_size: int
    has_input_scale: bool


def block_quantization(term: int) -> BlockQuantization | None:
    """What a `quantize_term` from 400 on means; None where it means none or plain 8-bit."""
    bits, rest = divmod(term, 100)
    format_, code = divmod(rest, 10)
    if bits not in (4, 6, 8) or format_ > 1 or code > 2:
        return None
    return BlockQuantization(bits=bits, block_size=32 << code, has_input_scale=format_ == 1)


def _packed(name: str, rows: int, columns: int, blocks: BlockQuantization) -> Weight:
    return Weight(name=name, shape=(rows, columns), flagged=True, bits=blocks.bits)


def _block_scales(of: str, rows: int, columns: int, blocks: BlockQuantization) -> Weight:
    count = -(-columns // blocks.block_size)
    return Weight(
        name=f"{of}_quantize_scales",
        shape=(rows, count),
        scaled=of,
        axis=1,
        block_size=blocks.block_size,
    )


def _gemm(layer: Layer) -> list[Weight]:
    rows, columns, depth = (layer.size(n, 0) for n in (7, 8, 9))
    term = layer.integer(18, 0)
    blocks = block_quantization(term)
    loads: list[Weight] = []
    if layer.integer(4, 0) == 1:
        shape = (depth, rows) if layer.integer(2, 0) else (rows, depth)
        loads.append(Weight(name="A_data", shape=shape, flagged=True))
    if layer.integer(5, 0) == 1:
        if blocks:
            loads.append(_packed("B_data", columns, depth, blocks))
        else:
            shape = (columns, depth) if layer.integer(3, 0) else (depth, columns)
            loads.append(Weight(name="B_data", shape=shape, flagged=True))
    kinds = {0: (1,), 1: (rows,), 2: (rows, 1), 3: (rows, columns), 4: (1, columns)}
    kind = layer.integer(10, 0)
    if layer.integer(6, 0) == 1 and kind in kinds:
        loads.append(Weight(name="C_data", shape=kinds[kind], flagged=True))
    if blocks:
        loads.append(_block_scales("B_data", columns, depth, blocks))
        if blocks.has_input_scale:
            loads.append(Weight(name="B_data_input_scales", shape=(depth,)))
    elif term:
        if layer.integer(4, 0) == 1:
            loads.append(_scales("A_data", rows, axis=1 if layer.integer(2, 0) else 0))
        if layer.integer(5, 0) == 1:
            loads.append(_scales("B_data", 1))
    return loads


def _attention(layer: Layer) -> list[Weight]:
    embed = layer.size(0, 0, 1)
    query = _divided(layer, layer.size(2, 0, 1), embed)
    sizes = (
        ("q", embed, query),
        ("k", embed, layer.size(3, embed, 1)),
        ("v", embed, layer.size(4, embed, 1)),
        ("out", query, embed),
    )
    term = layer.integer(18, 0)
    blocks = block_quantization(term)
    loads: list[Weight] = []
    for name, rows, columns in sizes:
        plain = Weight(name=f"{name}_weight_data", shape=(rows, columns), flagged=True)
        loads.append(replace(plain, bits=blocks.bits) if blocks else plain)
        loads.append(Weight(name=f"{name}_bias_data", shape=(rows,)))
    if blocks:
        loads += [_block_scales(f"{n}_weight_data", r, c, blocks) for n, r, c in sizes]
        if blocks.has_input_scale:
            loads += [Weight(name=f"{n}_weight_data_input_scales", shape=(c,)) for n, _, c in sizes]
    elif term:
        loads += [_scales(f"{n}_weight_data", embed, axis=0) for n in ("q", "k", "v")]
        loads.append(_scales("out_weight_data", 1))
    return loads


def _divided(layer: Layer, total: int, parts: int) -> int:
    whole, rest = divmod(total, parts)
    if rest:
        raise FormatError(
            f"ncnn layer {layer.name!r} ({layer.type}): {total} weights cannot be shared out "
            f"evenly to {parts}; the sizes of this layer contradict each other"
        )
    return whole


_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise")

_LOADS: Mapping[str, Callable[[Layer], list[Weight]]] = {
    **{f"{name}{rank}": _convolution for name in _CONVOLUTIONS for rank in ("", "1D", "3D")},
    "DeformableConv2D": _convolution,
    "InnerProduct": _inner_product,
    "Embed": _embed,
    "BatchNorm": _batch_norm,
    "Bias": lambda layer: _vector(layer, 0, "bias_data"),
    "Scale": _scale,
    "PReLU": lambda layer: _vector(layer, 0, "slope_data"),
    "Normalize": lambda layer: _vector(layer, 3, "scale_data"),
    "Padding": lambda layer: _vector(layer, 6, "per_channel_pad_data"),
    "GroupNorm": _affine(1, 3, "gamma_data", "beta_data"),
    "InstanceNorm": _affine(0, 2, "gamma_data", "beta_data"),
    "LayerNorm": _affine(0, 2, "gamma_data", "beta_data"),
    "RMSNorm": _affine(0, 2, "gamma_data"),
    "RNN": _recurrent(1, 1),
    "LSTM": _recurrent(4, 4),
    "GRU": _recurrent(3, 4),
    "Quantize": _quantize,
    "Dequantize": _dequantize,
    "Requantize": _requantize,
    "MemoryData": _memory_data,
    "Gemm": _gemm,
    "MultiHeadAttention": _attention,
}


class WeightsFile:
    """Takes one load after the other from a weights file."""

    def __init__(self, name: str, data: memoryview) -> None:
        self._name = name
        self._data = data
        self._position = 0

    @property
    def left_bytes(self) -> int:
        """How many bytes nothing has asked for yet."""
        return self._data.nbytes - self._position

    def take(self, weight: Weight, what: str) -> tuple[DataType, TensorData]:
        """Element type and bytes of one load.

        Raises:
            FormatError: the file ends before.
        """
        count = math.prod(weight.shape)
        if weight.bits is not None:
            rows = math.prod(weight.shape[:-1])
            count = rows * -(-weight.shape[-1] * weight.bits // 8)
        if not weight.flagged:
            return DataType.FLOAT32, self._bytes(4 * count, what)
        flag: int = struct.unpack("<I", self._bytes(4, what))[0]
        if flag == _HALF:
            return DataType.FLOAT16, self._bytes(2 * count, what)
        if flag == _INT8:
            return _packed_type(weight), self._bytes(count, what)
        if flag in (0, _SCALED_FLOAT):
            return DataType.FLOAT32, self._bytes(4 * count, what)
        return DataType.FLOAT32, _looked_up(
            self._bytes(_TABLE_BYTES, what), self._bytes(count, what)
        )

    def _bytes(self, count: int, what: str) -> memoryview:
        padded = (count + 3) & ~3
        if padded > self.left_bytes:
            raise FormatError(
                f"{self._name}: {what} needs {padded} bytes at {self._position}, the file has "
                f"{self.left_bytes} left: cut off, or the weights of another graph"
            )
        start = self._position
        self._position += padded
        return self._data[start : start + count]


def _packed_type(weight: Weight) -> DataType:
    if weight.bits in (None, 8):
        return DataType.INT8
    if weight.bits == 4 and weight.shape[-1] % 2 == 0:
        return DataType.INT4
    return DataType.UNKNOWN  # rows of 6-bit elements, or rows that end within a byte


def _looked_up(table: memoryview, indices: memoryview) -> LazyBytes:
    def load() -> memoryview:
        values = np.frombuffer(table, dtype="<f4")[np.frombuffer(indices, dtype=np.uint8)]
        return memoryview(values.tobytes())

    return LazyBytes(size_bytes=4 * indices.nbytes, load=load)


def load_weights(layer: Layer, file: WeightsFile | None) -> dict[str, Tensor]:
    """A layer's weights by ncnn's names, with quantisation where they are stored as integers.

    Args:
        layer: the layer.
        file: where to take the bytes from; None gives tensors without data, in the type that the
            layer's parameters suggest.

    Raises:
        FormatError: contradictory sizes, or a file that ends too early.
    """
    loads = weights_of(layer)
    quantized = {load.scaled for load in loads if load.scaled}
    tensors: dict[str, Tensor] = {}
    scales: dict[str, tuple[Weight, TensorData]] = {}
    for load in loads:
        dtype, data = DataType.FLOAT32, None
        if file is not None:
            dtype, data = file.take(load, f"{load.name} of layer {layer.name!r} ({layer.type})")
        elif load.name in quantized:
            dtype = _packed_type(load)
        if not load.scaled:
            tensors[load.name] = Tensor(
                name=load.name,
                dtype=dtype,
                shape=load.shape,
                data=data,
                kind=TensorKind.CONSTANT,
            )
        elif data is not None:
            scales[load.scaled] = (load, data)
    for name, (load, data) in scales.items():
        tensor = tensors.get(name)
        if tensor is not None and not tensor.dtype.is_floating:
            tensors[name] = replace(tensor, quantization=_quantization(tensor, load, data))
    return tensors


def _quantization(tensor: Tensor, load: Weight, data: TensorData) -> Quantization:
    """Factors are stored: stored = round(real * factor). Zero stands for a channel of zeros."""
    raw = data if isinstance(data, memoryview) else data.load()
    factors: Sequence[float] = np.frombuffer(raw, dtype="<f4").tolist()
    values = tuple(1.0 / f if f else 0.0 for f in factors)
    if load.block_size is not None:
        return Quantization(scales=values, axis=load.axis, block_size=load.block_size)
    if len(values) == 1 or load.axis is None or tensor.shape is None:
        return Quantization(scales=values)
    size = tensor.shape[load.axis]
    if isinstance(size, int) and size > len(values):  # a factor per group of channels
        values = tuple(v for v in values for _ in range(size // len(values)))
    return Quantization(scales=values, axis=load.axis)

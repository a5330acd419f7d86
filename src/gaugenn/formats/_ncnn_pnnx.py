"""PNNX: PyTorch operators in the outer form of an ncnn text, weights in an uncompressed zip.

Tensors have their true shapes here, batch included.

**Source:** https://github.com/Tencent/ncnn/blob/master/tools/pnnx/README.md, `tools/pnnx/src/ir.cpp`.
"""

import io
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._ncnn_params import Line
from gaugenn.formats._ncnn_site import unique
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

_TYPES: Mapping[str, DataType] = {
    "f32": DataType.FLOAT32,
    "f64": DataType.FLOAT64,
    "f16": DataType.FLOAT16,
    "bf16": DataType.BFLOAT16,
    "i32": DataType.INT32,
    "i64": DataType.INT64,
    "i16": DataType.INT16,
    "i8": DataType.INT8,
    "u8": DataType.UINT8,
    "bool": DataType.BOOL,
    "c64": DataType.COMPLEX64,
    "c128": DataType.COMPLEX128,
}
_PARAMETER = re.compile(r"([@#$]?[^=\s]+)=(\S*)")
_SHAPED = re.compile(r"\(([0-9?,%a-z]*)\)([a-z]*\d*)")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_BINARY = re.compile(r"(add|sub|mul|div|pow)\(@0,@1\)")
_LONGEST_SHAPE = 16

_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("nn.ReLU", "F.relu", "torch.relu"), "Relu"),
    **dict.fromkeys(("nn.Sigmoid", "F.sigmoid", "torch.sigmoid"), "Sigmoid"),
    **dict.fromkeys(("nn.Tanh", "F.tanh", "torch.tanh"), "Tanh"),
    **dict.fromkeys(("nn.SiLU", "F.silu"), "Swish"),
    **dict.fromkeys(("nn.Hardswish", "F.hardswish"), "HardSwish"),
    **dict.fromkeys(("nn.Mish", "F.mish"), "Mish"),
    **dict.fromkeys(("nn.GELU", "F.gelu"), "Gelu"),
    **dict.fromkeys(("nn.SELU", "F.selu"), "Selu"),
    **dict.fromkeys(("nn.Softsign", "F.softsign"), "Softsign"),
    **dict.fromkeys(("nn.Identity", "Tensor.contiguous", "torch.clone"), "Identity"),
    **dict.fromkeys(("nn.Dropout", "nn.Dropout2d", "F.dropout"), "Dropout"),
    **dict.fromkeys(("torch.matmul", "torch.bmm"), "MatMul"),
    "nn.PReLU": "PRelu",
}
"""Operators without parameters that matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operator:
    """A line with its parameters sorted out."""

    line: Line
    parameters: Mapping[str, str]
    weights: Mapping[str, Tensor]

    def integers(self, name: str) -> tuple[int, ...]:
        """`(1,2)` or `1`; empty where the parameter is absent or holds anything else."""
        parts = [p for p in self.parameters.get(name, "").strip("()").split(",") if p]
        return tuple(int(p) for p in parts) if all(map(_WHOLE.fullmatch, parts)) else ()

    def integer(self, name: str, default: int) -> int:
        values = self.integers(name)
        return values[0] if len(values) == 1 else default

    def real(self, name: str, default: float) -> float:
        text = self.parameters.get(name, "")
        try:
            return float(text[:40])
        except ValueError:
            return default

    def truth(self, name: str) -> int:
        return int(self.parameters.get(name) in ("True", "1"))


def is_pnnx(lines: Sequence[Line]) -> bool:
    """Whether a graph's operators are PNNX's."""
    return any(line.type.startswith("pnnx.") for line in lines)


def read(lines: Sequence[Line], weights: Content | None) -> Model:
    """The model of a PNNX graph.

    Raises:
        FormatError: a broken parameter, an operand that nothing makes, or a weights file that is not
            the graph's.
    """
    entries = None if weights is None else _entries(weights)
    tensors: dict[str, Tensor] = {}
    nodes: list[Node] = []
    inputs: list[str] = []
    outputs: list[str] = []
    taken = {name for line in lines for name in line.outputs}
    loads = 0
    for line in lines:
        operator, shapes = _parsed(line, entries)
        loads += len(operator.weights)
        for name in line.inputs:
            if name not in tensors:
                raise FormatError(
                    f"PNNX line {line.number}: {line.name!r} takes {name!r}, which nothing makes"
                )
        for name in line.outputs:
            if name in tensors:
                raise FormatError(
                    f"PNNX line {line.number}: {line.name!r} makes {name!r} a second time"
                )
            shape, dtype = shapes.get(name, (None, DataType.FLOAT32))
            tensors[name] = Tensor(name=name, dtype=dtype, shape=shape)
        if line.type == "pnnx.Input":
            inputs += line.outputs
        elif line.type == "pnnx.Output":
            outputs += line.inputs
        else:
            nodes.append(_node(operator, tensors, taken))
    graph = Graph(
        name="",
        tensors=tensors,
        nodes=tuple(nodes),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        layout=Layout.CHANNELS_FIRST,
    )
    return Model(
        format="ncnn",
        format_version="pnnx",
        producer="pnnx",
        graphs=(graph,),
        companions=() if weights is None else (weights.file_name,),
        notes=("weights-absent",) if loads and weights is None else (),
    )


def _parsed(
    line: Line, entries: Mapping[str, memoryview] | None
) -> tuple[_Operator, dict[str, tuple[Shape, DataType]]]:
    parameters: dict[str, str] = {}
    weights: dict[str, Tensor] = {}
    shapes: dict[str, tuple[Shape, DataType]] = {}
    for found in _PARAMETER.finditer(line.rest):
        key, text = found[1], found[2]
        if key[0] == "#":
            shapes[key[1:]] = _shaped(line, text)
        elif key[0] == "@":
            shape, dtype = _shaped(line, text)
            name = f"{line.name}.{key[1:]}"
            data = None
            if entries is not None:
                data = entries.get(name)
                if data is None:
                    raise FormatError(f"PNNX weights have no entry {name!r}: of another graph")
            weights[key[1:]] = Tensor(
                name=name, dtype=dtype, shape=shape, data=data, kind=TensorKind.CONSTANT
            )
        else:
            parameters[key] = text
    return _Operator(line=line, parameters=parameters, weights=weights), shapes


def _shaped(line: Line, text: str) -> tuple[Shape, DataType]:
    found = _SHAPED.fullmatch(text)
    sizes = found[1].split(",") if found and found[1] else []
    if found is None or len(sizes) > _LONGEST_SHAPE:
        raise FormatError(f"PNNX line {line.number}: {text[:60]!r} is no shape")
    shape = tuple(int(s) if _WHOLE.fullmatch(s) else s or "?" for s in sizes)
    return shape, _TYPES.get(found[2], DataType.UNKNOWN)


def _node(operator: _Operator, tensors: dict[str, Tensor], taken: set[str]) -> Node:
    line = operator.line
    named: dict[str, str] = {}
    for key, tensor in operator.weights.items():
        name = unique(tensor.name, taken)
        named[key] = name
        tensors[name] = Tensor(
            name=name,
            dtype=tensor.dtype,
            shape=tensor.shape,
            data=tensor.data,
            kind=TensorKind.CONSTANT,
        )
    first = tensors[line.inputs[0]].shape if line.inputs else None
    onnx, attributes, order = _meaning(operator, None if first is None else len(first))
    inputs = [*line.inputs, *(named[key] for key in named if key not in order)]
    if order:
        ordered = [named.get(key, "") for key in order]
        while ordered and not ordered[-1]:
            ordered.pop()
        inputs[1:1] = ordered
    if onnx == "Gather":
        inputs.reverse()
    if not onnx:
        attributes = dict(operator.parameters)
    return Node(
        name=line.name,
        operator=onnx,
        source_operator=line.type,
        inputs=tuple(inputs),
        outputs=line.outputs,
        attributes=attributes,
    )


_Meaning = tuple[str, dict[str, AttributeValue], tuple[str, ...]]
"""ONNX operator, attributes, and the weights that follow the first input, in ONNX order."""

_NONE: _Meaning = ("", {}, ())


def _meaning(operator: _Operator, rank: int | None) -> _Meaning:
    kind = operator.line.type
    if kind in _NAMES and len(operator.weights) <= 1:
        return _NAMES[kind], {}, tuple(operator.weights)
    short = kind.rpartition(".")[2]
    if re.fullmatch(r"nn\.Conv(Transpose)?[123]d", kind):
        return _convolution(operator)
    if re.fullmatch(r"(nn|F)\.?\.(MaxPool|AvgPool|max_pool|avg_pool)[123]d", kind):
        return _pooling(operator)
    if "adaptive" in short.lower() and short.lower().endswith("pool2d"):
        name = "GlobalMaxPool" if "max" in short.lower() else "GlobalAveragePool"
        return (name, {}, ()) if set(operator.integers("output_size")) == {1} else _NONE
    make = _MEANINGS.get(kind)
    return make(operator, rank) if make else _NONE


def _spread(values: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return values * rank if len(values) == 1 else values


def _convolution(operator: _Operator) -> _Meaning:
    kind = operator.line.type
    rank = int(kind[-2])
    window = _spread(operator.integers("kernel_size"), rank)
    channels = operator.integer("out_channels", 0)
    if len(window) != rank or min(window) < 1 or channels < 1:
        raise FormatError(f"PNNX line {operator.line.number}: {kind} without kernel or channels")
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": window,
        "strides": _spread(operator.integers("stride") or (1,), rank),
        "dilations": _spread(operator.integers("dilation") or (1,), rank),
        "group": max(1, operator.integer("groups", 1)),
        "output_channels": channels,
        **_padding(operator, rank),
    }
    if "Transpose" not in kind:
        return "Conv", attributes, ("weight", "bias")
    more = _spread(operator.integers("output_padding") or (0,), rank)
    if any(more):
        attributes["output_padding"] = more
    return "ConvTranspose", attributes, ("weight", "bias")


def _padding(operator: _Operator, rank: int) -> dict[str, AttributeValue]:
    text = operator.parameters.get("padding", "0")
    if text in ("same", "valid"):
        return {"auto_pad": "SAME_UPPER" if text == "same" else "VALID"}
    sides = _spread(operator.integers("padding") or (0,), rank)
    return {"pads": (*sides, *sides)}


def _pooling(operator: _Operator) -> _Meaning:
    kind = operator.line.type.lower()
    rank = int(kind[-2])
    window = _spread(operator.integers("kernel_size"), rank)
    if len(window) != rank or len(operator.line.outputs) != 1:
        return _NONE
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": window,
        "strides": _spread(operator.integers("stride"), rank) or window,
        "ceil_mode": operator.truth("ceil_mode"),
        **_padding(operator, rank),
    }
    if "avg" in kind:
        attributes["count_include_pad"] = operator.truth("count_include_pad")
        return "AveragePool", attributes, ()
    attributes["dilations"] = _spread(operator.integers("dilation") or (1,), rank)
    return "MaxPool", attributes, ()


def _batch_norm(operator: _Operator, _rank: int | None) -> _Meaning:
    order = ("weight", "bias", "running_mean", "running_var")
    return "BatchNormalization", {"epsilon": operator.real("eps", 1e-5)}, order


def _layer_norm(operator: _Operator, _rank: int | None) -> _Meaning:
    sizes = operator.integers("normalized_shape")
    attributes: dict[str, AttributeValue] = {
        "axis": -max(1, len(sizes)),
        "epsilon": operator.real("eps", 1e-5),
    }
    return "LayerNormalization", attributes, ("weight", "bias")


def _group_norm(operator: _Operator, _rank: int | None) -> _Meaning:
    attributes: dict[str, AttributeValue] = {
        "num_groups": max(1, operator.integer("num_groups", 1)),
        "epsilon": operator.real("eps", 1e-5),
    }
    return "GroupNormalization", attributes, ("weight", "bias")


def _linear(_operator: _Operator, _rank: int | None) -> _Meaning:
    return "Gemm", {"transB": 1}, ("weight", "bias")


def _embedding(_operator: _Operator, _rank: int | None) -> _Meaning:
    return "Gather", {"axis": 0}, ("weight",)


def _relu6(_operator: _Operator, _rank: int | None) -> _Meaning:
    return "Clip", {"min": 0.0, "max": 6.0}, ()


def _leaky(operator: _Operator, _rank: int | None) -> _Meaning:
    return "LeakyRelu", {"alpha": operator.real("negative_slope", 0.01)}, ()


def _hard_sigmoid(_operator: _Operator, _rank: int | None) -> _Meaning:
    return "HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, ()


def _softmax(operator: _Operator, _rank: int | None) -> _Meaning:
    name = "LogSoftmax" if "log" in operator.line.type.lower() else "Softmax"
    return name, {"axis": operator.integer("dim", -1)}, ()


def _concat(operator: _Operator, _rank: int | None) -> _Meaning:
    return "Concat", {"axis": operator.integer("dim", 0)}, ()


def _flatten(operator: _Operator, _rank: int | None) -> _Meaning:
    if operator.integer("end_dim", -1) != -1 or operator.integer("start_dim", 0) != 1:
        return _NONE
    return "Flatten", {"axis": 1}, ()


def _reshape(operator: _Operator, _rank: int | None) -> _Meaning:
    shape = operator.integers("shape")
    return ("Reshape", {"shape": shape}, ()) if shape else _NONE


def _permute(operator: _Operator, rank: int | None) -> _Meaning:
    order = operator.integers("dims")
    if operator.line.type == "torch.transpose" and rank is not None:
        axes = list(range(rank))
        one, two = operator.integer("dim0", 0), operator.integer("dim1", 0)
        if not (-rank <= one < rank and -rank <= two < rank):
            return _NONE
        axes[one], axes[two] = axes[two], axes[one]
        order = tuple(axes)
    return ("Transpose", {"perm": order}, ()) if order else _NONE


def _mean(operator: _Operator, _rank: int | None) -> _Meaning:
    axes = operator.integers("dim")
    if not axes:
        return _NONE
    name = "ReduceSum" if operator.line.type == "torch.sum" else "ReduceMean"
    return name, {"axes": axes, "keepdims": operator.truth("keepdim")}, ()


def _interpolate(operator: _Operator, rank: int | None) -> _Meaning:
    modes = {"nearest": "nearest", "bilinear": "linear", "linear": "linear", "bicubic": "cubic"}
    mode = modes.get(operator.parameters.get("mode", "nearest"))
    if mode is None or rank is None or rank < 3:
        return _NONE
    attributes: dict[str, AttributeValue] = {"mode": mode, "axes": tuple(range(2, rank))}
    sizes = operator.integers("size")
    factors = [p for p in operator.parameters.get("scale_factor", "").strip("()").split(",") if p]
    if sizes:
        attributes["sizes"] = _spread(sizes, rank - 2)
    else:
        try:
            scales = tuple(float(f[:40]) for f in factors)
        except ValueError:
            return _NONE
        if not scales:
            return _NONE
        attributes["scales"] = scales * (rank - 2) if len(scales) == 1 else scales
    return "Resize", attributes, ()


def _pixel_shuffle(operator: _Operator, _rank: int | None) -> _Meaning:
    factor = max(1, operator.integer("upscale_factor", 1))
    return "DepthToSpace", {"blocksize": factor, "mode": "CRD"}, ()


def _squeeze(operator: _Operator, _rank: int | None) -> _Meaning:
    axes = operator.integers("dim")
    name = "Unsqueeze" if "unsqueeze" in operator.line.type else "Squeeze"
    return (name, {"axes": axes}, ()) if axes else _NONE


def _chunk(operator: _Operator, _rank: int | None) -> _Meaning:
    count = len(operator.line.outputs)
    return "Split", {"axis": operator.integer("dim", 0), "num_outputs": count}, ()


def _expression(operator: _Operator, _rank: int | None) -> _Meaning:
    found = _BINARY.fullmatch(operator.parameters.get("expr", ""))
    return (found[1].capitalize(), {}, ()) if found else _NONE


def _attention(operator: _Operator, _rank: int | None) -> _Meaning:
    return "Attention", {"is_causal": operator.truth("is_causal")}, ()


def _attribute(_operator: _Operator, _rank: int | None) -> _Meaning:
    return "Identity", {}, ()  # the weight is its input


_MEANINGS = {
    **dict.fromkeys(("nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d"), _batch_norm),
    "nn.LayerNorm": _layer_norm,
    "nn.GroupNorm": _group_norm,
    "nn.Linear": _linear,
    "nn.Embedding": _embedding,
    **dict.fromkeys(("nn.ReLU6", "F.relu6"), _relu6),
    **dict.fromkeys(("nn.LeakyReLU", "F.leaky_relu"), _leaky),
    **dict.fromkeys(("nn.Hardsigmoid", "F.hardsigmoid"), _hard_sigmoid),
    **dict.fromkeys(("nn.Softmax", "F.softmax", "nn.LogSoftmax", "F.log_softmax"), _softmax),
    "torch.cat": _concat,
    "torch.flatten": _flatten,
    **dict.fromkeys(("Tensor.reshape", "Tensor.view", "torch.reshape"), _reshape),
    **dict.fromkeys(("torch.permute", "Tensor.permute", "torch.transpose"), _permute),
    **dict.fromkeys(("torch.mean", "torch.sum"), _mean),
    **dict.fromkeys(("F.interpolate", "F.upsample", "nn.Upsample"), _interpolate),
    **dict.fromkeys(("nn.PixelShuffle", "F.pixel_shuffle"), _pixel_shuffle),
    **dict.fromkeys(("torch.squeeze", "torch.unsqueeze"), _squeeze),
    "torch.chunk": _chunk,
    "pnnx.Expression": _expression,
    "pnnx.Attribute": _attribute,
    "F.scaled_dot_product_attention": _attention,
}


class _View(io.RawIOBase):
    """A mapped file as a stream, so that the standard library can read its directory."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._data.nbytes}[whence]
        if base + offset < 0:
            raise OSError("before the start of the file")
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        end = self._data.nbytes if size < 0 else self._position + size
        found = bytes(self._data[self._position : end])
        self._position += len(found)
        return found


def _entries(weights: Content) -> dict[str, memoryview]:
    """The stored members of the weights' zip by name.

    Raises:
        FormatError: no zip, a compressed member, or one that lies beyond the end.
    """
    found: dict[str, memoryview] = {}
    try:
        with zipfile.ZipFile(_View(weights.data)) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError) as error:
        raise FormatError(f"{weights.name}: PNNX weights should be a zip: {error}") from None
    except struct.error:
        raise FormatError(f"{weights.name}: the zip's directory is broken") from None
    for member in members:
        header = weights.data[member.header_offset : member.header_offset + 30]
        if member.compress_type != zipfile.ZIP_STORED or header.nbytes < 30:
            raise FormatError(f"{weights.name}: member {member.filename!r} is not stored plainly")
        names, extra = struct.unpack_from("<2H", header, 26)
        start = member.header_offset + 30 + names + extra
        data = weights.data[start : start + member.file_size]
        if data.nbytes != member.file_size:
            raise FormatError(f"{weights.name}: member {member.filename!r} is cut off")
        found[member.filename] = data
    return found

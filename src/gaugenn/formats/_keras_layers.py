"""Keras' layers in ONNX terms, from their configuration.

**Source:** https://keras.io/api/layers/ (each layer's arguments and weights).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gaugenn.errors import FormatError
from gaugenn.graph import AttributeValue

Config = Mapping[str, object]
_LARGEST = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A layer in ONNX terms; `weights` names the layer's weights that stand as ONNX inputs."""

    operator: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    weights: tuple[str, ...] = ()


_ACTIVATIONS: Mapping[str, str] = {
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "softmax": "Softmax",
    "elu": "Elu",
    "selu": "Selu",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "swish": "Swish",
    "silu": "Swish",
    "gelu": "Gelu",
    "exponential": "Exp",
    "hard_sigmoid": "HardSigmoid",
    "leaky_relu": "LeakyRelu",
}
WEIGHTS: Mapping[str, tuple[str, ...]] = {
    "Dense": ("kernel", "bias"),
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), ("kernel", "bias")),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), ("kernel", "bias")),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), ("depthwise_kernel", "bias")),
    **dict.fromkeys(
        ("SeparableConv1D", "SeparableConv2D"), ("depthwise_kernel", "pointwise_kernel", "bias")
    ),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "LayerNormalization": ("gamma", "beta"),
    "Embedding": ("embeddings",),
    "PReLU": ("alpha",),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN"), ("kernel", "recurrent_kernel", "bias")),
}
"""Weights of a layer, in the order in which Keras 3 numbers them."""


def weight_names(kind: str, config: Config) -> tuple[str, ...]:
    """The weights that a layer has with this configuration."""
    left_out = {
        "bias": config.get("use_bias", True) is False,
        "gamma": config.get("scale", True) is False,
        "beta": config.get("center", True) is False,
    }
    return tuple(name for name in WEIGHTS.get(kind, ()) if not left_out.get(name, False))


def integers(value: object, rank: int) -> tuple[int, ...] | None:
    """A whole number for all axes, or one for each."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value] * rank
    if not isinstance(value, list) or len(value) != rank:
        return None
    found = tuple(v for v in value if isinstance(v, int) and not isinstance(v, bool))
    if len(found) != rank or any(not 0 < abs(v) < _LARGEST for v in found):
        return None
    return found


def _text(config: Config, key: str, default: str = "") -> str:
    found = config.get(key, default)
    return found if isinstance(found, str) else default


def _real(config: Config, key: str, default: float) -> float:
    found = config.get(key, default)
    return float(found) if isinstance(found, int | float) else default


def _fused(config: Config) -> dict[str, AttributeValue]:
    name = activation_name(config.get("activation"))
    if name in ("", "linear"):
        return {}
    if name == "relu6":
        return {"fused_activation": "Clip", "fused_min": 0.0, "fused_max": 6.0}
    return {"fused_activation": _ACTIVATIONS.get(name, name)}


def activation_name(value: object) -> str:
    """An activation's name, however it is spelled out."""
    if isinstance(value, dict):
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    return value if isinstance(value, str) else ""


def _rank(kind: str) -> int:
    return next(int(digit) for digit in kind if digit in "123")


def _padding(config: Config) -> dict[str, AttributeValue]:
    same = _text(config, "padding", "valid").lower() in ("same", "causal")
    return {"auto_pad": "SAME_UPPER" if same else "VALID"}


def _window(kind: str, config: Config, kernel: str, step: str) -> dict[str, AttributeValue] | None:
    rank = _rank(kind)
    sizes = integers(config.get(kernel), rank)
    strides = integers(config.get(step), rank) if config.get(step) is not None else sizes
    if sizes is None or strides is None or min(*sizes, *strides) < 1:
        return None
    return {"kernel_shape": sizes, "strides": strides, **_padding(config)}


def _convolution(kind: str, config: Config, channels: int | None) -> Mapped | None:
    window = _window(kind, config, "kernel_size", "strides")
    dilations = integers(config.get("dilation_rate", 1), _rank(kind))
    if window is None or dilations is None:
        return None
    depthwise, upward = kind.startswith("Depthwise"), kind.endswith("Transpose")
    if depthwise:
        multiplier = integers(config.get("depth_multiplier", 1), 1)
        if multiplier is None or channels is None:
            return None
        group, made = channels, channels * multiplier[0]
    else:
        filters = integers(config.get("filters"), 1)
        groups = integers(config.get("groups", 1), 1)
        if filters is None or groups is None:
            return None
        group, made = groups[0], filters[0]
    if group < 1 or made < 1 or min(dilations) < 1:
        raise FormatError(
            f"Keras layer {_text(config, 'name')!r}: {made} channels in {group} groups"
        )
    return Mapped(
        operator="ConvTranspose" if upward else "Conv",
        attributes={
            **window,
            "dilations": dilations,
            "group": group,
            "output_channels": made,
            **_fused(config),
        },
        weights=WEIGHTS[kind],
    )


def _pooling(kind: str, config: Config) -> Mapped | None:
    name = "MaxPool" if "Max" in kind else "AveragePool"
    if not kind.startswith("Global"):
        window = _window(kind, config, "pool_size", "strides")
        return None if window is None else Mapped(operator=name, attributes=window)
    if _text(config, "data_format") == "channels_first":
        return None
    axes = tuple(range(1, 1 + _rank(kind)))
    keep = int(config.get("keepdims") is True)
    operator = "ReduceMax" if name == "MaxPool" else "ReduceMean"
    return Mapped(operator=operator, attributes={"axes": axes, "keepdims": keep})


def _activation(config: Config) -> Mapped | None:
    name = activation_name(config.get("activation"))
    if name == "relu6":
        return Mapped(operator="Clip", attributes={"min": 0.0, "max": 6.0})
    if name == "linear":
        return Mapped(operator="Identity")
    operator = _ACTIVATIONS.get(name)
    if operator is None:
        return None
    return Mapped(operator=operator, attributes={"axis": -1} if name == "softmax" else {})


def _relu(config: Config) -> Mapped | None:
    top, slope = config.get("max_value"), _real(config, "negative_slope", 0.0)
    if slope or _real(config, "threshold", 0.0):
        return None
    if isinstance(top, int | float):
        return Mapped(operator="Clip", attributes={"min": 0.0, "max": float(top)})
    return Mapped(operator="Relu")


def _dense(config: Config) -> Mapped:
    return Mapped(operator="MatMul", attributes=_fused(config), weights=("kernel", "bias"))


def _batch(config: Config) -> Mapped | None:
    axis = config.get("axis", -1)
    if isinstance(axis, list):
        axis = axis[0] if len(axis) == 1 else None
    if not isinstance(axis, int) or axis not in (-1, 3):
        return None
    return Mapped(
        operator="BatchNormalization",
        attributes={"epsilon": _real(config, "epsilon", 1e-3)},
        weights=WEIGHTS["BatchNormalization"],
    )


def _reshape(config: Config) -> Mapped | None:
    shape = config.get("target_shape")
    if not isinstance(shape, list) or not all(isinstance(size, int) for size in shape):
        return None
    sizes = tuple(size for size in shape if isinstance(size, int) and -2 < size < _LARGEST)
    return Mapped(operator="Reshape", attributes={"shape": (0, *sizes)})


def _padding2d(config: Config) -> Mapped | None:
    value = config.get("padding")
    if isinstance(value, int):
        value = [[value, value], [value, value]]
    if not isinstance(value, list) or len(value) != 2:
        return None
    sides: list[tuple[int, int]] = []
    for side in value:
        pair = side if isinstance(side, list) else [side, side]
        found = [v for v in pair if isinstance(v, int) and 0 <= v < _LARGEST]
        if len(found) != 2:
            return None
        sides.append((found[0], found[1]))
    (top, bottom), (left, right) = sides
    pads = (0, top, left, 0, 0, bottom, right, 0)
    return Mapped(operator="Pad", attributes={"mode": "constant", "pads": pads})


def _upsampling(config: Config) -> Mapped | None:
    size = integers(config.get("size"), 2)
    mode = {"nearest": "nearest", "bilinear": "linear"}.get(_text(config, "interpolation"))
    if size is None or mode is None or _text(config, "data_format") == "channels_first":
        return None
    scales = (1.0, *(float(s) for s in size), 1.0)
    return Mapped(operator="Resize", attributes={"mode": mode, "scales": scales})


def _axis(operator: str) -> Callable[[Config], Mapped | None]:
    def mapped(config: Config) -> Mapped | None:
        axis = config.get("axis", -1)
        if not isinstance(axis, int) or abs(axis) >= _LARGEST:
            return None
        return Mapped(operator=operator, attributes={"axis": axis})

    return mapped


def _permute(config: Config) -> Mapped | None:
    dims = config.get("dims")
    order = [d for d in dims if isinstance(d, int)] if isinstance(dims, list) else []
    if not order or sorted(order) != list(range(1, len(order) + 1)):
        return None
    return Mapped(operator="Transpose", attributes={"perm": (0, *order)})


def _plain(operator: str, *weights: str) -> Callable[[Config], Mapped | None]:
    return lambda _config: Mapped(operator=operator, weights=weights)


def _flatten(config: Config) -> Mapped:
    del config
    return Mapped(operator="Flatten", attributes={"axis": 1})


_MAPPINGS: Mapping[str, Callable[[Config], Mapped | None]] = {
    "Dense": _dense,
    "BatchNormalization": _batch,
    "Flatten": _flatten,
    "Activation": _activation,
    "ReLU": _relu,
    "Softmax": _axis("Softmax"),
    "LeakyReLU": lambda c: Mapped(
        operator="LeakyRelu",
        attributes={"alpha": _real(c, "negative_slope", _real(c, "alpha", 0.3))},
    ),
    "ELU": lambda c: Mapped(operator="Elu", attributes={"alpha": _real(c, "alpha", 1.0)}),
    "PReLU": _plain("PRelu", "alpha"),
    **dict.fromkeys(("Dropout", "SpatialDropout1D", "SpatialDropout2D"), _plain("Dropout")),
    "GaussianNoise": _plain("Identity"),
    "Add": _plain("Add"),
    "Subtract": _plain("Sub"),
    "Multiply": _plain("Mul"),
    "Maximum": _plain("Max"),
    "Minimum": _plain("Min"),
    "Concatenate": _axis("Concat"),
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding2D": _padding2d,
    "UpSampling2D": _upsampling,
}


def mapped(kind: str, config: Config, channels: int | None) -> Mapped:
    """What a layer is in ONNX; with its plain settings where it is nothing there.

    Args:
        kind: the layer's class.
        config: its configuration.
        channels: of its input, where they are known.

    Raises:
        FormatError: sizes that contradict each other.
    """
    if "Conv" in kind and kind in WEIGHTS and not kind.startswith("Separable"):
        found = _convolution(kind, config, channels)
    elif kind.rstrip("123D").endswith("Pooling") and any(digit in kind for digit in "123"):
        found = _pooling(kind, config)
    elif kind in _MAPPINGS:
        found = _MAPPINGS[kind](config)
    else:
        found = None
    if found is not None:
        return found
    own: dict[str, AttributeValue] = {
        key: value
        for key, value in config.items()
        if isinstance(value, bool | int | float | str) and key != "name" and _small(value)
    }
    return Mapped(operator="", attributes=own, weights=WEIGHTS.get(kind, ()))


def _small(value: bool | int | float | str) -> bool:
    return not isinstance(value, int) or abs(value) < _LARGEST

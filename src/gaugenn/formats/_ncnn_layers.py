"""ncnn's layer types: their numbers in binary files, their parameters, and typed access to these.

**Source:** https://github.com/Tencent/ncnn/blob/master/docs/developer-guide/operators.md for the
parameters, the order of registration in `src/CMakeLists.txt` for the numbers, the layers' `load_param`
in `src/layer/` where the two differ. Read at revision a4d2ea1d of 2026-07-22.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from gaugenn.errors import FormatError
from gaugenn.graph import AttributeValue

Value = int | float | str | tuple[int, ...] | tuple[float, ...]

MAXIMUM_PARAMETERS = 32
"""Parameter ids of one layer are smaller than this."""

CUSTOM_BIT = 1 << 8
"""Set in the type number of layers that an app registers itself."""

SHAPE_HINTS = 30
"""Id of the sizes that the converter found for the outputs: per output rank, w, h, [d,] c."""

LAYER_TYPES: tuple[str, ...] = tuple(
    """
    AbsVal ArgMax BatchNorm Bias BNLL Concat Convolution Crop Deconvolution Dropout
    Eltwise ELU Embed Exp Flatten InnerProduct Input Log LRN MemoryData
    MVN Pooling Power PReLU Proposal Reduction ReLU Reshape ROIPooling Scale
    Sigmoid Slice Softmax Split SPP TanH Threshold Tile RNN LSTM
    BinaryOp UnaryOp ConvolutionDepthWise Padding Squeeze ExpandDims Normalize Permute PriorBox
    DetectionOutput Interp DeconvolutionDepthWise ShuffleChannel InstanceNorm Clip Reorg
    YoloDetectionOutput Quantize Dequantize Yolov3DetectionOutput PSROIPooling ROIAlign Packing
    Requantize Cast HardSigmoid SELU HardSwish Noop PixelShuffle DeepCopy Mish StatisticsPooling
    Swish Gemm GroupNorm LayerNorm Softplus GRU MultiHeadAttention GELU Convolution1D Pooling1D
    ConvolutionDepthWise1D Convolution3D ConvolutionDepthWise3D Pooling3D MatMul Deconvolution1D
    DeconvolutionDepthWise1D Deconvolution3D DeconvolutionDepthWise3D Einsum DeformableConv2D GLU
    Fold Unfold GridSample CumulativeSum CopyTo Erf Diag CELU Shrink RMSNorm Spectrogram
    InverseSpectrogram Flip SDPA RotaryEmbed
    """.split()  # noqa: SIM905
)
"""Layer types by number. New types are appended, so numbers keep their meaning; only binary files of
before 2018-12 number some types from 49 (`DetectionOutput`) on differently, and do not say so."""


class Kind(StrEnum):
    """How a parameter's 32 bits are meant."""

    INTEGER = "i"
    REAL = "f"
    INTEGERS = "I"
    REALS = "F"
    TEXT = "s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A parameter of a layer type."""

    name: str
    kind: Kind


_CONVOLUTION = (
    "0 num_output, 1 kernel_w, 2 dilation_w, 3 stride_w, 4 pad_left, 5 bias_term,"
    "6 weight_data_size, 8 int8_scale_term, 9 activation_type, 10 activation_params:F, 11 kernel_h,"
    "12 dilation_h, 13 stride_h, 14 pad_top, 15 pad_right, 16 pad_bottom, 17 pad_behind,"
    "18 pad_value:f, 19 dynamic_weight, 21 kernel_d, 22 dilation_d, 23 stride_d, 24 pad_front"
)
_DECONVOLUTION = (
    "0 num_output, 1 kernel_w, 2 dilation_w, 3 stride_w, 4 pad_left, 5 bias_term,"
    "6 weight_data_size, 9 activation_type, 10 activation_params:F, 11 kernel_h, 12 dilation_h,"
    "13 stride_h, 14 pad_top, 15 pad_right, 16 pad_bottom, 17 pad_behind, 18 output_pad_right,"
    "19 output_pad_bottom, 28 dynamic_weight"
)
_DECONVOLUTION_2D = _DECONVOLUTION + ", 20 output_w, 21 output_h"
_DECONVOLUTION_3D = _DECONVOLUTION + (
    ", 20 output_pad_behind, 21 kernel_d, 22 dilation_d, 23 stride_d, 24 pad_front,"
    "25 output_w, 26 output_h, 27 output_d"
)
_GROUP = ", 7 group"
_POOLING = (
    "0 pooling_type, 1 kernel_w, 2 stride_w, 3 pad_left, 4 global_pooling, 5 pad_mode,"
    "6 avgpool_count_include_pad, 7 adaptive_pooling, 8 out_w, 11 kernel_h, 12 stride_h,"
    "13 pad_top, 14 pad_right, 15 pad_bottom, 16 pad_behind, 18 out_h, 21 kernel_d, 22 stride_d,"
    "23 pad_front, 28 out_d"
)
_RECURRENT = "0 num_output, 1 weight_data_size, 2 direction, 8 int8_scale_term"
_AFFINE = "0 affine_size, 1 eps:f, 2 affine"
_SIZES = "0 w, 1 h, 2 c, 11 d"
_LINEAR = "0 base:f, 1 scale:f, 2 shift:f"
_SLIDING = (
    "0 num_output, 1 kernel_w, 2 dilation_w, 3 stride_w, 4 pad_left, 11 kernel_h, 12 dilation_h,"
    "13 stride_h, 14 pad_top, 15 pad_right, 16 pad_bottom, 20 output_w, 21 output_h"
)
_YOLO = (
    "0 num_class, 1 num_box, 2 confidence_threshold:f, 3 nms_threshold:f, 4 biases:F, 5 mask:F,"
    "6 anchors_scale:F"
)
_ROI = "0 pooled_width, 1 pooled_height, 2 spatial_scale:f, 3 {}, 4 aligned, 5 version"
_SPECTROGRAM = (
    "0 n_fft, 1 {}, 2 hoplen, 3 winlen, 4 window_type, 5 center, 6 pad_type, 7 normalized,"
    "8 onesided"
)

_TABLE: Mapping[str, str] = {
    "ArgMax": "0 out_max_val, 1 topk",
    "BatchNorm": "0 channels, 1 eps:f",
    "Bias": "0 bias_data_size",
    "BinaryOp": "0 op_type, 1 with_scalar, 2 b:f",
    "CELU": "0 alpha:f",
    "Cast": "0 type_from, 1 type_to",
    "Clip": "0 min:f, 1 max:f",
    "Concat": "0 axis",
    "Convolution": _CONVOLUTION,
    "Convolution1D": _CONVOLUTION,
    "Convolution3D": _CONVOLUTION,
    "ConvolutionDepthWise": _CONVOLUTION + _GROUP,
    "ConvolutionDepthWise1D": _CONVOLUTION + _GROUP,
    "ConvolutionDepthWise3D": _CONVOLUTION + _GROUP,
    "CopyTo": "0 woffset, 1 hoffset, 2 coffset, 13 doffset, 9 starts:I, 11 axes:I",
    "Crop": "0 woffset, 1 hoffset, 2 coffset, 3 outw, 4 outh, 5 outc, 6 woffset2, 7 hoffset2,"
    "8 coffset2, 9 starts:I, 10 ends:I, 11 axes:I, 13 doffset, 14 outd, 15 doffset2,"
    "19 starts_expr:s, 20 ends_expr:s, 21 axes_expr:s",
    "CumulativeSum": "0 axis",
    "Deconvolution": _DECONVOLUTION_2D,
    "Deconvolution1D": _DECONVOLUTION_2D,
    "Deconvolution3D": _DECONVOLUTION_3D,
    "DeconvolutionDepthWise": _DECONVOLUTION_2D + _GROUP,
    "DeconvolutionDepthWise1D": _DECONVOLUTION_2D + _GROUP,
    "DeconvolutionDepthWise3D": _DECONVOLUTION_3D + _GROUP,
    "DeformableConv2D": _CONVOLUTION,
    "Dequantize": "0 scale_data_size, 1 bias_data_size",
    "DetectionOutput": "0 num_class, 1 nms_threshold:f, 2 nms_top_k, 3 keep_top_k,"
    "4 confidence_threshold:f, 5 variance0:f, 6 variance1:f, 7 variance2:f, 8 variance3:f",
    "Diag": "0 diagonal",
    "Dropout": "0 scale:f",
    "ELU": "0 alpha:f",
    "Einsum": "0 equation:I",
    "Eltwise": "0 op_type, 1 coeffs:F",
    "Embed": "0 num_output, 1 input_dim, 2 bias_term, 3 weight_data_size, 18 int8_scale_term",
    "Exp": _LINEAR,
    "ExpandDims": "3 axes:I",
    "Flip": "0 axes:I",
    "Fold": _SLIDING,
    "GELU": "0 fast_gelu",
    "GLU": "0 axis",
    "GRU": _RECURRENT,
    "Gemm": "0 alpha:f, 1 beta:f, 2 transA, 3 transB, 4 constantA, 5 constantB, 6 constantC,"
    "7 constantM, 8 constantN, 9 constantK, 10 constant_broadcast_type_C, 11 output_N1M,"
    "12 output_elempack, 13 output_elemtype, 14 output_transpose, 18 quantize_term,"
    "20 constant_TILE_M, 21 constant_TILE_N, 22 constant_TILE_K",
    "GridSample": "0 sample_type, 1 padding_mode, 2 align_corner, 3 permute_fusion",
    "GroupNorm": "0 group, 1 channels, 2 eps:f, 3 affine",
    "HardSigmoid": "0 alpha:f, 1 beta:f",
    "HardSwish": "0 alpha:f, 1 beta:f",
    "InnerProduct": "0 num_output, 1 bias_term, 2 weight_data_size, 8 int8_scale_term,"
    "9 activation_type, 10 activation_params:F",
    "Input": _SIZES,
    "InstanceNorm": "0 channels, 1 eps:f, 2 affine",
    "Interp": "0 resize_type, 1 height_scale:f, 2 width_scale:f, 3 output_height, 4 output_width,"
    "5 dynamic_target_size, 6 align_corner, 9 size_expr:s",
    "InverseSpectrogram": _SPECTROGRAM.format("returns"),
    "LRN": "0 region_type, 1 local_size, 2 alpha:f, 3 beta:f, 4 bias:f",
    "LSTM": _RECURRENT + ", 3 hidden_size",
    "LayerNorm": _AFFINE,
    "Log": _LINEAR,
    "MVN": "0 normalize_variance, 1 across_channels, 2 eps:f",
    "MatMul": "0 transB",
    "MemoryData": _SIZES + ", 21 load_type",
    "MultiHeadAttention": "0 embed_dim, 1 num_heads, 2 weight_data_size, 3 kdim, 4 vdim,"
    "5 attn_mask, 6 scale:f, 7 kv_cache, 18 quantize_term",
    "Normalize": "0 across_spatial, 1 channel_shared, 2 eps:f, 3 scale_data_size,"
    "4 across_channel, 9 eps_mode",
    "PReLU": "0 num_slope",
    "PSROIPooling": "0 pooled_width, 1 pooled_height, 2 spatial_scale:f, 3 output_dim",
    "Packing": "0 out_elempack, 1 use_padding, 2 cast_type_from, 3 cast_type_to,"
    "4 storage_type_from, 5 storage_type_to",
    "Padding": "0 top, 1 bottom, 2 left, 3 right, 4 type, 5 value:f, 6 per_channel_pad_data_size,"
    "7 front, 8 behind",
    "Permute": "0 order_type",
    "PixelShuffle": "0 upscale_factor, 1 mode",
    "Pooling": _POOLING,
    "Pooling1D": _POOLING,
    "Pooling3D": _POOLING,
    "Power": "0 power:f, 1 scale:f, 2 shift:f",
    "PriorBox": "0 min_sizes:F, 1 max_sizes:F, 2 aspect_ratios:F, 3 variance0:f, 4 variance1:f,"
    "5 variance2:f, 6 variance3:f, 7 flip, 8 clip, 9 image_width, 10 image_height,"
    "11 step_width:f, 12 step_height:f, 13 offset:f, 14 step_mmdetection, 15 center_mmdetection",
    "Proposal": "0 feat_stride, 1 base_size, 2 pre_nms_topN, 3 after_nms_topN, 4 nms_thresh:f,"
    "5 min_size",
    "Quantize": "0 scale_data_size",
    "RMSNorm": _AFFINE,
    "RNN": _RECURRENT,
    "ROIAlign": _ROI.format("sampling_ratio"),
    "ROIPooling": _ROI.format("sampling_ratio"),
    "ReLU": "0 slope:f",
    "Reduction": "0 operation, 1 reduce_all, 2 coeff:f, 3 axes:I, 4 keepdims, 5 fixbug0",
    "Reorg": "0 stride, 1 mode",
    "Requantize": "0 scale_in_data_size, 1 scale_out_data_size, 2 bias_data_size,"
    "3 activation_type, 4 activation_params:F",
    "Reshape": _SIZES + ", 6 shape_expr:s, 12 input_batch_axis, 13 output_batch_axis",
    "RotaryEmbed": "0 interleaved",
    "SDPA": "5 attn_mask, 6 scale:f, 7 kv_cache, 18 int8_scale_term",
    "SELU": "0 alpha:f, 1 lambda:f",
    "SPP": "0 pooling_type, 1 pyramid_height",
    "Scale": "0 scale_data_size, 1 bias_term",
    "Shrink": "0 bias:f, 1 lambd:f",
    "ShuffleChannel": "0 group, 1 reverse",
    "Slice": "0 slices:I, 1 axis, 2 indices:I",
    "Softmax": "0 axis, 1 fixbug0",
    "Spectrogram": _SPECTROGRAM.format("power"),
    "Squeeze": "0 squeeze_w, 1 squeeze_h, 2 squeeze_c, 11 squeeze_d, 3 axes:I",
    "StatisticsPooling": "0 include_stddev",
    "Threshold": "0 threshold:f",
    "Tile": "0 axis, 1 tiles, 2 repeats:I",
    "UnaryOp": "0 op_type",
    "Unfold": _SLIDING,
    "Yolov3DetectionOutput": _YOLO,
    "YoloDetectionOutput": _YOLO,
}
"""Per layer type `id name`, with `:` and a `Kind` where it is no integer."""


@cache
def fields(layer_type: str) -> Mapping[int, Field]:
    """The parameters of a layer type by id; empty for one without any and for an unknown one."""
    found: dict[int, Field] = {}
    for entry in filter(None, _TABLE.get(layer_type, "").split(",")):
        number, _, rest = entry.strip().partition(" ")
        name, _, kind = rest.partition(":")
        found[int(number)] = Field(name=name, kind=Kind(kind or Kind.INTEGER))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer as the file has it.

    Attributes:
        type: the type's name; `custom 3` for a number that stands for an app's own layer.
        name: the layer's name; its position in binary files.
        inputs: blob names.
        outputs: blob names.
        values: parameters by id.
    """

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[int, Value]

    @property
    def is_known(self) -> bool:
        """Whether ncnn itself has the type."""
        return self.type in _KNOWN

    def integer(self, number: int, default: int) -> int:
        """An integer parameter.

        Raises:
            FormatError: the file gives something else there.
        """
        value = self.values.get(number, default)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if not isinstance(value, int):
            raise self._wrong(number, value, "an integer")
        return value

    def size(self, number: int, default: int, lowest: int = 0) -> int:
        """An integer parameter that counts something: no smaller than `lowest`.

        Raises:
            FormatError: it is smaller, or no integer.
        """
        value = self.integer(number, default)
        if value < lowest:
            raise self._wrong(number, value, f"at least {lowest}")
        return value

    def real(self, number: int, default: float) -> float:
        """A real parameter.

        Raises:
            FormatError: the file gives something else there.
        """
        value = self.values.get(number, default)
        if not isinstance(value, int | float):
            raise self._wrong(number, value, "a number")
        return float(value)

    def integers(self, number: int) -> tuple[int, ...]:
        """An array of integers; empty where the file gives none.

        Raises:
            FormatError: the file gives something else there.
        """
        values = self.values.get(number, ())
        if isinstance(values, int):
            return (values,)
        if not isinstance(values, tuple):
            raise self._wrong(number, values, "an array")
        whole = tuple(int(v) for v in values if isinstance(v, int) or v.is_integer())
        if len(whole) != len(values):
            raise self._wrong(number, values, "an array of integers")
        return whole

    def reals(self, number: int) -> tuple[float, ...]:
        """An array of real numbers; empty where the file gives none.

        Raises:
            FormatError: the file gives something else there.
        """
        values = self.values.get(number, ())
        if isinstance(values, int | float):
            return (float(values),)
        if not isinstance(values, tuple):
            raise self._wrong(number, values, "an array")
        return tuple(float(v) for v in values)

    def text(self, number: int) -> str:
        """A text; empty where the file gives none.

        Raises:
            FormatError: the file gives something else there.
        """
        value = self.values.get(number, "")
        if not isinstance(value, str):
            raise self._wrong(number, value, "a text")
        return value

    def attributes(self, *left_out: int) -> dict[str, AttributeValue]:
        """The parameters that the file gives, under ncnn's names (`param_7` where it has none)."""
        known = fields(self.type)
        return {
            known[number].name if number in known else f"param_{number}": value
            for number, value in sorted(self.values.items())
            if number not in left_out and number != SHAPE_HINTS
        }

    def _wrong(self, number: int, value: Value, expected: str) -> FormatError:
        field = fields(self.type).get(number)
        called = f"{number} ({field.name})" if field else str(number)
        return FormatError(
            f"ncnn layer {self.name!r} ({self.type}): parameter {called} is {str(value)[:60]!r}, "
            f"expected {expected}"
        )


_KNOWN = frozenset(LAYER_TYPES)

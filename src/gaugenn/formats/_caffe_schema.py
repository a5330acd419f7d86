"""Caffe's messages: the fields that are read, layer types and their parameters.

**Source:** https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto; the layers and fields
of the SSD and ncnn branches from https://github.com/Tencent/ncnn/blob/master/tools/caffe/caffe.proto.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gaugenn.formats._protobuf import Schema


class Kind(StrEnum):
    """How a parameter's value is stored."""

    INTEGER = "i"
    INTEGERS = "I"
    FLAG = "b"
    REAL = "f"
    REALS = "F"
    TEXT = "s"
    CHOICE = "e"
    """A name of `CHOICES`; a number in binary files."""
    SHAPE = "h"
    SHAPES = "H"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a layer type: its field number and kind."""

    number: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Block:
    """The message that holds the parameters of a layer type.

    Attributes:
        name: its field's name in a layer.
        number: its field's number in today's layers.
        old_number: the same in layers of the first version; 0 where these have none.
        parameters: by name.
        schema: the same as field numbers.
    """

    name: str
    number: int
    old_number: int
    parameters: Mapping[str, Parameter]
    schema: Schema


CHOICES: Mapping[str, Mapping[int, str]] = {
    "pool": {0: "MAX", 1: "AVE", 2: "STOCHASTIC"},
    "operation": {0: "PROD", 1: "SUM", 2: "MAX"},
    "reduction": {1: "SUM", 2: "ASUM", 3: "SUMSQ", 4: "MEAN"},
    "norm_region": {0: "ACROSS_CHANNELS", 1: "WITHIN_CHANNEL"},
    "round_mode": {0: "CEIL", 1: "FLOOR"},
    "code_type": {1: "CORNER", 2: "CENTER_SIZE", 3: "CORNER_SIZE"},
}
"""Names of enumerated values; `reduction` are those of the layer type Reduction."""


def _block(name: str, number: int, old_number: int, spelled: str) -> Block:
    parameters: dict[str, Parameter] = {}
    for each in spelled.split():
        field, _, rest = each.partition("=")
        parameters[field] = Parameter(int(rest[:-1]), Kind(rest[-1]))
    schema = Schema(name, **{field: p.number for field, p in parameters.items()})
    return Block(name, number, old_number, parameters, schema)


_CONVOLUTION = _block(
    "convolution_param",
    106,
    10,
    "num_output=1i bias_term=2b pad=3I kernel_size=4I group=5i stride=6I pad_h=9i pad_w=10i "
    "kernel_h=11i kernel_w=12i stride_h=13i stride_w=14i axis=16i dilation=18I",
)
_LOSS_SOFTMAX = _block("softmax_param", 125, 39, "axis=2i")
_RECURRENT = _block("recurrent_param", 146, 0, "num_output=1i expose_hidden=5b")

BLOCKS: Mapping[str, Block] = {
    "Accuracy": _block("accuracy_param", 102, 27, "top_k=1i axis=2i ignore_label=3i"),
    "ArgMax": _block("argmax_param", 103, 23, "out_max_val=1b top_k=2i axis=3i"),
    "BatchNorm": _block("batch_norm_param", 139, 0, "use_global_stats=1b eps=3f"),
    "Bias": _block("bias_param", 141, 0, "axis=1i num_axes=2i"),
    "Concat": _block("concat_param", 104, 9, "concat_dim=1i axis=2i"),
    "Convolution": _CONVOLUTION,
    "ConvolutionDepthwise": _CONVOLUTION,
    "DepthwiseConvolution": _CONVOLUTION,
    "Deconvolution": _CONVOLUTION,
    "Im2col": _CONVOLUTION,
    "Crop": _block("crop_param", 144, 0, "axis=1i offset=2I"),
    "Data": _block("data_param", 107, 11, "source=1s batch_size=4i crop_size=5i"),
    "DetectionOutput": _block(
        "detection_output_param",
        204,
        0,
        "num_classes=1i share_location=2b background_label_id=3i code_type=6e keep_top_k=7i "
        "variance_encoded_in_target=8b confidence_threshold=9f",
    ),
    "Dropout": _block("dropout_param", 108, 12, "dropout_ratio=1f"),
    "DummyData": _block(
        "dummy_data_param", 109, 26, "num=2I channels=3I height=4I width=5I shape=6H"
    ),
    "Eltwise": _block("eltwise_param", 110, 24, "operation=1e coeff=2F"),
    "ELU": _block("elu_param", 140, 0, "alpha=1f"),
    "Embed": _block("embed_param", 137, 0, "num_output=1i input_dim=2i bias_term=3b"),
    "Exp": _block("exp_param", 111, 41, "base=1f scale=2f shift=3f"),
    "Flatten": _block("flatten_param", 135, 0, "axis=1i end_axis=2i"),
    "HDF5Data": _block("hdf5_data_param", 112, 13, "source=1s batch_size=2i"),
    "ImageData": _block(
        "image_data_param",
        115,
        15,
        "source=1s batch_size=4i crop_size=5i new_height=9i new_width=10i is_color=11b",
    ),
    "InnerProduct": _block(
        "inner_product_param", 117, 17, "num_output=1i bias_term=2b axis=5i transpose=6b"
    ),
    "Input": _block("input_param", 143, 0, "shape=1H"),
    "Interp": _block(
        "interp_param",
        205,
        0,
        "height=1i width=2i zoom_factor=3i shrink_factor=4i pad_beg=5i pad_end=6i",
    ),
    "Log": _block("log_param", 134, 0, "base=1f scale=2f shift=3f"),
    "LRN": _block("lrn_param", 118, 18, "local_size=1i alpha=2f beta=3f norm_region=4e k=5f"),
    "LSTM": _RECURRENT,
    "RNN": _RECURRENT,
    "MemoryData": _block(
        "memory_data_param", 119, 22, "batch_size=1i channels=2i height=3i width=4i"
    ),
    "MVN": _block("mvn_param", 120, 34, "normalize_variance=1b across_channels=2b eps=3f"),
    "Normalize": _block("norm_param", 206, 0, "across_spatial=1b channel_shared=3b eps=4f"),
    "Parameter": _block("parameter_param", 145, 0, "shape=1h"),
    "Permute": _block("permute_param", 202, 0, "order=1I"),
    "Pooling": _block(
        "pooling_param",
        121,
        19,
        "pool=1e kernel_size=2i stride=3i pad=4i kernel_h=5i kernel_w=6i stride_h=7i stride_w=8i "
        "pad_h=9i pad_w=10i global_pooling=12b round_mode=13e",
    ),
    "Power": _block("power_param", 122, 21, "power=1f scale=2f shift=3f"),
    "PReLU": _block("prelu_param", 131, 0, "channel_shared=2b"),
    "PriorBox": _block(
        "prior_box_param",
        203,
        0,
        "min_size=1F max_size=2F aspect_ratio=3F flip=4b clip=5b variance=6F img_size=7i img_h=8i "
        "img_w=9i step=10f step_h=11f step_w=12f offset=13f",
    ),
    "Python": _block("python_param", 130, 0, "module=1s layer=2s param_str=3s"),
    "Reduction": _block("reduction_param", 136, 0, "operation=1e axis=2i coeff=3f"),
    "ReLU": _block("relu_param", 123, 30, "negative_slope=1f"),
    "Reshape": _block("reshape_param", 133, 0, "shape=1h axis=2i num_axes=3i"),
    "ROIPooling": _block(
        "roi_pooling_param", 8266711, 0, "pooled_h=1i pooled_w=2i spatial_scale=3f"
    ),
    "Scale": _block("scale_param", 142, 0, "axis=1i num_axes=2i bias_term=4b"),
    "ShuffleChannel": _block("shuffle_channel_param", 145, 0, "group=1i"),
    "Slice": _block("slice_param", 126, 31, "slice_dim=1i slice_point=2I axis=3i"),
    "Softmax": _LOSS_SOFTMAX,
    "SoftmaxWithLoss": _LOSS_SOFTMAX,
    "SPP": _block("spp_param", 132, 0, "pyramid_height=1i pool=2e"),
    "Threshold": _block("threshold_param", 128, 25, "threshold=1f"),
    "Tile": _block("tile_param", 138, 0, "axis=1i tiles=2i"),
    "WindowData": _block("window_data_param", 129, 20, "source=1s batch_size=4i crop_size=5i"),
}
"""The parameter messages of the layer types that have one."""

OLD_TYPES: Mapping[int, str] = dict(
    enumerate(
        """
        None Accuracy BNLL Concat Convolution Data Dropout EuclideanLoss Flatten HDF5Data HDF5Output
        Im2col ImageData InfogainLoss InnerProduct LRN MultinomialLogisticLoss Pooling ReLU Sigmoid
        Softmax SoftmaxWithLoss Split TanH WindowData Eltwise Power SigmoidCrossEntropyLoss HingeLoss
        MemoryData ArgMax Threshold DummyData Slice MVN AbsVal Silence ContrastiveLoss Exp
        Deconvolution
        """.split()  # noqa: SIM905
    )
)
"""Layer types of the first version by number, under the names that they have today."""

OLD_TYPE_NAMES: Mapping[str, str] = {
    **{name.upper(): name for name in OLD_TYPES.values()},
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "WINDOW_DATA": "WindowData",
}
"""The same by the name that text files of the first version use."""

DATA_TYPES = frozenset(
    """
    Input Data DummyData HDF5Data ImageData MemoryData WindowData AnnotatedData VideoData
    """.split()  # noqa: SIM905
)
"""Layers that bring data into the net: its inputs."""

TRAINING_TYPES = frozenset(
    """
    Accuracy ContrastiveLoss EuclideanLoss HingeLoss InfogainLoss MultinomialLogisticLoss
    SigmoidCrossEntropyLoss SoftmaxWithLoss SmoothL1Loss MultiBoxLoss DetectionEvaluate HDF5Output
    """.split()  # noqa: SIM905
)
"""Layers that only training or testing needs."""

NET = Schema(
    "NetParameter", name=1, layers=2, input=3, input_dim=4, state=6, input_shape=8, layer=100
)
LAYER = Schema(
    "LayerParameter",
    name=1,
    type=2,
    bottom=3,
    top=4,
    param=6,
    blobs=7,
    transform_param=100,
    **{block.name: block.number for block in BLOCKS.values()},
)
OLD_LAYER = Schema(
    "V1LayerParameter",
    layer=1,
    bottom=2,
    top=3,
    name=4,
    type=5,
    blobs=6,
    param=1001,
    transform_param=36,
    **{block.name: block.old_number for block in BLOCKS.values() if block.old_number},
)
SHARED = Schema("ParamSpec", name=1)
TRANSFORM = Schema("TransformationParameter", crop_size=3)
SHAPE = Schema("BlobShape", dim=1)
BLOB = Schema("BlobProto", num=1, channels=2, height=3, width=4, data=5, shape=7, double_data=8)

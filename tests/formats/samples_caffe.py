"""Caffe samples, put together by hand from the documented layout."""

import numpy as np

from tests.formats._protobuf_builder import block, boundaries, fixed32, number, varint
from tests.formats.samples import Sample

TEXT = """# a small classifier
name: "small"
layer {
  name: "data" type: "Input" top: "data"
  input_param { shape: { dim: 1 dim: 3 dim: 16 dim: 16 } }
}
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "xavier" } }
}
layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" batch_norm_param { eps: 0.001 } }
layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param { bias_term: true } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" relu_param { negative_slope: 0.1 } }
layer {
  name: "dw" type: "Convolution" bottom: "conv1" top: "dw"
  convolution_param { num_output: 8 kernel_h: 3 kernel_w: 1 pad_h: 1 group: 8 bias_term: false }
}
layer { name: "sum" type: "Eltwise" bottom: "conv1" bottom: "dw" top: "sum" }
layer { name: "pool" type: "Pooling" bottom: "sum" top: "pool"
        pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
        inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" top: "loss" include { phase: TRAIN } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""

OLD_TEXT = """name: 'old'
input: "data"
input_dim: 1 input_dim: 3 input_dim: 12 input_dim: 12
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "pool1" type: POOLING bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "ip" type: INNER_PRODUCT bottom: "pool1" top: "ip"
  inner_product_param { num_output: 2 } }
"""


def text(field: int, value: str) -> bytes:
    """A string field."""
    return block(field, value.encode())


def blob(*shape: int, seed: int = 1) -> bytes:
    """A learned blob, as today's files hold them."""
    dims = b"".join(varint(size) for size in shape)
    values = np.random.default_rng(seed).normal(size=shape).astype("<f4").tobytes()
    return block(5, values) + block(7, block(1, dims))


def old_blob(*shape: int) -> bytes:
    """A learned blob with four sizes, and its numbers one by one."""
    sizes = b"".join(number(i + 1, size) for i, size in enumerate(shape))
    return sizes + b"".join(fixed32(5, i / 8) for i in range(int(np.prod(shape))))


def layer(
    name: str,
    kind: str,
    bottoms: str,
    tops: str,
    *blobs: bytes,
    more: bytes = b"",
) -> bytes:
    """A layer of today's version."""
    parts = [text(1, name), text(2, kind)]
    parts += [text(3, each) for each in bottoms.split()]
    parts += [text(4, each) for each in tops.split()]
    parts += [block(7, each) for each in blobs]
    return block(100, b"".join(parts) + more)


def weights() -> bytes:
    """What the net of `TEXT` learned, with the layers of its training."""
    first = block(106, number(1, 8) + block(4, varint(3)) + number(3, 1) + number(6, 2))
    second = block(
        106,
        number(1, 8) + number(2, 0) + number(5, 8) + number(11, 3) + number(12, 1) + number(9, 1),
    )
    last = block(117, number(1, 10))
    return b"".join(
        (
            text(1, "small"),
            layer("data", "HDF5Data", "", "data label"),
            layer("conv1", "Convolution", "data", "conv1", blob(8, 3, 3, 3), blob(8), more=first),
            layer("bn1", "BatchNorm", "conv1", "conv1", blob(8), blob(8), blob(1)),
            layer(
                "scale1", "Scale", "conv1", "conv1", blob(8), blob(8), more=block(142, number(4, 1))
            ),
            layer("dw", "Convolution", "conv1", "dw", blob(8, 1, 3, 1), more=second),
            layer("fc", "InnerProduct", "dw", "fc", blob(10, 128), blob(10), more=last),
            layer("loss", "SoftmaxWithLoss", "fc label", "loss"),
        )
    )


def whole() -> bytes:
    """A net with its sizes and weights in one file."""
    shape = block(1, b"".join(varint(size) for size in (1, 4, 10, 10)))
    convolution = number(1, 6) + number(2, 0) + block(4, varint(3)) + number(18, 2) + number(5, 2)
    pooling = number(1, 0) + number(12, 1)
    split = layer("fan", "Split", "conv", "one two")
    learned = blob(6, 2, 3, 3)
    return b"".join(
        (
            layer("in", "Input", "", "in", more=block(143, block(1, shape))),
            layer("conv", "Convolution", "in", "conv", learned, more=block(106, convolution)),
            split,
            layer("prelu", "PReLU", "one", "one", blob(6)),
            layer("cut", "Slice", "two", "a b", more=block(126, number(2, 2))),
            layer("own", "MyLayer", "a", "c", blob(2, 2)),
            layer("pool", "Pooling", "one", "pool", more=block(121, pooling)),
            layer("exp", "Exp", "pool", "exp"),
            layer("order", "Permute", "b", "order", more=block(202, number(1, 0) + number(1, 2))),
        )
    )


def old_layer(name: str, kind: int, bottom: str, top: str, rest: bytes = b"") -> bytes:
    """A layer of the first version."""
    return block(2, text(2, bottom) + text(3, top) + text(4, name) + number(5, kind) + rest)


def old_binary() -> bytes:
    """A net of the first version."""
    convolution = block(10, number(1, 4) + number(4, 3))
    learned = block(6, old_blob(4, 3, 3, 3)) + block(6, old_blob(1, 1, 1, 4))
    return b"".join(
        (
            text(1, "old"),
            text(3, "data"),
            *(number(4, size) for size in (1, 3, 12, 12)),
            old_layer(
                "conv1",
                4,
                "data",
                "conv1",
                learned + convolution,
            ),
            old_layer("relu1", 18, "conv1", "conv1"),
            old_layer("prob", 20, "conv1", "prob"),
        )
    )


def closings(data: bytes) -> set[int]:
    """Lengths after which a text is between two outermost messages, or only a little further."""
    found: set[int] = set()
    depth = 0
    closed = False
    for position, byte in enumerate(data):
        depth += (byte == ord("{")) - (byte == ord("}"))
        closed = depth == 0 and (byte == ord("}") or (closed and chr(byte).isspace()))
        if closed:
            found.add(position + 1)
    return found


def samples() -> tuple[Sample, ...]:
    """Text and binary, today's and the old."""
    return (
        Sample(
            name="text-with-weights",
            format="caffe",
            source=TEXT.encode,
            file_name="small.prototxt",
            neighbours={"small.caffemodel": weights()},
            endings=closings,
        ),
        Sample(
            name="text",
            format="caffe",
            source=TEXT.encode,
            file_name="small.prototxt",
            endings=closings,
        ),
        Sample(
            name="old-text",
            format="caffe",
            source=OLD_TEXT.encode,
            file_name="old.prototxt",
            endings=closings,
        ),
        Sample(
            name="binary",
            format="caffe",
            source=whole,
            file_name="whole.caffemodel",
            endings=boundaries,
        ),
        Sample(
            name="trained",
            format="caffe",
            source=weights,
            file_name="trained.caffemodel",
            endings=boundaries,
        ),
        Sample(
            name="old-binary",
            format="caffe",
            source=old_binary,
            file_name="old.caffemodel",
            endings=boundaries,
        ),
    )

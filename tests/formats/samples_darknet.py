"""Darknet samples, written by hand in the form of the published ones."""

import struct

import numpy as np

from tests.formats.samples import Sample

TEXT = """# a small detector
[net]
batch=64
subdivisions=8
width=16
height=16
channels=3
learning_rate=0.001

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=8
size=3
groups=8
stride=1
pad=1
activation=mish

[shortcut]
from=-2
activation=linear

[route]
layers=-1
groups=2
group_id=1

[maxpool]
size=2
stride=2

[upsample]
stride=2

[route]
layers=-1, 2

[convolutional]
filters=5
size=1
stride=1
pad=1
activation=linear

[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
"""

CLASSIFIER = """[network]
inputs=12
[connected]
batch_normalize=1
output=4
activation=relu
[dropout]
probability=.5
[connected]
output=2
activation=linear
[softmax]
"""

COUNT = (8 * 4 + 8 * 27) + (8 * 4 + 8 * 9) + (5 + 5 * 12)
"""Numbers of the detector: biases and normalisation, then weights, layer by layer."""


def numbers(count: int) -> bytes:
    """As many weights."""
    return np.arange(count, dtype="<f4").tobytes()


def weights(count: int = COUNT, minor: int = 2) -> bytes:
    """A file of weights; how many images were seen is 64 bits from version 0.2 on."""
    seen = struct.pack("<Q" if minor >= 2 else "<I", 32013312)
    return struct.pack("<iii", 0, minor, 5) + seen + numbers(count)


def after_weights(data: bytes) -> set[int]:
    """Lengths after which all layers with weights are there, so that only these tell the net."""
    return set(range(data.index(b"filters=5") + len(b"filters=5"), len(data)))


def lines(data: bytes) -> set[int]:
    """A text that ends early is the text of a smaller net, or has an option that is cut short."""
    return set(range(len(data)))


def samples() -> tuple[Sample, ...]:
    """A detector with its weights and without, a classifier of vectors."""
    return (
        Sample(
            name="detector",
            format="darknet",
            source=TEXT.encode,
            file_name="tiny.cfg",
            neighbours={"tiny.weights": weights()},
            endings=after_weights,
        ),
        Sample(
            name="alone",
            format="darknet",
            source=TEXT.encode,
            file_name="tiny.cfg",
            endings=lines,
        ),
        Sample(
            name="classifier",
            format="darknet",
            source=CLASSIFIER.encode,
            file_name="vector.cfg",
            endings=lines,
        ),
    )

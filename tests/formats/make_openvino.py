"""Makes the OpenVINO samples: `python tests/formats/make_openvino.py`.

Needs `openvino` (made with 2026.4.1) from PyPI, which nothing else here does.
"""

from pathlib import Path

import numpy as np
import openvino
from openvino import opset8, opset11

FOLDER = Path(__file__).parent / "openvino"


def main() -> None:
    """Writes a small picture classifier with 32-bit weights, and with 16-bit ones."""
    generator = np.random.default_rng(7)

    def weight(*shape: int) -> openvino.Node:
        return opset8.constant(generator.normal(size=shape).astype(np.float32))

    def sizes(*values: int) -> openvino.Node:
        return opset8.constant(np.array(values, dtype=np.int64))

    image = opset8.parameter([1, 3, 32, 32], np.float32, name="image")
    x = opset8.convolution(image, weight(8, 3, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])
    x = opset8.clamp(opset8.add(x, weight(1, 8, 1, 1)), 0.0, 6.0)
    x = opset8.group_convolution(
        x, weight(8, 1, 1, 3, 3), [1, 1], [0, 0], [0, 0], [1, 1], auto_pad="same_upper"
    )
    x = opset8.max_pool(opset8.hswish(x), [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    gate = opset8.sigmoid(opset8.reduce_mean(x, sizes(2, 3), keep_dims=True))
    x = opset8.multiply(x, gate)
    x = opset11.interpolate(x, sizes(16, 16), "nearest", "sizes", axes=sizes(2, 3))
    x = opset8.convolution_backprop_data(
        x, weight(8, 4, 2, 2), [2, 2], None, [0, 0], [0, 0], [1, 1]
    )
    parts = opset8.variadic_split(opset8.concat([x, x], 1), opset8.constant(1), sizes(4, 4))
    x = opset8.avg_pool(parts.output(0), [4, 4], [0, 0], [0, 0], [4, 4], True)
    x = opset8.reshape(opset8.transpose(x, sizes(0, 2, 3, 1)), sizes(0, -1), special_zero=True)
    x = opset8.softmax(opset8.matmul(x, weight(10, 256), False, True), -1)
    model = openvino.Model([x], [image], "net")
    FOLDER.mkdir(exist_ok=True)
    openvino.serialize(model, FOLDER / "net.xml", FOLDER / "net.bin")
    openvino.save_model(model, FOLDER / "half.xml")


if __name__ == "__main__":
    main()

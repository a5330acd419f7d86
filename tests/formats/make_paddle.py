"""Makes the Paddle samples: `FLAGS_enable_pir_api=0 python tests/formats/make_paddle.py`.

Needs `paddlepaddle` (made with 3.3.1) from PyPI, which nothing else here does.
"""

from pathlib import Path

import paddle
from paddle import nn

FOLDER = Path(__file__).parent / "paddle"


def main() -> None:
    """Writes a small picture classifier as Paddle saves it, without the paths of this machine."""
    paddle.enable_static()
    paddle.seed(7)
    program, start = paddle.static.Program(), paddle.static.Program()
    with paddle.static.program_guard(program, start):
        image = paddle.static.data("image", [-1, 3, 32, 32], "float32")
        x = nn.Conv2D(3, 8, 3, stride=2, padding=1)(image)
        x = nn.functional.relu6(nn.BatchNorm2D(8)(x))
        x = nn.functional.hardswish(nn.Conv2D(8, 8, 3, padding="SAME", groups=8)(x))
        x = nn.MaxPool2D(2, 2)(x)
        gate = nn.Conv2D(8, 8, 1)(nn.AdaptiveAvgPool2D(1)(x))
        x = x * nn.functional.hardsigmoid(gate)
        x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        x = nn.Conv2DTranspose(8, 4, 2, stride=2)(x)
        x = nn.AdaptiveAvgPool2D(1)(paddle.concat([x, x], axis=1))
        x = nn.functional.softmax(nn.Linear(8, 10)(paddle.flatten(x, 1)))
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(start)
    FOLDER.mkdir(exist_ok=True)
    paddle.static.save_inference_model(str(FOLDER / "net"), [image], [x], executor, program=program)
    path = FOLDER / "net.pdmodel"
    saved = paddle.static.Program.parse_from_string(path.read_bytes())
    for operator in saved.global_block().ops:
        operator._remove_attr("op_callstack")
    path.write_bytes(saved.desc.serialize_to_string())


if __name__ == "__main__":
    main()

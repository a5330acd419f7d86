"""Seeded inputs, weights and normalisation statistics. Runs in the exporters' environment."""

import importlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gaugenn.zoo._order import ModelInput

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]

CALIBRATION_SAMPLES = 8
_MAXIMUM_WEIGHTS_BYTES = 8 << 30


def sample(inputs: Sequence[ModelInput], seed: int, number: int) -> tuple[Array, ...]:
    """Values for each input; number 0 is what is compared, the following calibrate."""
    values: list[Array] = []
    for position, given in enumerate(inputs):
        random = np.random.default_rng((seed, number, position))
        if given.dtype.startswith("int"):
            whole = random.integers(int(given.low), int(given.high), given.shape)
            values.append(whole.astype(given.dtype))
        else:
            drawn = random.random(given.shape, dtype=np.float32)
            values.append(drawn * np.float32(given.high - given.low) + np.float32(given.low))
    return tuple(values)


def seed_weights(module: Any, values: Sequence[Array], seed: int) -> None:  # noqa: ANN401
    """Fills a definition so that signals neither vanish nor explode, the same for equal arguments.

    Matrices and filters are normal with the variance 2 / inputs, those of embeddings 1; biases and
    shifts are small, scales near 1. Each batch normalisation has half of the mean that it sees of the
    sample, and the variance about that: with the whole mean, what all places have in common is
    removed in every layer, and rounding errors grow with depth. Both are shortened to 8 bits of
    precision, so that rounding elsewhere does not show.

    Source: https://arxiv.org/abs/1502.01852 (variance)
    """
    torch = importlib.import_module("torch")
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            random = np.random.default_rng((seed, zlib.crc32(name.encode())))
            owner = module.get_submodule(name.rpartition(".")[0])
            drawn = random.standard_normal(tuple(parameter.shape), dtype=np.float32)
            parameter.copy_(torch.from_numpy(_scaled(torch, owner, name, drawn)))
        hooks = [
            layer.register_forward_pre_hook(_observe)
            for layer in module.modules()
            if isinstance(layer, torch.nn.BatchNorm2d)
        ]
        module(*(torch.from_numpy(value) for value in values))
        for hook in hooks:
            hook.remove()


def _scaled(torch: Any, owner: Any, name: str, drawn: Floats) -> Floats:  # noqa: ANN401
    """Standard normal values brought to the size that suits a parameter."""
    if isinstance(owner, torch.nn.Embedding):
        return drawn
    if drawn.ndim == 1 or name.endswith("temperature"):
        # Where nothing normalises, a sum of two like signals has to be scaled down.
        scale = 0.75 if type(owner).__name__ == "_Affine" else 1.0
        shift = 0.0 if name.endswith("bias") else scale
        return np.asarray(drawn * np.float32(0.1) + np.float32(shift), np.float32)
    if name.endswith("position"):
        return np.asarray(drawn * np.float32(0.1), np.float32)
    incoming = int(np.prod(drawn.shape[1:]))
    gain = 2.0 if drawn.ndim > 2 else 1.0
    return np.asarray(drawn * np.float32((gain / incoming) ** 0.5), np.float32)


def _observe(layer: Any, arguments: Any) -> None:  # noqa: ANN401
    (x,) = arguments
    mean = (x.mean((0, 2, 3)) / 2).bfloat16().float()
    variance = ((x - mean[None, :, None, None]) ** 2).mean((0, 2, 3))
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(variance.bfloat16().float().clamp_min(1e-3))


def load_weights(module: Any, path: Path) -> None:  # noqa: ANN401
    """Takes a state dict from a safetensors or npz file; nothing in it is executed.

    Raises:
        ValueError: a file of another kind, or names and shapes that are not the definition's.
    """
    torch = importlib.import_module("torch")
    if path.stat().st_size > _MAXIMUM_WEIGHTS_BYTES:
        raise ValueError(f"{path.name} is larger than {_MAXIMUM_WEIGHTS_BYTES} bytes")
    if path.suffix == ".safetensors":
        state = importlib.import_module("safetensors.torch").load_file(str(path))
    elif path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    else:
        raise ValueError(f"{path.name}: weights are read from .safetensors and .npz only")
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())[:1000]) from error

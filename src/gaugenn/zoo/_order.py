"""What crosses the border between gaugenn and the exporters' environment. Standard library only."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

WEIGHTS_SUFFIXES = (".safetensors", ".npz")
"""State dicts that are read; both hold arrays and nothing that could be executed."""


class Variant(StrEnum):
    """How a model's numbers are kept."""

    FLOAT32 = "fp32"
    FLOAT16 = "fp16"
    """Weights, and activations where the library computes with them, in 16-bit floats."""
    INT8 = "int8"
    """Weights and activations in 8-bit integers, calibrated on seeded samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """An input, the same in every format; the batch comes first.

    Floats are drawn from [low, high), integers from low to high - 1.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One export or one comparison, as it stands in JSON on the worker's command line.

    Attributes:
        action: `export` or `compare`.
        model: the function that builds the definition.
        definition: its module.
        inputs: what the model takes.
        format: the exporter to use.
        variant: see `Variant`.
        seed: of weights, inputs and calibration samples.
        weights: a state dict to use instead of seeded weights, or "".
        sources: for an exporter that starts from another format, the files of that.
        files: for a comparison, the exported files.
        runtime: for a comparison, the library.
        reference: the file with the seeded sample and what the definition makes of it.
        folder: where results go.
    """

    action: str
    model: str
    definition: str
    inputs: tuple[ModelInput, ...]
    format: str
    variant: str
    seed: int
    weights: str
    sources: tuple[str, ...]
    files: tuple[str, ...]
    runtime: str
    reference: str
    folder: str


def read_order(value: dict[str, Any]) -> Order:
    """An order from its JSON."""
    inputs = tuple(ModelInput(**{**i, "shape": tuple(i["shape"])}) for i in value["inputs"])
    lists = {name: tuple(value[name]) for name in ("sources", "files")}
    return Order(**{**value, **lists, "inputs": inputs})

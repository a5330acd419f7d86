"""safetensors and numpy files hold tensors alone."""

import io
import json
import struct

import numpy as np
import pytest

from gaugenn.content import from_bytes
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats.numpy import NumpyReader
from gaugenn.formats.safetensors import SafetensorsReader
from gaugenn.graph import DataType, Model
from tests.formats.samples_arrays import npz, safetensors


def read_safetensors(data: bytes) -> Model:
    return SafetensorsReader().read(from_bytes("a.safetensors", data))


def read_numpy(data: bytes) -> Model:
    return NumpyReader().read(from_bytes("a.npy", data))


def framed(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_safetensors_have_names_shapes_types_and_bytes() -> None:
    model = read_safetensors(safetensors())
    tensors = model.graphs[0].tensors
    assert tensors["weight"].dtype is DataType.BFLOAT16
    assert tensors["weight"].shape == (2, 3)
    assert bytes(tensors["bias"].read()) == bytes(range(12, 20))
    assert model.metadata == {"format": "pt"}
    assert model.notes == ("weights-only",)


@pytest.mark.parametrize(
    "data",
    [
        framed({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, bytes(12)),
        framed({"a": entry(0, 4, [1]), "b": entry(0, 4, [1])}, bytes(4)),
        framed({"a": entry(0, 4, [1])}, bytes(8)),
        framed({"a": entry(0, 4, [2])}, bytes(4)),
        framed({"a": entry(4, 0, [1])}, bytes(4)),
        framed({"a": entry(0, 4, [-1])}, bytes(4)),
        framed({"a": entry(0, 4, [1], "X9")}, bytes(4)),
        framed({"a": []}),
        framed(b'{"a":1,"a":2}'),
        framed(b"[" * 100_000),
        framed(b'{"a'),
        framed([]),
        b"\xff" * 16,
    ],
)
def test_a_header_that_does_not_fit_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_safetensors(data)


def saved(array: np.ndarray, **options: bool) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["<f8", "<f2", "<i4", "|u1", "|b1", "<c8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_is_what_numpy_wrote(dtype: str, order: str) -> None:
    array = np.array(
        np.arange(24).reshape(2, 3, 4), dtype=dtype, order="F" if order == "F" else "C"
    )
    (tensor,) = read_numpy(saved(array)).graphs[0].tensors.values()
    assert np.array_equal(tensor.array(), array)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_zip_of_arrays_has_them_by_name(compressed: bool) -> None:
    tensors = read_numpy(npz(compressed=compressed)).graphs[0].tensors
    assert np.array_equal(tensors["weight"].array(), np.arange(6.0).reshape(2, 3))
    assert tensors["count"].shape == ()
    assert tensors["count"].array() == 7


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}], dtype=object),
        np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]),
        np.array(["text"]),
        np.zeros(2, dtype=">f4"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(array: np.ndarray) -> None:
    with pytest.raises(UnsupportedFormatError):
        read_numpy(saved(array, allow_pickle=True))


def test_an_array_that_is_too_short_is_a_format_error() -> None:
    with pytest.raises(FormatError, match=r"needs 16 bytes, 15 are left"):
        read_numpy(saved(np.zeros(4, dtype="<f4"))[:-1])

"""A user's weights are looked at before they are loaded."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gaugenn.zoo._weights import require_fitting

SHAPES = {"0.weight": (2, 3), "0.bias": (2,)}


def archive(path: Path, **changes: np.ndarray) -> Path:
    arrays = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    np.savez(path, **(arrays | changes))
    return path


def test_arrays_that_fit_are_taken(tmp_path: Path) -> None:
    require_fitting(archive(tmp_path / "w.npz"), SHAPES)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"extra": np.zeros(1)}, "unknown: extra"),
        ({"0.bias": np.zeros(3)}, r"\(3,\), the definition's \(2,\)"),
        ({"0.bias": np.array([None, 1])}, "not numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        require_fitting(archive(tmp_path / "w.npz", **changes), SHAPES)


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{"0.bias": np.zeros(2, np.float32)})
    with pytest.raises(ValueError, match=r"Missing key\(s\): 0.weight"):
        require_fitting(tmp_path / "w.npz", SHAPES)


def test_a_header_that_claims_terabytes_allocates_nothing(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
    )
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
        file.writestr("0.bias.npy", header.getvalue())
    with pytest.raises(ValueError, match="the definition's"):
        require_fitting(tmp_path / "w.npz", {"0.bias": (2,)})


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(data)
    with pytest.raises(ValueError, match="no archive"):
        require_fitting(tmp_path / "w.npz", SHAPES)

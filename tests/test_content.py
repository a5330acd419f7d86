"""Mapped files: what was passed does not stay in memory."""

import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.formats import make_onnx, make_tflite

from gaugenn.analysis.summary import summarise
from gaugenn.content import Content, from_bytes, open_file, release
from gaugenn.formats import readers

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="how much of a file is mapped is asked of /proc/self/smaps"
)


def mapped_bytes(path: Path) -> int:
    """How much of a file is resident in this process.

    **Source:** https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html
    """
    text = Path("/proc/self/smaps").read_text()
    found = re.findall(
        rf"^\S+ .* {re.escape(str(path))}\n(?:\w+:.*\n)*?Rss: +(\d+) kB", text, re.MULTILINE
    )
    return sum(int(each) for each in found) * 1024


def touched(path: Path) -> Content:
    content = open_file(path)
    assert sum(content.data[:: 1 << 12]) > 0
    return content


def test_a_digest_leaves_no_large_file_mapped(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    data = np.random.default_rng(0).integers(1, 256, (9 << 20) + 5, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    content = touched(path)
    assert mapped_bytes(path) > 9 << 20
    assert content.sha256() == hashlib.sha256(data).hexdigest()
    assert mapped_bytes(path) <= 2 << 20
    assert content.data == data


@pytest.mark.parametrize(("format_name", "make"), [("onnx", make_onnx), ("tflite", make_tflite)])
def test_reading_and_counting_a_model_leaves_no_weights_mapped(
    tmp_path: Path, format_name: str, make: object
) -> None:
    path = tmp_path / f"large.{format_name}"
    assert callable(make)
    make(path, 16, 1024)
    content = touched(path)
    assert mapped_bytes(path) > 64 << 20
    model = readers()[format_name].read(content)
    assert mapped_bytes(path) < 12 << 20
    record, _ = summarise(model, model_sha256="0" * 64, size_bytes=content.size_bytes)
    assert record.weights_examined == 16 << 20
    assert mapped_bytes(path) < 12 << 20


def test_only_large_pieces_of_mapped_files_are_released(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(b"\1" * (4 << 20))
    content = touched(path)
    before = mapped_bytes(path)
    release(content.data[: 1 << 19])
    release(from_bytes("x", b"\1" * (2 << 20)).data)
    assert mapped_bytes(path) == before
    release(content.data[(2 << 20) :])
    assert mapped_bytes(path) <= 2 << 20

"""The exporters' environment: PyTorch, the converters and every library that reads their files."""

import re
from collections.abc import Iterable
from pathlib import Path

from gaugenn._cache import cache_folder
from gaugenn.engines import _environments
from gaugenn.engines._environments import Installation
from gaugenn.errors import MissingToolError

SIZE_GB = 3.1
"""What the environment takes on disk. Measured with `du` on x86-64."""

_PACKAGES = (
    "torch==2.13.0",
    "onnx==1.23.2",
    "onnxscript==0.7.2",
    "onnxruntime==1.31.1",
    "litert-torch==0.10.0",
    "ai-edge-litert==2.3.0",
    "ai-edge-quantizer==0.10.0",
    "pnnx==20261020",
    "ncnn==1.0.20261020",
    "MNN==3.6.1",
    "executorch==1.5.1",
    "openvino==2026.4.1",
    "opencv-python-headless==5.0.0.93",
)


class Exporters:
    """What is installed, in the terms of `engines/_environments.py`."""

    name = "zoo-exporters"
    default_version = "1"
    """Goes up when a package above does."""
    distribution = "torch"
    module = "torch"
    source_packages = ("antlr4-python3-runtime",)

    def requirements(self, version: str) -> tuple[str, ...]:
        """The pinned packages."""
        del version
        return _PACKAGES


def install() -> Installation:
    """Installs the environment, or finds it. Raises as `_environments.install` does."""
    return _environments.install(Exporters())


def find() -> Installation | None:
    """The environment, if it is installed."""
    return _environments.find(Exporters(), Exporters.default_version)


def require() -> Installation:
    """The environment.

    Raises:
        MissingToolError: it is not installed.
    """
    found = find()
    if found is None:
        tool = f"PyTorch and the converters ({SIZE_GB:.1f} GB)"
        raise MissingToolError("building reference models", tool, "gaugenn zoo install")
    return found


def versions(installation: Installation, packages: Iterable[str]) -> tuple[str, ...]:
    """Those packages as `name==version`, as they are installed."""
    there = {_plain(line.partition("==")[0]): line for line in installation.resolved}
    return tuple(there.get(_plain(name), f"{name}==missing") for name in packages)


def _plain(name: str) -> str:
    """A package's name as PyPI compares it.

    Source: https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def folder() -> Path:
    """Where builds are kept."""
    return cache_folder() / "zoo"

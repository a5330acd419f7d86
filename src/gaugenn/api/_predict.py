"""Latencies that nobody measured: `predict`."""

from collections.abc import Sequence
from pathlib import Path

from gaugenn.api._study import PathLike
from gaugenn.pipeline import predict as step
from gaugenn.pipeline.predict import Predictions
from gaugenn.store import Study


def predict(
    folder: PathLike,
    models: Sequence[str] = (),
    *,
    device: str | None = None,
    engine: str | None = None,
) -> Predictions:
    """Predicts latencies of models that were not measured, and stores them as predicted.

    Args:
        folder: the study.
        models: names or beginnings of digests; all that were read by default.
        device: only there.
        engine: a library, or one with its version: `litert==2.3.0`.

    Raises:
        UsageError: no such model, or nothing was measured there.
        MissingToolError: scikit-learn is not installed: `pip install 'gaugenn[predict]'`.
        StoreError: the folder is no study.
    """
    return step.predict(Study(Path(folder)), models, device=device, engine=engine)

"""A scikit-learn sample, made by scikit-learn 1.9 itself: see `make_sklearn.py`."""

from tests.formats.samples import Sample


def samples() -> tuple[Sample, ...]:
    """A scaler and a logistic regression, in two protocols of pickle."""
    return tuple(
        Sample(name=name, format="sklearn", source=f"sklearn/{name}.pkl", file_name=f"{name}.pkl")
        for name in ("pipeline", "pipeline5")
    )

"""A scikit-learn sample, made by scikit-learn 1.9 itself: see `make_sklearn.py`."""

from tests.formats.samples import Sample


def samples() -> tuple[Sample, ...]:
    """A scaler and a logistic regression."""
    return (
        Sample(
            name="pipeline",
            format="sklearn",
            source="sklearn/pipeline.pkl",
            file_name="pipeline.pkl",
        ),
    )

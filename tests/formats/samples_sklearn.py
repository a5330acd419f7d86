"""A scikit-learn sample, made by scikit-learn 1.9 itself: see `make_sklearn.py`."""

from tests.formats.samples import Sample


def samples() -> tuple[Sample, ...]:
    """A scaler and a logistic regression, in two protocols of pickle and by joblib."""
    files = {"pipeline": "pipeline.pkl", "pipeline5": "pipeline5.pkl", "joblib": "pipeline.joblib"}
    return tuple(
        Sample(name=name, format="sklearn", source=f"sklearn/{file}", file_name=file)
        for name, file in files.items()
    )

"""Makes the scikit-learn samples: `python -m tests.formats.make_sklearn` (needs scikit-learn)."""

import pickle
from pathlib import Path

FOLDER = Path(__file__).parent / "sklearn"


def main() -> None:
    """Writes a fitted pipeline, by pickle and by joblib."""
    import joblib
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    points = np.random.default_rng(1).normal(size=(40, 4))
    fitted = make_pipeline(StandardScaler(), LogisticRegression())
    fitted.fit(points, (points[:, 0] > 0).astype(int))
    (FOLDER / "pipeline.pkl").write_bytes(pickle.dumps(fitted, protocol=4))
    (FOLDER / "pipeline5.pkl").write_bytes(pickle.dumps(fitted, protocol=5))
    joblib.dump(fitted, FOLDER / "pipeline.joblib")


if __name__ == "__main__":
    main()

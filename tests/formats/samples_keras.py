"""Keras samples, made by Keras 3.8 itself: see `make_keras.py`."""

from tests.formats.samples import Sample


def samples() -> tuple[Sample, ...]:
    """A branching network in both containers, a chain, and weights alone."""
    return tuple(
        Sample(name=name.replace(".", "-"), format="keras", source=f"keras/{name}", file_name=name)
        for name in ("net.keras", "net.h5", "net.weights.h5", "chain.h5")
    )

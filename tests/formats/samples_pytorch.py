"""PyTorch samples, written by PyTorch 2.13.0 with `files/make_pytorch.py`."""

from tests.formats.samples import Sample

FILES = ("tiny.ptl", "frozen.pt", "traced.pt", "state.pth", "legacy.pth")


def samples() -> tuple[Sample, ...]:
    """Programs for phones and others, and checkpoints of both kinds."""
    return tuple(
        Sample(
            name=file.partition(".")[0],
            format="pytorch",
            source=f"files/pytorch_{file}",
            file_name=file,
        )
        for file in FILES
    )

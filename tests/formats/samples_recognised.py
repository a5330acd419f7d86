"""Heads of formats that are recognised and not read; what follows is private and left out."""

from collections.abc import Callable, Iterable

from tests.formats.samples import Sample

HEADS = (
    ("hailo", b"\x01HEF" + bytes(4) + b"\0\0\1\0", "Hailo"),
    ("kmodel", b"LDMK" + b"\5\0\0\0" + bytes(8), "Kendryte"),
    ("tensorrt", b"ptrt" + b"\x74\0\0\0" + bytes(8), "NVIDIA"),
    ("rknn", b"RKNN" + bytes(4) + b"\6" + bytes(7), "Rockchip"),
    ("om", b"IMOD" + b"\0\1\0\0" + bytes(8), "DaVinci"),
    ("qnn", bytes.fromhex("00000002000000030000000000000001"), "Qualcomm"),
)


def _file(head: bytes) -> Callable[[], bytes]:
    return lambda: head + bytes(range(256))


def samples() -> Iterable[Sample]:
    """One of each."""
    for name, head, words in HEADS:
        yield Sample(
            name="head", format=name, source=_file(head), file_name=f"model.{name}", refused=words
        )

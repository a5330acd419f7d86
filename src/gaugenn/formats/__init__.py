"""Model file formats: one file a format, one `FormatReader` a file.

Adding a format is adding one module here, with a sample and a line in the docs. Modules whose name
starts with `_` are no formats: the contract, identification, and wire formats shared by readers.
"""

from gaugenn.formats._contract import HEAD_BYTES, FormatReader
from gaugenn.formats._identify import (
    Identification,
    identify,
    identify_head,
    is_nominated,
    read_model,
    readers,
    unwrap,
)

__all__ = [
    "HEAD_BYTES",
    "FormatReader",
    "Identification",
    "identify",
    "identify_head",
    "is_nominated",
    "read_model",
    "readers",
    "unwrap",
]

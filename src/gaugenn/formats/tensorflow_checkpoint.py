"""TensorFlow checkpoints without their graph: names and values of variables.

A checkpoint beside a meta graph or in the folder of a SavedModel belongs to that model; see
`gaugenn.formats.tensorflow`. Checkpoints of one file, as before TensorFlow 1, are not read.

Notes: `weights-only`; `weights-absent` (no file of values); `partitioned` (values that are stored in
parts are listed by their parts).
"""

from collections.abc import Iterator
from typing import ClassVar

from gaugenn.content import Content
from gaugenn.errors import FormatError
from gaugenn.formats._contract import FormatReader, Magic
from gaugenn.formats._tensorflow_bundle import Bundle, looks_like_index
from gaugenn.formats._weights_only import weights_model
from gaugenn.graph import DataType, Model, Tensor, TensorKind


class TensorFlowCheckpointReader(FormatReader):
    """Reads the table of names; values stay in the mapped files."""

    title: ClassVar[str] = "TensorFlow checkpoint"
    spec: ClassVar[str] = (
        "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/"
        "tensor_bundle.proto"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".index",)
    weights_suffixes: ClassVar[tuple[str, ...]] = (".data-00000-of-00001",)
    magics: ClassVar[tuple[Magic, ...]] = ((0, bytes(2)),)  # an empty key comes first

    def sniff(self, name: str, head: bytes) -> bool:
        """A table whose first entry is a checkpoint's header."""
        del name
        return looks_like_index(head)

    def read(self, content: Content) -> Model:
        """Reads every entry that is a tensor.

        Raises:
            FormatError: no whole table, or values that do not fit their shapes.
            UnsupportedFormatError: a compressed table, or values in the other byte order.
        """
        bundle = Bundle(content)
        notes: set[str] = set()
        tensors = tuple(_tensors(bundle, notes, content.name))
        if not tensors:
            raise FormatError(f"{content.name}: a checkpoint without a tensor")
        model = weights_model("tensorflow_checkpoint", "2", tensors, notes=notes)
        return Model(
            format=model.format,
            format_version=model.format_version,
            producer="TensorFlow",
            graphs=model.graphs,
            companions=bundle.used,
            notes=model.notes,
        )

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The files of values."""
        try:
            return Bundle(content).files()
        except FormatError:
            return ()


def _tensors(bundle: Bundle, notes: set[str], where: str) -> Iterator[Tensor]:
    for name, entry in bundle.entries.items():
        if entry.dtype in (DataType.STRING, DataType.UNKNOWN, DataType.VARIANT):
            continue
        if entry.sliced:
            notes.add("partitioned")
            continue
        data = bundle.bytes_of(entry)
        if data is None:
            notes.add("weights-absent")
        try:
            yield Tensor(
                name=name,
                dtype=entry.dtype,
                shape=entry.shape,
                data=data,
                kind=TensorKind.CONSTANT,
            )
        except FormatError as error:
            raise FormatError(f"{where}: {error}") from None

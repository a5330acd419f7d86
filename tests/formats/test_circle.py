"""The reader of Circle."""

import pytest

from gaugenn.analysis.summary import summarise
from gaugenn.content import from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import read_model
from gaugenn.formats.circle import CircleReader
from gaugenn.graph import Model
from tests.formats import samples_circle as given
from tests.formats import samples_tflite as tflite


def macs(model: Model) -> int | None:
    return summarise(model, model_sha256="0" * 64, size_bytes=1)[0].macs


def test_operators_that_both_formats_have_are_read_alike() -> None:
    model = read_model(from_bytes("plain.circle", given.plain()))
    other = read_model(from_bytes("plain.tflite", tflite.float_file().data()))
    assert (model.format, model.format_version) == ("circle", "0")
    assert model.graphs == other.graphs
    assert macs(model) == macs(other)
    assert macs(model)


def test_an_operator_of_its_own_keeps_its_name() -> None:
    first, second = read_model(from_bytes("added.circle", given.added())).graphs[0].nodes
    assert first.operator == "Relu"
    assert (second.operator, second.source_operator) == ("", "INSTANCE_NORM")
    assert second.inputs == ("y", "gamma", "gamma")


def test_an_operator_that_neither_has_is_refused() -> None:
    data = given.added()
    file = data.replace((-2 & 0xFFFFFFFF).to_bytes(4, "little"), b"\xc4\xff\xff\xff")
    assert file != data
    with pytest.raises(FormatError, match="negative"):
        CircleReader().read(from_bytes("x.circle", file.replace(b"\xfe", b"\xc4")))

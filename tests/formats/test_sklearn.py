"""The scikit-learn reader on files that scikit-learn and joblib wrote."""

import bz2
import gzip
import lzma
import pickle
import zlib
from collections.abc import Callable

import pytest

from gaugenn.content import from_bytes
from gaugenn.errors import FormatError
from gaugenn.formats import identify
from gaugenn.formats.sklearn import SklearnReader
from tests.formats import _corpus
from tests.formats._corpus import needs_corpus
from tests.formats.samples import FOLDER

READER = SklearnReader()


def data(name: str) -> bytes:
    return (FOLDER / "sklearn" / name).read_bytes()


@pytest.mark.parametrize("name", ["pipeline.pkl", "pipeline5.pkl"])
def test_the_steps_of_a_pipeline_are_nodes_with_their_arrays(name: str) -> None:
    model = READER.read(from_bytes(name, data(name)))
    graph = model.graphs[0]
    assert model.notes == ("classical-ml",)
    assert [n.source_operator for n in graph.nodes] == ["StandardScaler", "LogisticRegression"]
    assert graph.nodes[0].attributes["with_mean"] is True
    assert graph.tensors["0.standardscaler/mean_"].array().shape == (4,)
    assert graph.tensors["1.logisticregression/coef_"].array().shape == (1, 4)


def test_joblib_keeps_the_same_numbers_between_the_records() -> None:
    plain = READER.read(from_bytes("a.pkl", data("pipeline.pkl"))).graphs[0]
    mixed = READER.read(from_bytes("a.joblib", data("pipeline.joblib"))).graphs[0]
    assert mixed.nodes == plain.nodes
    assert mixed.tensors == plain.tensors
    arrays = [name for name, tensor in plain.tensors.items() if tensor.data is not None]
    assert len(arrays) >= 4
    for name in arrays:
        assert mixed.tensors[name].array().tolist() == plain.tensors[name].array().tolist()


@pytest.mark.parametrize(
    ("pack", "wrapping"),
    [
        (zlib.compress, "zlib"),
        (gzip.compress, "gzip"),
        (lzma.compress, "xz"),
        (bz2.compress, "bzip2"),
    ],
)
def test_joblibs_compressed_files_are_the_same_model(
    pack: Callable[[bytes], bytes], wrapping: str
) -> None:
    found = identify(from_bytes("a.joblib", pack(data("pipeline.joblib"))))
    assert (found.formats, found.wrapping) == (("sklearn",), wrapping)
    assert found.inner is not None
    assert READER.read(found.inner).graphs[0].nodes


def test_arrays_of_joblib_that_are_cut_off_or_impossible_are_format_errors() -> None:
    held = data("pipeline.joblib")
    with pytest.raises(FormatError, match=r"of 32 bytes at .* is cut off"):
        READER.read(from_bytes("a.joblib", held[:500]))
    huge = held.replace(b"K\x04\x85", b"K\xff\x85", 1)
    with pytest.raises(FormatError):
        READER.read(from_bytes("a.joblib", huge))
    other = held.replace(b"f8", b"@8", 1)
    with pytest.raises(FormatError, match="elements of the type '@8'"):
        READER.read(from_bytes("a.joblib", other))


def test_other_pickles_are_not_claimed() -> None:
    for value in ({"sklearn.data": 1}, ["a", 2], b"sklearn.tree", "sklearn.tree"):
        assert not READER.sniff("file.pkl", pickle.dumps(value))


@needs_corpus
def test_no_file_of_another_format_is_claimed() -> None:
    assert _corpus.claimed_by("sklearn") == []

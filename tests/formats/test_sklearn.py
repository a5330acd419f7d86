"""The scikit-learn reader on files that scikit-learn and joblib wrote."""

import pickle

import pytest

from gaugenn.content import from_bytes
from gaugenn.errors import UnsupportedFormatError
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


def test_joblibs_files_are_claimed_and_refused_by_name() -> None:
    held = data("pipeline.joblib")
    assert READER.sniff("pipeline.joblib", held[:4096])
    with pytest.raises(UnsupportedFormatError, match="joblib"):
        READER.read(from_bytes("pipeline.joblib", held))


def test_other_pickles_are_not_claimed() -> None:
    for value in ({"sklearn.data": 1}, ["a", 2], b"sklearn.tree", "sklearn.tree"):
        assert not READER.sniff("file.pkl", pickle.dumps(value))


@needs_corpus
def test_no_file_of_another_format_is_claimed() -> None:
    assert _corpus.claimed_by("sklearn") == []

"""Models whose halves are found by whole names keep these names in the store."""

import pytest
from tests.formats import samples_caffe2, samples_mxnet, samples_paddle

from gaugenn.content import Content, from_bytes
from gaugenn.formats import readers
from gaugenn.pipeline.scan import Candidate
from gaugenn.records import FileKind


@pytest.mark.parametrize(
    ("format_", "files"),
    [
        (
            "caffe2",
            {"a_predict_net.pb": samples_caffe2.predict(), "a_init_net.pb": samples_caffe2.init()},
        ),
        (
            "mxnet",
            {
                "a-symbol.json": samples_mxnet.network(),
                "a-0000.params": samples_mxnet.arrays(samples_mxnet.weights()),
            },
        ),
        (
            "paddle",
            {"__model__": samples_paddle.by_hand(), "__params__": samples_paddle.together()},
        ),
    ],
)
def test_the_stored_halves_still_find_each_other(format_: str, files: dict[str, bytes]) -> None:
    def beside(name: str) -> Content | None:
        return from_bytes(name, files[name], beside) if name in files else None

    graph = beside(next(iter(files)))
    assert graph is not None
    candidate = Candidate(
        path=graph.name,
        size_bytes=graph.size_bytes,
        kind=FileKind.MODEL,
        format=format_,
        content=graph,
        companions=readers()[format_].companions(graph),
    )
    assert [part.name for part in candidate.files()] == list(files)

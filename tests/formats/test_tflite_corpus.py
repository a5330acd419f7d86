"""The TensorFlow Lite reader on real files, against two independent readers.

Set `GAUGENN_CORPUS` to a folder with a `MANIFEST.csv` (path, expected, ...), the files it names, and
`NETRON_ORACLE.jsonl` (for each file the operator histogram that Netron reports).
"""

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tflite

from gaugenn.content import Content, open_file
from gaugenn.errors import FormatError
from gaugenn.formats import HEAD_BYTES
from gaugenn.formats import _tflite_schema as schema
from gaugenn.formats._flatbuffers import FlatBuffer
from gaugenn.formats.tflite import TfliteReader
from gaugenn.graph import LazyBytes, Model

CORPUS = os.environ.get("GAUGENN_CORPUS", "")
pytestmark = pytest.mark.skipif(not CORPUS, reason="GAUGENN_CORPUS names no folder of real models")

READER = TfliteReader()


@cache
def rows() -> tuple[tuple[str, str], ...]:
    if not CORPUS:
        return ()
    with (Path(CORPUS) / "MANIFEST.csv").open(newline="") as file:
        return tuple((row["path"], row["expected"]) for row in csv.DictReader(file))


def paths(*expected: str) -> list[str]:
    return [path for path, kind in rows() if kind in expected]


def content(path: str) -> Content:
    return open_file(Path(CORPUS) / path)


def sniffed(path: str) -> bool:
    file = content(path)
    return READER.sniff(file.name, file.head(HEAD_BYTES))


def oracle(path: str) -> Counter[str]:
    with (Path(CORPUS) / "NETRON_ORACLE.jsonl").open() as file:
        found = next(json.loads(line) for line in file if json.loads(line)["file"] == path)
    assert found["format"] == "TensorFlow Lite v3"
    return Counter({plain(name): count for name, count in found["ops"].items()})


def plain(name: str) -> str:
    return name.replace("_", "").lower()


def operators(model: Model) -> Counter[str]:
    return Counter(plain(n.source_operator) for graph in model.graphs for n in graph.nodes)


@pytest.mark.parametrize("path", paths("tflite"))
def test_a_real_model_is_read_with_the_operators_that_netron_sees(path: str) -> None:
    assert sniffed(path)
    model = READER.read(content(path))
    assert operators(model) == oracle(path)


@pytest.mark.parametrize("path", paths("tflite_truncated"))
def test_a_cut_off_model_is_a_format_error(path: str) -> None:
    assert sniffed(path)
    with pytest.raises(FormatError):
        READER.read(content(path))


def test_garbage_behind_the_identifier_is_a_format_error() -> None:
    path = "adversarial/tfl3_magic_garbage.tflite"
    assert sniffed(path)
    with pytest.raises(FormatError):
        READER.read(content(path))


def test_no_other_file_is_taken_for_a_model_of_this_format() -> None:
    ours = {*paths("tflite", "tflite_truncated"), "adversarial/tfl3_magic_garbage.tflite"}
    assert [path for path, _ in rows() if path not in ours and sniffed(path)] == []


def generated(path: str) -> tflite.Model:
    return tflite.Model.GetRootAs(bytes(content(path).data), 0)


def all_tensors(model: tflite.Model) -> Iterator[tuple[int, int, tflite.Tensor]]:
    for g in range(model.SubgraphsLength()):
        for t in range(model.Subgraphs(g).TensorsLength()):
            yield g, t, model.Subgraphs(g).Tensors(t)


@pytest.mark.parametrize("path", paths("tflite"))
def test_tensors_agree_with_an_independent_reader(path: str) -> None:
    model, other = READER.read(content(path)), generated(path)
    for g, t, theirs in all_tensors(other):
        ours = list(model.graphs[g].tensors.values())[t]
        name = (theirs.Name() or b"").decode()
        assert ours.name in (name, f"{name}#{t}")
        if ours.shape is not None:
            sizes = theirs.ShapeAsNumpy() if theirs.ShapeLength() else ()
            assert all(a in ("?", b) for a, b in zip(ours.shape, sizes, strict=True))
        assert ours.dtype is schema.TENSOR_TYPES[theirs.Type()]
        data = other.Buffers(theirs.Buffer()) if other.BuffersLength() else None
        stored = data.DataAsNumpy().tobytes() if data is not None and data.DataLength() else None
        if isinstance(ours.data, LazyBytes):
            assert theirs.Sparsity() is not None
            dense = np.frombuffer(ours.read(), np.float16)
            assert stored is not None
            kept = np.frombuffer(stored, np.float16)
            assert sorted(dense[dense != 0]) == sorted(kept[kept != 0])
        else:
            assert (None if ours.data is None else bytes(ours.data)) == stored
        scales = theirs.Quantization()
        if scales is not None and scales.ScaleLength() and not scales.DetailsType():
            assert ours.quantization is not None
            assert list(ours.quantization.scales) == scales.ScaleAsNumpy().tolist()
            assert list(ours.quantization.zero_points) == scales.ZeroPointAsNumpy().tolist()


@pytest.mark.parametrize("path", paths("tflite"))
def test_edges_agree_with_an_independent_reader(path: str) -> None:
    model, other = READER.read(content(path)), generated(path)
    for g, graph in enumerate(model.graphs):
        theirs = other.Subgraphs(g)
        names = [*graph.tensors, ""]
        assert list(graph.inputs) == [names[i] for i in theirs.InputsAsNumpy()]
        assert list(graph.outputs) == [names[i] for i in theirs.OutputsAsNumpy()]
        for n, node in enumerate(graph.nodes):
            operator = theirs.Operators(n)
            inputs = [names[i] for i in operator.InputsAsNumpy()]
            assert Counter(filter(None, node.inputs)) == Counter(filter(None, inputs))
            assert [n for n in node.outputs if n] == [names[i] for i in operator.OutputsAsNumpy()]


@pytest.mark.parametrize("path", paths("tflite"))
def test_options_agree_with_an_independent_reader(path: str) -> None:
    names = {v: k for k, v in vars(tflite.BuiltinOptions).items() if isinstance(v, int)}
    other = generated(path)
    root = FlatBuffer(content(path).data, path).root(b"TFL3")
    for g, graph in enumerate(root.tables(schema.ModelField.SUBGRAPHS)):
        for n, operator in enumerate(graph.tables(schema.SubgraphField.OPERATORS)):
            member, ours = operator.union(schema.OperatorField.OPTIONS)
            theirs = other.Subgraphs(g).Operators(n)
            assert member == theirs.BuiltinOptionsType()
            if ours is None or member not in schema.OPTIONS:
                continue
            options = getattr(tflite, names[member])()
            options.Init(theirs.BuiltinOptions().Bytes, theirs.BuiltinOptions().Pos)
            for name, value in ours.read(schema.OPTIONS[member]).items():
                accessor = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
                if isinstance(value, tuple):
                    length = getattr(options, f"{accessor}Length")()
                    assert list(value) == [getattr(options, accessor)(i) for i in range(length)]
                else:
                    assert value == getattr(options, accessor)()


@pytest.mark.parametrize("path", paths("tflite"))
def test_convolutions_have_as_many_weights_as_their_attributes_say(path: str) -> None:
    for graph in READER.read(content(path)).graphs:
        for node in graph.nodes:
            if node.operator != "Conv":
                continue
            value, weights = (graph.tensors[name].shape for name in node.inputs[:2])
            kernel, group = node.attributes["kernel_shape"], node.attributes["group"]
            channels = node.attributes["output_channels"]
            assert value is not None
            assert weights is not None
            assert isinstance(kernel, tuple)
            assert isinstance(group, int)
            assert isinstance(channels, int)
            sizes = (*kernel, channels, int(value[-1]) // group)
            assert np.prod([int(s) for s in sizes]) == np.prod([int(s) for s in weights])


def test_special_files_get_their_remarks() -> None:
    remarks = {
        "face-detector-quantized_edgetpu": ("accelerator-blob",),
        "precompiled_mediatek_model": ("accelerator-blob",),
        "simple_model_qualcomm_sm8650_precompiled": ("accelerator-blob",),
        "sentencepiece_tokenizer_flex_op": ("flex-operators",),
        "qwen_fc_blockwise_quantized": (),
        "mobilenet_v2_1.0_224_quant": (),
    }
    for name, notes in remarks.items():
        assert READER.read(content(f"tflite/{name}.tflite")).notes == notes


def test_a_model_under_another_suffix_is_the_same_model() -> None:
    renamed = READER.read(content("adversarial/renamed_model.dat"))
    named = READER.read(content("tflite/mobilenet_v1_0.25_128_quant.tflite"))
    assert renamed == named
    assert renamed.metadata["packed_files"] == "imagenet_labels.txt"

"""What every reader keeps, on every sample of every format."""

import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest

from gaugenn import graph as graph_module
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats import HEAD_BYTES
from gaugenn.formats._identify import readers
from gaugenn.graph import GraphReference, LazyBytes, Model, TensorKind
from tests.formats.samples import Sample, all_samples, refused_samples

CORRUPTIONS = 300
TRUNCATIONS = 200
SMALL_BYTES = 2048
MOST_MEMORY_BYTES = 64 << 20

each_sample = pytest.mark.parametrize(
    "sample", all_samples(), ids=lambda sample: f"{sample.format}-{sample.name}"
)
each_reader = pytest.mark.parametrize("name", sorted(readers()))


def read(sample: Sample, data: bytes | None = None) -> Model:
    return readers()[sample.format].read(sample.content(data))


def seeded(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def weights(model: Model) -> list[bytes | None]:
    return [
        None if tensor.data is None else bytes(tensor.read())
        for graph in model.graphs
        for tensor in graph.tensors.values()
    ]


def decode_all(model: Model) -> None:
    for graph in model.graphs:
        for tensor in graph.tensors.values():
            if isinstance(tensor.data, LazyBytes):
                assert tensor.read().nbytes == tensor.data.size_bytes


@each_reader
def test_a_reader_has_a_title_a_specification_and_suffixes(name: str) -> None:
    reader = readers()[name]
    assert reader.title
    assert reader.spec.startswith("https://")
    for suffix in (*reader.suffixes, *reader.weights_suffixes):
        assert suffix.startswith(".")
        assert suffix == suffix.lower()


@each_reader
def test_a_reader_has_a_sample(name: str) -> None:
    assert name in {sample.format for sample in (*all_samples(), *refused_samples())}


@each_reader
def test_a_reader_claims_no_empty_random_or_constant_bytes(name: str) -> None:
    reader = readers()[name]
    for head in (b"", b"\0", bytes(HEAD_BYTES), b"\xff" * HEAD_BYTES, b" " * HEAD_BYTES):
        assert not reader.sniff("file.bin", head)
    generator = seeded(name)
    for size in (1, 7, 8, 64, HEAD_BYTES):
        assert not reader.sniff("file.bin", generator.bytes(size))


@pytest.mark.parametrize("sample", refused_samples(), ids=lambda sample: sample.format)
def test_a_format_that_is_only_recognised_says_what_it_is(sample: Sample) -> None:
    head = sample.content().head(HEAD_BYTES)
    assert [n for n, r in readers().items() if r.sniff(sample.file_name, head)] == [sample.format]
    with pytest.raises(UnsupportedFormatError, match=sample.refused) as refusal:
        read(sample)
    assert str(refusal.value).startswith(sample.file_name)


@each_sample
def test_exactly_one_reader_recognises_a_sample(sample: Sample) -> None:
    content = sample.content()
    head = content.head(HEAD_BYTES)
    claimed = [name for name, reader in readers().items() if reader.sniff(content.name, head)]
    assert claimed == [sample.format]


@each_sample
def test_reading_gives_a_model_of_the_format_with_nodes_or_says_why_not(sample: Sample) -> None:
    model = read(sample)
    assert model.format == sample.format
    assert any(graph.nodes for graph in model.graphs) != ("weights-only" in model.notes)
    assert tuple(sorted(model.notes)) == model.notes


@each_sample
def test_edges_refer_to_tensors_that_are_defined(sample: Sample) -> None:
    model = read(sample)
    for graph in model.graphs:
        assert all(key == tensor.name for key, tensor in graph.tensors.items())
        for node in graph.nodes:
            assert node.source_operator
            for name in (*node.inputs, *node.outputs):
                assert not name or model.find_tensor(graph, name) is not None
            for value in node.attributes.values():
                if isinstance(value, GraphReference):
                    assert 0 <= value.index < len(model.graphs)


@each_sample
def test_convolutions_carry_what_their_cost_needs(sample: Sample) -> None:
    for graph in read(sample).graphs:
        for node in graph.nodes:
            if node.operator not in ("Conv", "ConvTranspose"):
                continue
            kernel = node.attributes["kernel_shape"]
            assert isinstance(kernel, tuple)
            assert kernel
            assert all(isinstance(size, int) and size > 0 for size in kernel)
            if sample.format not in ("onnx", "ort"):
                assert isinstance(node.attributes["output_channels"], int)
            assert node.attributes.get("group", 1) != 0


@each_sample
def test_constants_have_a_shape_and_all_their_bytes(sample: Sample) -> None:
    model = read(sample)
    decode_all(model)
    for graph in model.graphs:
        for tensor in graph.tensors.values():
            if tensor.kind is TensorKind.CONSTANT:
                assert tensor.shape is not None
            if tensor.data is not None and tensor.size_bytes is not None:
                assert tensor.read().nbytes == tensor.size_bytes


@each_sample
def test_reading_is_repeatable(sample: Sample) -> None:
    first, second = read(sample), read(sample)
    assert first == second
    assert weights(first) == weights(second)


@each_sample
def test_companions_are_the_files_that_reading_uses(sample: Sample) -> None:
    content = sample.content()
    reader = readers()[sample.format]
    found = {companion.name for companion in reader.companions(content)}
    assert set(reader.read(content).companions) <= found


def lengths(size: int) -> Iterator[int]:
    if size < SMALL_BYTES:
        return iter(range(size))
    step = size / TRUNCATIONS
    spread = {int(i * step) for i in range(TRUNCATIONS)}
    return iter(sorted(spread | {0, 1, 4, 8, size - 8, size - 4, size - 1}))


@each_sample
def test_a_truncated_file_is_a_format_error_or_the_identical_graph(sample: Sample) -> None:
    data = sample.data()
    whole = read(sample, data)
    held = weights(whole)
    endings = sample.endings(data)
    for length in lengths(len(data)):
        try:
            model = read(sample, data[:length])
            found = weights(model)
        except FormatError:
            continue
        if length in endings:
            continue
        assert model.graphs == whole.graphs, f"cut after {length} of {len(data)} bytes"
        assert found == held, f"cut after {length} of {len(data)} bytes"


@each_sample
def test_a_corrupt_byte_is_a_format_error_or_a_valid_model(sample: Sample) -> None:
    data = sample.data()
    generator = seeded(f"{sample.format}-{sample.name}")
    tracemalloc.start()
    try:
        for _ in range(CORRUPTIONS):
            corrupt = bytearray(data)
            at = int(generator.integers(len(corrupt)))
            value = (0, 1, 0x7F, 0x80, 0xFF, int(generator.integers(256)))[generator.integers(6)]
            corrupt[at] = value
            with suppress(FormatError):
                decode_all(read(sample, bytes(corrupt)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY_BYTES + 4 * len(data)


@each_sample
def test_sniffing_survives_any_truncation(sample: Sample) -> None:
    data = sample.data()[:HEAD_BYTES]
    for length in lengths(len(data)):
        for reader in readers().values():
            assert reader.sniff(sample.file_name, data[:length]) in (True, False)


@each_sample
def test_a_model_of_too_many_nodes_is_refused(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = sum(len(graph.nodes) for graph in read(sample).graphs)
    monkeypatch.setattr(graph_module, "NODE_LIMIT", max(0, nodes - 1))
    if nodes:
        with pytest.raises(FormatError, match="nodes or more, at most"):
            read(sample)
    else:
        read(sample)

"""Sparse tensors against a plain encoder."""

import struct
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.content import from_bytes
from gaugenn.formats.tflite import TfliteReader
from tests.formats._flatbuffer_builder import Fields
from tests.formats.samples_tflite import File

Dense = npt.NDArray[np.float32]


def encode(dense: Dense, blocks: dict[int, int], order: list[int], compressed: set[int]) -> File:
    """A model with this tensor, stored sparsely.

    Args:
        dense: the tensor.
        blocks: block size by dimension.
        order: traversal order of dimensions, then of blocks.
        compressed: levels, by their place in the order, that list their entries.
    """
    rank = dense.ndim
    mapped = sorted(blocks)
    split: list[int] = []
    for dimension, size in enumerate(dense.shape):
        inner = blocks.get(dimension, 1)
        split += [size // inner, inner]
    outer_axes = [2 * d for d in range(rank)]
    inner_axes = [2 * d + 1 for d in mapped]
    unused = [2 * d + 1 for d in range(rank) if d not in blocks]
    axes = outer_axes + inner_axes
    parts = dense.reshape(split).squeeze(tuple(unused)) if unused else dense.reshape(split)
    kept = [axis for axis in range(2 * rank) if axis not in unused]
    parts = parts.transpose([kept.index(axes[d]) for d in order])

    rows: list[tuple[int, ...]] = [()]
    levels: list[Fields] = []
    for level, size in enumerate(parts.shape):
        found: list[tuple[int, ...]] = []
        starts = [0]
        for row in rows:
            entries = [(*row, i) for i in range(size)]
            if level in compressed:
                entries = [entry for entry in entries if parts[entry].any()]
            found += entries
            starts.append(len(found))
        if level in compressed:
            indices = tuple(entry[-1] for entry in found)
            levels.append(
                {
                    0: ("i8", 1),
                    1: ("i32", size),
                    2: ("u8", 1),
                    3: {0: ("[i32]", tuple(starts))},
                    4: ("u8", 3),
                    5: {0: bytes(indices)},
                }
            )
        else:
            assert all(b - a == size for a, b in pairwise(starts))
            levels.append({0: ("i8", 0), 1: ("i32", size)})
        rows = found
    stored = struct.pack(f"<{len(rows)}f", *(float(parts[row]) for row in rows))
    file = File()
    sparsity: Fields = {0: ("[i32]", tuple(order)), 1: ("[i32]", tuple(mapped)), 2: [*levels]}
    file.graph().tensor("weights", dense.shape, data=stored or b"", more={6: sparsity})
    return file


@st.composite
def cases(draw: st.DrawFn) -> tuple[Dense, dict[int, int], list[int], set[int]]:
    rank = draw(st.integers(1, 3))
    blocks = {d: draw(st.sampled_from((1, 2, 4))) for d in range(rank) if draw(st.booleans())}
    shape = [draw(st.integers(1, 3)) * blocks.get(d, 1) for d in range(rank)]
    count = int(np.prod(shape))
    values = draw(st.lists(st.sampled_from((0.0, 0.0, 1.0, -2.5)), min_size=count, max_size=count))
    values[draw(st.integers(0, count - 1))] = 3.0
    order = [*draw(st.permutations(range(rank))), *(rank + i for i in range(len(blocks)))]
    compressed = draw(st.sets(st.integers(0, rank - 1), max_size=rank))
    return np.array(values, np.float32).reshape(shape), blocks, order, compressed


@given(cases())
@settings(max_examples=150, deadline=None)
def test_what_is_stored_sparsely_is_decoded_to_what_it_was(
    case: tuple[Dense, dict[int, int], list[int], set[int]],
) -> None:
    dense, blocks, order, compressed = case
    file = encode(dense, blocks, order, compressed)
    model = TfliteReader().read(from_bytes("m.tflite", file.data()))
    weights = model.graphs[0].tensors["weights"]
    assert weights.sparse
    assert np.array_equal(weights.array(), dense)

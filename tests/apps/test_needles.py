"""Finding many strings in one pass."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.apps.needles import Needles


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.binary(min_size=7, max_size=12), min_size=1, max_size=6),
    noise=st.lists(st.binary(max_size=9), min_size=1, max_size=12),
    order=st.lists(st.integers(0, 5), max_size=12),
)
def test_it_finds_what_plain_searches_find(
    texts: list[bytes], noise: list[bytes], order: list[int]
) -> None:
    picked = [texts[i % len(texts)] for i in order]
    data = b"".join(n + p for n, p in zip(noise, [*picked, *[b""] * len(noise)], strict=False))
    expected: dict[bytes, list[int]] = {}
    for text in dict.fromkeys(texts):
        places = [i for i in range(len(data)) if data.startswith(text, i)]
        if places:
            expected[text] = places
    found = Needles(texts).find(memoryview(data))
    assert {text: sorted(places) for text, places in found.items()} == expected


def test_strings_across_the_borders_of_its_chunks_are_found() -> None:
    data = bytearray(3 << 18)
    for start in (0, (1 << 18) - 3, (1 << 19) - 7, len(data) - 13):
        data[start : start + 13] = b"N4ncnn5LayerE"
    found = Needles([b"N4ncnn5LayerE"]).find(memoryview(data))
    assert found == {b"N4ncnn5LayerE": [0, (1 << 18) - 3, (1 << 19) - 7, len(data) - 13]}


def test_data_made_of_beginnings_only_ends_early() -> None:
    found = Needles([b"aaaaaaaaaaab"]).find(memoryview(b"a" * (1 << 23)))
    assert found == {}


def test_short_strings_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 7 bytes"):
        Needles([b"GGUF"])

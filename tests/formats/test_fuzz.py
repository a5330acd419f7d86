"""Whatever happened to a file, a reader refuses it or reads a valid model, in bounded time and memory.

`python -m benchmarks.fuzz --seconds N` does the same for longer.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gaugenn.formats import identify, readers
from tests.formats import mutations
from tests.formats.mutations import Damaged, Kind, Step, apply, damage, survive, watchdog
from tests.formats.samples import Sample, all_samples

EXAMPLES = 60
LARGE_BYTES = 1 << 20

numbers = st.integers(0, (1 << 32) - 1)
steps = st.lists(
    st.builds(
        Step, kind=st.sampled_from(Kind), at=numbers, other=numbers, length=numbers, value=numbers
    ),
    min_size=1,
    max_size=4,
)
fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
each_sample = pytest.mark.parametrize(
    "sample", all_samples(), ids=lambda sample: f"{sample.format}-{sample.name}"
)


@each_sample
def test_a_damaged_file_is_refused_or_a_valid_model(sample: Sample) -> None:
    @fuzzed
    @given(steps=steps, victim=st.integers(0, 3))
    def survives(steps: list[Step], victim: int) -> None:
        assert survive(damage(sample, steps, victim=victim), sample.format) in ("refused", "read")

    survives()


@pytest.mark.parametrize("name", sorted(readers()))
def test_a_file_of_another_format_is_refused_or_a_valid_model(name: str) -> None:
    for sample in all_samples():
        if sample.format != name and len(sample.data()) < LARGE_BYTES:
            whole = Damaged(sample=sample, data=sample.data(), neighbours=sample.neighbours)
            assert survive(whole, name, watched=False) in ("refused", "read")


@pytest.mark.parametrize("name", sorted(readers()))
def test_any_bytes_behind_a_signature_are_refused_or_a_valid_model(name: str) -> None:
    reader = readers()[name]
    generator = np.random.default_rng(7)
    given_bytes = (bytes(600), b"\xff" * 600, bytes(range(256)) * 2, generator.bytes(600))
    for offset, magic in (*reader.magics, (0, b"")):
        for body in given_bytes:
            data = body[:offset] + magic + body
            sample = Sample(
                name="any", format=name, source=lambda: b"", file_name="a" + reader.suffixes[0]
            )
            damaged = Damaged(sample=sample, data=data, neighbours={})
            assert survive(damaged, name) in ("refused", "read")


@each_sample
def test_identification_survives_damage(sample: Sample) -> None:
    @settings(fuzzed, max_examples=5)
    @given(steps=steps)
    def survives(steps: list[Step]) -> None:
        damaged = damage(sample, steps)
        with watchdog(mutations.SLACK_S):
            assert identify(damaged.content()).kind

    survives()


def test_the_watchdog_ends_what_hangs() -> None:
    with pytest.raises(mutations.TooSlowError, match="processor time"):
        _hang()


def _hang() -> None:
    with watchdog(0.05):
        while True:
            pass


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_damage_changes_the_bytes_and_survives_the_edges(kind: Kind) -> None:
    data = b"12 abcdefgh 345 ijklmnop" * 8
    found = [
        apply(data, Step(kind=kind, at=at, other=77, length=length, value=3))
        for at in (0, 1, 100, len(data) - 1)
        for length in (0, 1, 3, 6, 1 << 31)
    ]
    assert any(each != data for each in found)
    assert apply(b"", Step(kind=kind, at=5, other=5, length=5, value=5)) == b""

"""Steps that were planted are found, and noise has none."""

import numpy as np
import pytest

from gaugenn.analysis.change_points import change_points
from gaugenn.errors import UsageError


def history(
    levels: list[float], seed: int, launches: int = 5, noise: float = 0.03
) -> list[list[float]]:
    random = np.random.default_rng(seed)
    return [(level * random.lognormal(0, noise, launches)).tolist() for level in levels]


def test_a_planted_step_is_found_where_it_is() -> None:
    found = [change_points(history([1.0] * 12 + [1.06] * 8, seed)) for seed in range(200)]
    hits = [steps for steps in found if len(steps) == 1 and abs(steps[0].position - 12) <= 1]
    assert len(hits) >= 190
    assert np.mean([steps[0].ratio for steps in hits]) == pytest.approx(1.06, abs=0.01)
    assert {steps[0].before + steps[0].after for steps in hits} == {20}


def test_two_steps_and_their_directions_are_found() -> None:
    (up, down) = change_points(history([1.0] * 8 + [1.2] * 8 + [0.9] * 8, 1))
    assert (up.position, down.position) == (8, 16)
    assert up.ratio == pytest.approx(1.2, rel=0.03)
    assert down.ratio == pytest.approx(0.75, rel=0.03)
    assert (up.after, down.before) == (8, 8)


@pytest.mark.parametrize("launches", [1, 5])
def test_noise_has_no_steps(launches: int) -> None:
    alarms = sum(bool(change_points(history([1.0] * 20, s, launches))) for s in range(300))
    assert alarms <= 15


def test_a_release_that_is_off_by_its_build_alone_is_noise_too() -> None:
    random = np.random.default_rng(3)
    levels = random.lognormal(0, 0.03, 20).tolist()
    assert change_points(history(levels, 3, noise=0.003)) == ()


def test_a_change_too_small_to_matter_is_no_step() -> None:
    exact = [[1.0] * 3] * 5 + [[1.01] * 3] * 5
    assert change_points(exact) == ()
    assert [step.position for step in change_points(exact, threshold=0.005)] == [5]


def test_units_do_not_matter() -> None:
    seconds = history([1.0] * 5 + [1.3] * 5, 2)
    milliseconds = [[1000 * value for value in medians] for medians in seconds]
    assert [s.position for s in change_points(seconds)] == [
        s.position for s in change_points(milliseconds)
    ]


def test_short_series_have_no_steps_and_bad_ones_are_refused() -> None:
    assert change_points([]) == ()
    assert change_points([[1.0]]) == ()
    with pytest.raises(UsageError, match="no sample"):
        change_points([[1.0], []])
    with pytest.raises(UsageError, match="positive"):
        change_points([[1.0], [-1.0]])
    with pytest.raises(UsageError, match="negative"):
        change_points([[1.0], [1.0]], penalty=-1)

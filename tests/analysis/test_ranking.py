"""Ways to run a model in order: told apart, tied, or undecided; and orders on two devices."""

from dataclasses import replace

import pytest

from gaugenn.analysis.changes import Kind, Measured, changes, effects
from gaugenn.analysis.library_choice import Measurement, selectors
from gaugenn.analysis.power_law import fit_power_law
from gaugenn.analysis.ranking import Launches, mean_interval, rank, stability
from gaugenn.analysis.recommendation import recommend
from gaugenn.errors import UsageError


def launches(*medians: float, turn: int = 0) -> Launches:
    """One launch an hour; `turn` is the place within the hour."""
    return {
        block: (f"2026-01-01T{block:02d}:{turn:02d}:00+00:00", median)
        for block, median in enumerate(medians)
    }


def test_a_way_that_is_slower_in_every_block_is_told_from_the_fastest() -> None:
    found = rank(
        {
            "slow": launches(1.2, 1.32, 1.08, turn=1),
            "fast": launches(1.0, 1.1, 0.9, turn=0),
            "noisy": launches(0.9, 1.1, 1.01, turn=2),
        }
    )
    assert [place.name for place in found.places] == ["fast", "noisy", "slow"]
    assert [place.ties for place in found.places] == [False, True, False]
    assert found.winner is None
    assert found.next_best is not None
    assert found.next_best.ratio == pytest.approx(1.2)
    assert [place.name for place in found.tied] == ["noisy"]


def test_two_launches_decide_nothing() -> None:
    found = rank({"a": launches(1.0, 1.0), "b": launches(9.0, 9.0, turn=1)})
    assert found.best.name == "a"
    assert found.winner is None
    assert found.next_best is None
    assert [place.undecided for place in found.places] == [False, True]


def test_a_single_way_wins() -> None:
    assert rank({"a": launches(1.0)}).winner == "a"


@pytest.mark.parametrize("ways", [{}, {"a": {}}])
def test_no_way_and_no_launch_are_refused(ways: dict[str, Launches]) -> None:
    with pytest.raises(UsageError, match="each with a launch"):
        rank(ways)


def test_orders_are_compared_model_by_model() -> None:
    first = {"m": {"a": 1.0, "b": 2.0, "c": 3.0}, "n": {"a": 1.0, "b": 2.0}, "o": {"a": 1.0}}
    second = {"m": {"a": 3.0, "b": 2.0, "c": 1.0}, "n": {"a": 1.0, "b": 2.0}, "o": {"a": 1.0}}
    found = stability(first, second)
    assert found is not None
    assert (found.tau, found.models, found.same_best) == (0.0, 2, 1)
    assert (found.low, found.high) == (None, None)
    assert stability({"m": {"a": 1.0}}, {"m": {"b": 1.0}}) is None


def test_an_interval_of_a_mean_stays_within_what_values_can_be() -> None:
    low, high = mean_interval([1.0, 1.0, -1.0], (-1.0, 1.0))
    assert (low, high) == (-1.0, 1.0)
    assert mean_interval([1.0, 2.0]) == (None, None)


def test_a_power_law_is_found_and_needs_points_that_differ() -> None:
    x = [1.0, 10.0, 100.0, 1000.0, 10_000.0]
    found = fit_power_law(x, [2.0 * v**0.5 for v in x])
    assert found is not None
    assert (found.factor, found.exponent) == (pytest.approx(2.0), pytest.approx(0.5))
    assert (found.r_squared, found.spread) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.at(25.0) == pytest.approx(10.0)
    assert fit_power_law(x[:3], x[:3]) is None
    assert fit_power_law([2.0] * 5, x) is None
    with pytest.raises(UsageError, match="above 0"):
        fit_power_law([0.0, *x], [1.0, *x])
    with pytest.raises(UsageError, match="one each"):
        fit_power_law(x, x[1:])


USUAL = Measured(
    job_sha256="a",
    network="net",
    weights="net fp32",
    scheme="fp32",
    format="tflite",
    engine="litert",
    version="2.3.0",
    device="host",
    processor="cpu",
    precision="as-stored",
    observed="float32",
    threads=1,
    affinity="",
    batch=1,
    rest="",
    launches=launches(1.0, 1.0, 1.0),
)


def test_only_what_differs_in_one_thing_makes_a_pair() -> None:
    other = replace(USUAL, job_sha256="b", engine="ncnn", version="1", format="ncnn")
    both = replace(other, job_sha256="c", threads=2)
    assert [c.kind for c in changes([USUAL, other, both])] == [Kind.LIBRARY, Kind.THREADS]
    assert changes([USUAL, both]) == []


def test_libraries_that_compute_in_another_precision_or_older_releases_are_no_pair() -> None:
    half = replace(USUAL, job_sha256="b", engine="ncnn", version="1", observed="float16")
    assert changes([USUAL, half]) == []
    untold = replace(half, observed="")
    assert [c.kind for c in changes([USUAL, untold])] == [Kind.LIBRARY]
    newer = replace(untold, job_sha256="c", version="2")
    found = changes([USUAL, untold, newer])
    assert sorted((c.kind, c.before, c.after) for c in found) == [
        (Kind.LIBRARY, "litert", "ncnn"),
        (Kind.RELEASE, "1", "2"),
    ]


def test_pinned_threads_are_not_compared_with_free_ones_on_another_device() -> None:
    away = replace(USUAL, job_sha256="b", device="adb:X", affinity="0")
    assert changes([USUAL, away]) == []
    assert [c.kind for c in changes([replace(USUAL, affinity="3"), away])] == [Kind.DEVICE]


def test_an_effect_is_over_networks_not_over_pairs() -> None:
    made = []
    for place, (network, factor) in enumerate([("m", 4.0), ("n", 1.0), ("n2", 1.0)]):
        one = replace(USUAL, network=network, weights=network, job_sha256=f"a{place}")
        two = replace(
            one, job_sha256=f"b{place}", processor="gpu", launches=launches(factor, factor)
        )
        made += [one, two]
    (found,) = effects(changes(made))
    assert (found.kind, found.networks, found.pairs) == (Kind.PROCESSOR, 3, 3)
    assert found.factor == pytest.approx(4 ** (1 / 3))
    assert found.low == 1.0, "a factor is never below 1"
    assert found.largest == pytest.approx(4.0)


def test_batches_and_other_shapes_are_not_recommended_with_the_rest() -> None:
    batch = replace(USUAL, job_sha256="b", batch=8)
    shaped = replace(USUAL, job_sha256="c", rest="input 1x9")
    slow = replace(USUAL, job_sha256="d", engine="ncnn", launches=launches(2.0, 2.0, 2.0, turn=1))
    (found,) = recommend([USUAL, batch, shaped, slow])
    assert [way.experiment.job_sha256 for way in found.ways] == ["a", "d"]
    assert found.ways[1].given_up == pytest.approx((0.5, 0.5, 0.5))
    assert (found.best.experiment.job_sha256, found.ties) == ("a", ())
    assert found.slower == found.ways[1:]


def test_a_choice_is_judged_only_where_every_library_ran() -> None:
    def cell(network: str, library: str, measured: float, predicted: float) -> Measurement:
        return Measurement(
            device="host",
            threads=1,
            network=network,
            library=library,
            measured=measured,
            predicted=predicted,
        )

    found = selectors(
        [
            cell("m", "a", 1.0, 1.0),
            cell("m", "b", 2.0, 3.0),
            cell("n", "a", 4.0, 1.0),
            cell("n", "b", 1.0, 2.0),
            cell("o", "a", 1.0, 1.0),
        ]
    )
    judged = {s.name: (s.right, s.networks, s.cost.value) for s in found}
    assert judged == {
        "by prediction": (1, 2, pytest.approx(2.0)),
        "always a": (1, 2, pytest.approx(2.0)),
        "always b": (1, 2, pytest.approx(2**0.5)),
    }
    assert found[0].name == "always b", "the least costly first"

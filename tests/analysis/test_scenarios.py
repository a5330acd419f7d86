"""Published counts come out, and a file that is no scenario is refused with its place."""

from pathlib import Path

import pytest

from gaugenn.analysis.energy import Quantity
from gaugenn.analysis.scenarios import (
    Battery,
    Scenario,
    discharge,
    scenarios,
    sound_length_s,
)
from gaugenn.errors import UsageError

BATTERY = Battery(capacity_mah=4000, volts=3.85)


def named(name: str) -> Scenario:
    return {s.name: s for s in scenarios()}[name]


@pytest.mark.parametrize(
    ("name", "input_length_s", "count"),
    [
        ("video-segmentation", None, 54_000),
        ("typing", None, 275),
        ("sound-recognition", 0.975, 3693),
        ("sound-recognition", None, None),
        ("camera-preview", None, 18_000),
        ("always-on-keyword", None, 864_000),
        ("photo-library", None, 10_000),
    ],
)
def test_each_scenario_has_its_number_of_inferences(
    name: str, input_length_s: float | None, count: int | None
) -> None:
    assert named(name).count(input_length_s) == count


def test_an_hour_of_segmentation_takes_the_published_share() -> None:
    found = discharge(
        named("video-segmentation"),
        BATTERY,
        latency_s=Quantity(value=0.05, low=0.04, high=0.06),
        inference_j=Quantity(value=0.27, low=0.24, high=0.30),
        net_inference_j=Quantity(value=0.135),
    )
    assert found is not None
    assert found.charge_mah is not None
    assert found.share is not None
    assert found.charge_mah.value == pytest.approx(1051.9, abs=0.1)
    assert found.share.value == pytest.approx(0.263, abs=5e-4)
    assert (found.share.low, found.share.high) == pytest.approx((0.2338, 0.2922), abs=1e-3)
    assert found.net_charge_mah == Quantity(value=pytest.approx(525.97, abs=0.1))
    assert found.real_time is True


@pytest.mark.parametrize(
    ("name", "latency", "length", "real_time"),
    [
        ("video-segmentation", Quantity(value=0.06, low=0.05, high=0.07), None, False),
        ("video-segmentation", Quantity(value=0.06), None, True),
        ("sound-recognition", Quantity(value=1.0), 0.975, False),
        ("typing", Quantity(value=400.0), None, False),
        ("photo-library", Quantity(value=400.0), None, None),
    ],
)
def test_what_a_device_cannot_keep_up_with_is_said(
    name: str, latency: Quantity, length: float | None, real_time: bool | None
) -> None:
    found = discharge(named(name), BATTERY, latency_s=latency, input_length_s=length)
    assert found is not None
    assert found.real_time is real_time
    assert found.charge_mah is None


def test_without_the_length_of_an_input_there_is_no_count() -> None:
    assert discharge(named("sound-recognition"), BATTERY, latency_s=Quantity(value=1.0)) is None


@pytest.mark.parametrize(
    ("shape", "length_s"),
    [
        ((1, 15_600), 0.975),
        ((16_000,), 1.0),
        ((1, 96, 64), None),
        ((1, 224), None),
        (None, None),
        ((), None),
    ],
)
def test_the_length_of_sound_follows_from_one_long_dimension(
    shape: tuple[int, ...] | None, length_s: float | None
) -> None:
    assert sound_length_s(shape) == length_s


def test_a_users_file_adds_a_scenario_or_takes_the_place_of_ours(tmp_path: Path) -> None:
    for name in ("typing", "lidar"):
        (tmp_path / f"{name}.toml").write_text(
            'title = "x"\nsource = "me"\nduration_s = 10\nrate_per_s = 2.5\n'
        )
    found = {s.name: s for s in scenarios([tmp_path / "typing.toml", tmp_path / "lidar.toml"])}
    assert found["lidar"].count() == found["typing"].count() == 25
    assert len(found) == len(scenarios()) + 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title = ", "Invalid value"),
        ('title = "x"\nsource = "y"\ncolour = 1', "no key colour"),
        ('title = 1\nsource = "y"', "expected title and source"),
        ('title = "x"\nsource = "y"\ntasks = ["z"]\ninferences = 1', "'z' is not a valid Task"),
        ('title = "x"\nsource = "y"', "expected inferences, or duration_s"),
        ('title = "x"\nsource = "y"\nrate_per_s = 3', "expected inferences, or duration_s"),
        ('title = "x"\nsource = "y"\ninferences = 3\nrate_per_s = 3', "expected inferences, or"),
        ('title = "x"\nsource = "y"\ninferences = -3', "expected a number above 0"),
        ('title = "x"\nsource = "y"\ninferences = 2.5', "whole number"),
        ('title = "x"\nsource = "y"\nduration_s = 1\ninput_covers = "all"', "expected .time."),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=complaint) as error:
        scenarios([path])
    assert str(path) in str(error.value)


def test_a_battery_needs_capacity_and_voltage() -> None:
    with pytest.raises(UsageError, match="expected both above 0"):
        Battery(capacity_mah=4000, volts=0)

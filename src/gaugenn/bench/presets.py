"""How long things are measured: a table of presets, and settings made from one.

Orders of size follow MLPerf Mobile, whose count, seconds and limit are 1024/60/600 (normal), 128/10/60
(quick) and 64/6/60 (rapid). Source: https://github.com/mlcommons/mobile_app_open
"""

from dataclasses import dataclass

from gaugenn.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How long a job is measured; fields as in `records.Job` and `records.JobRecord`.

    Attributes:
        purpose: what it is for, one phrase.
        launches: fresh processes; where a precision is asked for, at least so many.
    """

    purpose: str
    launches: int
    warmup_minimum_count: int
    warmup_minimum_s: float
    warmup_maximum_s: float
    steady_minimum_count: int
    steady_minimum_s: float
    steady_maximum_s: float
    maximum_samples: int
    launch_maximum_s: float


DEFAULT_PRESET = "survey"
PRESETS: dict[str, Preset] = {
    "smoke": Preset(
        purpose="does it run at all?",
        launches=1,
        warmup_minimum_count=1,
        warmup_minimum_s=0.0,
        warmup_maximum_s=0.0,
        steady_minimum_count=3,
        steady_minimum_s=0.0,
        steady_maximum_s=10.0,
        maximum_samples=20_000,
        launch_maximum_s=60.0,
    ),
    "survey": Preset(
        purpose="very many models, a first number for each",
        launches=5,
        warmup_minimum_count=3,
        warmup_minimum_s=0.1,
        warmup_maximum_s=1.0,
        steady_minimum_count=20,
        steady_minimum_s=0.3,
        steady_maximum_s=60.0,
        maximum_samples=20_000,
        launch_maximum_s=60.0,
    ),
    "compare": Preset(
        purpose="which of these is faster?",
        launches=5,
        warmup_minimum_count=3,
        warmup_minimum_s=0.1,
        warmup_maximum_s=10.0,
        steady_minimum_count=50,
        steady_minimum_s=10.0,
        steady_maximum_s=60.0,
        maximum_samples=200_000,
        launch_maximum_s=180.0,
    ),
    "publish": Preset(
        purpose="a number to be cited",
        launches=8,
        warmup_minimum_count=3,
        warmup_minimum_s=0.1,
        warmup_maximum_s=10.0,
        steady_minimum_count=1024,
        steady_minimum_s=60.0,
        steady_maximum_s=600.0,
        maximum_samples=1_000_000,
        launch_maximum_s=900.0,
    ),
    "sustained": Preset(
        purpose="how far does it slow down when it gets hot?",
        launches=1,
        # What warms up would throttle: the curve begins with the first inferences.
        warmup_minimum_count=1,
        warmup_minimum_s=0.0,
        warmup_maximum_s=0.0,
        steady_minimum_count=1,
        steady_minimum_s=600.0,
        steady_maximum_s=660.0,
        maximum_samples=1_000_000,
        launch_maximum_s=900.0,
    ),
}


def preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]

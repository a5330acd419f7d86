"""What models take out of a battery: `scenarios`."""

from collections.abc import Sequence
from pathlib import Path

from gaugenn.analysis.scenarios import DEFAULT_BATTERY, Battery
from gaugenn.analysis.scenarios import scenarios as known_scenarios
from gaugenn.api._study import PathLike
from gaugenn.pipeline.scenarios import ScenarioRow, scenario_rows
from gaugenn.store import Study


def scenarios(
    folder: PathLike,
    *,
    battery: Battery = DEFAULT_BATTERY,
    files: Sequence[PathLike] = (),
    every: bool = False,
    input_length_s: float | None = None,
) -> list[ScenarioRow]:
    """What every measured model takes out of a battery in the scenarios that are meant for it.

    Args:
        folder: the study.
        battery: what is drained.
        files: more scenarios, in TOML; see docs/energy.md.
        every: also scenarios that are not meant for a model's task.
        input_length_s: time that one input of sound covers, where its shape does not say.

    Raises:
        StoreError: the folder is no study.
        UsageError: a file is no scenario.
    """
    known = known_scenarios([Path(file) for file in files])
    return scenario_rows(
        Study(Path(folder)), known, battery, every=every, input_length_s=input_length_s
    )

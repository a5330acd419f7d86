"""Use cases as data: what an hour, a day or a library of photos takes out of a battery.

A scenario is a TOML file, its name is the scenario's name. `gaugenn scenarios --scenario FILE` takes
more of them. Keys: `title`, `source`, `tasks` (of models that it is meant for), `duration_s`, and one
of `inferences`, `rate_per_s` and `input_covers = "time"`; the first may have no duration.

Source: https://arxiv.org/abs/2109.13963 (three of the scenarios, and how discharge is counted)
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from gaugenn.analysis.energy import Quantity, charge_mah, scaled
from gaugenn.analysis.statistics import estimate
from gaugenn.errors import UsageError
from gaugenn.records import Modality, Task

SAMPLE_RATE_HZ = 16_000
"""Of sound, where a model does not say: what speech models and YAMNet take.

Source: https://www.tensorflow.org/hub/tutorials/yamnet
"""
SHORTEST_SOUND = 400
"""Samples of an input that can be sound: 25 ms."""
MAXIMUM_FILE_BYTES = 64 << 10
_KEYS = {"title", "source", "tasks", "duration_s", "inferences", "rate_per_s", "input_covers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A use case.

    Attributes:
        name: of its file.
        title: what it is, in a line.
        source: where it comes from.
        tasks: of the models that it is meant for.
        duration_s: how long it lasts; None where it is over when the work is done.
        inferences: how many there are; None where they follow from the duration.
        rate_per_s: how many are due in a second; None where none are due at a rate.
        input_covers_time: one input follows the other without a gap or overlap.
    """

    name: str
    title: str
    source: str
    tasks: tuple[Task, ...]
    duration_s: float | None = None
    inferences: int | None = None
    rate_per_s: float | None = None
    input_covers_time: bool = False

    def count(self, input_length_s: float | None = None) -> int | None:
        """Inferences; None where they follow from the length of an input that is not known.

        Args:
            input_length_s: time that one input of the model covers.
        """
        if self.inferences is not None:
            return self.inferences
        duration_s = self.duration_s or 0.0
        if self.rate_per_s is not None:
            return math.ceil(duration_s * self.rate_per_s - 1e-9)
        if input_length_s is None or not input_length_s > 0:
            return None
        return math.ceil(duration_s / input_length_s - 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A device's battery.

    Attributes:
        capacity_mah: when it is full.
        volts: nominal; a charge says nothing without it.
    """

    capacity_mah: float
    volts: float

    def __post_init__(self) -> None:
        """Refuses what is no battery.

        Raises:
            UsageError: a capacity or voltage that is not positive and finite.
        """
        if not (0 < self.capacity_mah < math.inf and 0 < self.volts < math.inf):
            raise UsageError(
                f"a battery of {self.capacity_mah} mAh at {self.volts} V; expected both above 0"
            )


DEFAULT_BATTERY = Battery(capacity_mah=4000, volts=3.85)
"""The capacity that the published scenarios are told for, and a usual nominal voltage of a cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discharge:
    """What a scenario takes.

    Attributes:
        scenario: which.
        inferences: how many.
        charge_mah: all that the device draws during inferences; None where energy was not measured.
        share: of the battery; may be more than 1.
        net_charge_mah: what is above idle; None where that was not told.
        busy_s: time in inferences.
        real_time: whether inferences are fast enough, going by the upper end of the latency's
            interval; None where nothing is due at a time.
    """

    scenario: Scenario
    inferences: int
    charge_mah: Quantity | None
    share: Quantity | None
    net_charge_mah: Quantity | None
    busy_s: float
    real_time: bool | None


def discharge(
    scenario: Scenario,
    battery: Battery,
    *,
    latency_s: Quantity,
    inference_j: Quantity | None = None,
    net_inference_j: Quantity | None = None,
    input_length_s: float | None = None,
) -> Discharge | None:
    """What a model takes out of a battery in a scenario.

    Args:
        scenario: the use case.
        battery: of the device.
        latency_s: of one inference.
        inference_j: energy of one inference, all that the device draws.
        net_inference_j: the same above idle.
        input_length_s: time that one input covers.

    Returns:
        None where the number of inferences is not known.
    """
    count = scenario.count(input_length_s)
    if count is None:
        return None
    slowest_s = latency_s.value if latency_s.high is None else latency_s.high
    real_time: bool | None = None
    if scenario.rate_per_s is not None:
        real_time = slowest_s <= 1 / scenario.rate_per_s
    elif scenario.input_covers_time and input_length_s is not None:
        real_time = slowest_s <= input_length_s
    elif scenario.duration_s is not None:
        real_time = slowest_s * count <= scenario.duration_s
    factor = charge_mah(count, battery.volts)
    gross = None if inference_j is None else scaled(inference_j, factor)
    return Discharge(
        scenario=scenario,
        inferences=count,
        charge_mah=gross,
        share=None if gross is None else scaled(gross, 1 / battery.capacity_mah),
        net_charge_mah=None if net_inference_j is None else scaled(net_inference_j, factor),
        busy_s=latency_s.value * count,
        real_time=real_time,
    )


def sound_length_s(
    shape: Sequence[int] | None, sample_rate_hz: float = SAMPLE_RATE_HZ
) -> float | None:
    """Time that an input of sound covers: one long dimension, all others 1.

    A spectrogram's shape does not say how far its frames are apart, so it has no length here.
    """
    if not shape:
        return None
    longest = max(shape)
    if longest < SHORTEST_SOUND or math.prod(shape) != longest:
        return None
    return longest / sample_rate_hz


def input_length_s(
    modality: Modality, shapes: Sequence[Sequence[str] | None], asked_s: float | None = None
) -> float | None:
    """Time that one input of a model covers; None for models of other things than sound.

    Args:
        modality: of the model.
        shapes: of its inputs, sizes as text, since a dynamic one is a symbol.
        asked_s: what the user says it is.
    """
    if asked_s is not None or modality is not Modality.AUDIO:
        return asked_s
    for shape in shapes:
        if shape is not None and all(size.isdecimal() for size in shape):
            found = sound_length_s([int(size) for size in shape])
            if found is not None:
                return found
    return None


def over_launches(values: Sequence[float]) -> Quantity:
    """One value a launch as a quantity with its interval over launches.

    Raises:
        UsageError: no value, or one that is no positive number.
    """
    found = estimate(values)
    return Quantity(value=found.value, low=found.low, high=found.high)


def scenarios(files: Sequence[Path] = ()) -> tuple[Scenario, ...]:
    """Our own scenarios and a user's; one of the same name takes the place of ours.

    Raises:
        UsageError: a file cannot be read or is no scenario; where, and what is wrong.
    """
    found: dict[str, Scenario] = {}
    for entry in resources.files("gaugenn.analysis.scenarios").iterdir():
        if entry.name.endswith(".toml"):
            name = entry.name.removesuffix(".toml")
            found[name] = _scenario(name, entry.read_text("utf-8"), entry.name)
    for path in files:
        try:
            with path.open("rb") as file:
                data = file.read(MAXIMUM_FILE_BYTES + 1)
            text = data.decode("utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is no text in UTF-8") from error
        if len(data) > MAXIMUM_FILE_BYTES:
            raise UsageError(f"{path} is larger than {MAXIMUM_FILE_BYTES} bytes")
        found[path.stem] = _scenario(path.stem, text, str(path))
    return tuple(found[name] for name in sorted(found))


def _scenario(name: str, text: str, where: str) -> Scenario:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: {error}") from error
    odd = sorted(table.keys() - _KEYS)
    if odd:
        raise UsageError(f"{where}: no key {', '.join(odd)}; there are: {', '.join(sorted(_KEYS))}")
    title, source, tasks = table.get("title"), table.get("source"), table.get("tasks", [])
    if not isinstance(title, str) or not isinstance(source, str) or not isinstance(tasks, list):
        raise UsageError(f"{where}: expected title and source as text and tasks as a list")
    try:
        meant = tuple(Task(task) for task in tasks)
    except ValueError as error:
        raise UsageError(f"{where}: {error}; there are: {', '.join(Task)}") from error
    covers = table.get("input_covers")
    if covers not in (None, "time"):
        raise UsageError(f'{where}: input_covers is {covers!r}; expected "time"')
    inferences = _positive(table, "inferences", where)
    rate_per_s, duration_s = (_positive(table, k, where) for k in ("rate_per_s", "duration_s"))
    ways = [inferences is not None, rate_per_s is not None, covers is not None]
    if sum(ways) != 1 or (inferences is None and duration_s is None):
        raise UsageError(
            f"{where}: expected inferences, or duration_s with rate_per_s or input_covers"
        )
    if inferences is not None and inferences != int(inferences):
        raise UsageError(f"{where}: {inferences} inferences; expected a whole number")
    return Scenario(
        name=name,
        title=title,
        source=source,
        tasks=meant,
        duration_s=duration_s,
        inferences=None if inferences is None else int(inferences),
        rate_per_s=rate_per_s,
        input_covers_time=covers is not None,
    )


def _positive(table: dict[str, object], key: str, where: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
        raise UsageError(f"{where}: {key} is {value!r}; expected a number above 0")
    return float(value)

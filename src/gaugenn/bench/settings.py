"""What a user asks to be measured: experiments, how often, and how precisely."""

import fnmatch
import re
from dataclasses import dataclass, replace

from gaugenn.analysis.thermal_gate import MARGIN_C, ThermalRule
from gaugenn.bench.presets import DEFAULT_PRESET, Preset, preset
from gaugenn.devices._around import Around
from gaugenn.devices._settings import State
from gaugenn.devices._usb import usb_power
from gaugenn.errors import UsageError
from gaugenn.records import InputShape, ModelRecord, PageCache, Precision, Processor

SAMPLE_EVERY_S = 1.0
"""Period of the sampler where nothing else is asked for."""
_DIGEST = re.compile(r"[0-9a-f]{6,64}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|min|h)")
_DURATION_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*(s|min)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Models x engines x devices x settings. Sequences are multiplied with each other.

    Attributes:
        models: names (`*` and `?` stand for others) or the first characters of digests; none for all.
        engines: `litert` or `litert==2.3.0`; none for every engine that is used by default.
        devices: names.
        processors: what computes.
        precisions: what it computes with.
        threads: `4`, or `4a2` for four threads on the two biggest cores.
        batches: inputs in one inference.
        input_shapes: sizes for inputs of these names, batch first, in every model that leaves some
            size of such an input open.
        preset: how long it is measured; a name out of `presets.PRESETS`.
        page_cache: whether a launch finds the model's files in memory.
        rate_per_s: inferences are due at this rate; None for back to back.
        sustain_s: length of the steady phase; None for the preset's. It takes the preset `sustained`
            where the default one is not changed.
        beside: what runs beside it, `MODEL` or `MODEL@ENGINE[==VERSION]`; "" for nothing.
        launch_limit_s: when a launch is cut off; None for the preset's.
    """

    models: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("host",)
    processors: tuple[Processor, ...] = (Processor.CPU,)
    precisions: tuple[Precision, ...] = (Precision.AS_STORED,)
    threads: tuple[str, ...] = ("1",)
    batches: tuple[int, ...] = (1,)
    input_shapes: tuple[InputShape, ...] = ()
    preset: str = DEFAULT_PRESET
    page_cache: PageCache = PageCache.WARM
    rate_per_s: float | None = None
    sustain_s: float | None = None
    beside: str = ""
    launch_limit_s: float | None = None

    def durations(self) -> Preset:
        """How long it is measured.

        Raises:
            UsageError: no such preset, or a time out of range.
        """
        sustained = self.sustain_s is not None and self.preset == DEFAULT_PRESET
        found = preset("sustained" if sustained else self.preset)
        for name, value in (("sustain", self.sustain_s), ("launch limit", self.launch_limit_s)):
            if value is not None and not 0 < value <= MAXIMUM_S:
                raise UsageError(f"a {name} of {value} s; expected more than 0 and at most a week")
        if self.rate_per_s is not None and not 0 < self.rate_per_s <= MAXIMUM_RATE_PER_S:
            raise UsageError(
                f"a rate of {self.rate_per_s}/s; expected up to {MAXIMUM_RATE_PER_S}/s"
            )
        return found


MAXIMUM_S = 7 * 86400.0
MAXIMUM_RATE_PER_S = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings(Experiment):
    """A campaign: one experiment, whose fields are its own, or those of a plan file.

    Attributes:
        launches: fresh processes for each job, a fixed count; None for the preset's.
        precision: launching goes on until half the interval of the median is no wider than this share
            of it (0.02: 2 %); None for a fixed count.
        launches_minimum: with a precision, launches at least; None for the preset's, and 8 or more.
        launches_maximum: with a precision, launches at most.
        budget_s: time in launches after which no further block begins.
        control: run a fixed computation in every block, to show how the device drifts.
        seed: of the order of launches and of the inputs.
        prepare: what is set on phones and boards for the campaign, and set back after it.
        untethered: how the power of a phone's USB port is switched, so that launches run without it,
            as `uhubctl:1-1:2`; "" for tethered launches. See `devices._usb.usb_power`.
        sample_every_s: how often temperatures, frequencies, memory and processor time are read on the
            device during a launch; 0 for never.
        thermal_gate_s: how long a launch waits at most until the device is as cool as when the
            campaign began; None for no wait.
        thermal_margin_c: above that temperature, that counts as back to it.
        thermal_limit_c: no launch begins with a sensor above it, and one that runs is ended; None for
            the rule's own where there is a gate.
        experiments: those of a plan; where there are any, this one's own fields are not used.
    """

    launches: int | None = None
    precision: float | None = None
    launches_minimum: int | None = None
    launches_maximum: int | None = None
    budget_s: float | None = None
    control: bool = False
    seed: int = 0
    prepare: State = State.QUIET
    untethered: str = ""
    sample_every_s: float = SAMPLE_EVERY_S
    thermal_gate_s: float | None = None
    thermal_margin_c: float = MARGIN_C
    thermal_limit_c: float | None = None
    experiments: tuple[Experiment, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what contradicts itself.

        Raises:
            UsageError: what, and what to do.
        """
        if self.precision is not None and not 0 < self.precision < 1:
            raise UsageError(f"a precision of {self.precision:%}; expected above 0 and below 100 %")
        if self.precision is not None and self.launches is not None:
            raise UsageError(
                "a fixed number of launches and a precision were both given; with a precision, give "
                "a minimum and a maximum"
            )
        if self.precision is None and (self.launches_minimum or self.launches_maximum):
            raise UsageError("a minimum or maximum of launches needs a precision")
        if self.budget_s is not None and not self.budget_s > 0:
            raise UsageError(f"a budget of {self.budget_s} s; expected a time above 0")
        if self.untethered:
            usb_power(self.untethered)
        Around(sample_every_s=self.sample_every_s)
        if self.thermal_gate_s is None and self.thermal_limit_c is not None:
            raise UsageError("a thermal limit needs the thermal gate: how long may a launch wait?")
        if self.thermal_gate_s is not None and not 0 < self.thermal_gate_s <= MAXIMUM_S:
            raise UsageError(
                f"a thermal gate of {self.thermal_gate_s} s; expected above 0 and at most a week"
            )
        self.thermal_rule()
        low, high = self.launches_minimum, self.launches_maximum
        if low is not None and high is not None and low > high:
            raise UsageError(f"at least {low} and at most {high} launches: the minimum is above it")

    def thermal_rule(self) -> ThermalRule | None:
        """When launches may begin; None for at once.

        Raises:
            UsageError: a margin or limit that is not above 0.
        """
        if self.thermal_gate_s is None:
            return None
        rule = ThermalRule(patience_s=self.thermal_gate_s, margin_c=self.thermal_margin_c)
        if self.thermal_limit_c is not None:
            rule = replace(rule, kill_c=self.thermal_limit_c)
        Around(limit_c=rule.kill_c)
        return rule

    def around(self) -> Around:
        """What is done on a device around each launch, as far as the settings go."""
        rule = self.thermal_rule()
        limit_c = rule.kill_c if rule is not None and self.sample_every_s else None
        return Around(sample_every_s=self.sample_every_s, limit_c=limit_c)

    def asked(self) -> tuple[Experiment, ...]:
        """The experiments."""
        return self.experiments or (self,)

    def engine_names(self) -> tuple[str, ...]:
        """Every engine that some experiment names, in order; none where none is named."""
        return tuple(dict.fromkeys(name for e in self.asked() for name in e.engines))


def selects(patterns: tuple[str, ...], model: ModelRecord, name: str) -> bool:
    """Whether a model is one of those that are asked for by name or digest."""
    return not patterns or any(
        fnmatch.fnmatchcase(name, pattern)
        or (_DIGEST.fullmatch(pattern) is not None and model.model_sha256.startswith(pattern))
        for pattern in patterns
    )


def parse_duration_s(text: str) -> float:
    """Reads `250ms`, `20s`, `20m` or `1.5h`.

    Raises:
        UsageError: it is none.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no time; give a number and ms, s, m or h, like 20m")
    return float(found.group(1)) * _DURATION_S[found.group(2)]


def parse_share(text: str) -> float:
    """Reads `2%` as 0.02.

    Raises:
        UsageError: it is no percentage.
    """
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no percentage; write it like 2%")
    return float(found.group(1)) / 100


def parse_rate_per_s(text: str) -> float:
    """Reads `15/s` or `30/min`.

    Raises:
        UsageError: it is no rate.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no rate; write it like 15/s")
    return float(found.group(1)) / _DURATION_S[found.group(2)]

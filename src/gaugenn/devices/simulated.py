"""A machine that does not exist: its speed is known, its time is virtual, its troubles are ordered.

Nothing waits: a launch of a minute takes about a millisecond. What a launch measures is, on the
logarithm, the sum of what real devices show:

- a level that differs between launches more than inside one (memory layout, placement on cores);
- inferences that resemble their neighbours (an autoregressive process), with outliers above;
- a warm-up: first inferences are slower and become flat;
- drift over the hours, and a slow wandering that launches close in time share;
- heat: the die warms while it computes; above a limit its clock is lowered, and it says so;
- two modes, inside a launch or between launches;
- another program that comes and goes on one core;
- launches that crash, hang, print half an answer, or lose the link.

A device is named `simulated`, or with what shall differ from the defaults: `simulated:throttle=0.3`,
`simulated:launch_variation=0.05,crash=0.1`; the names are the fields of `Conditions`.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from gaugenn import __version__
from gaugenn.devices import Device, Output, working_name
from gaugenn.errors import DeviceError, UsageError
from gaugenn.records import Environment, Reading, digest

CORES = 8
FREQUENCY_HZ = 2_800_000_000
AMBIENT_C = 25.0
HEATED_C = 75.0
"""Where the die's temperature ends when one core computes without pause."""
LIMIT_C = 60.0
"""Above it the clock is lowered, until the die has cooled by `HYSTERESIS_C`."""
HYSTERESIS_C = 5.0
LOAD_AVERAGE_S = 60.0
"""Time constant of the load average, as Linux computes that of one minute.

Source: https://docs.kernel.org/filesystems/proc.html
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the machine is like. Shares are 0 to 1; variations are standard deviations of logarithms.

    Attributes:
        launch_variation: between launches.
        sample_variation: inside a launch.
        autocorrelation: of neighbouring inferences.
        outliers: share of inferences that something disturbs.
        outlier_excess: mean of what a disturbance adds, over the latency.
        cold_excess: what the first inference takes beyond a warm one, over the latency.
        cold_inferences: inferences after which a third of that is left.
        drift_per_hour: relative change of every latency in an hour.
        wander: of the latency between moments a minute apart; it wanders on.
        throttle: share of the clock that heat takes away.
        heating_s: time constant of heating and cooling.
        modes: relative distance of a slower second mode inside launches.
        mode_share: of inferences in it.
        launch_modes: relative distance of a slower second mode between launches.
        launch_mode_share: of launches in it.
        busy: slow-down while the other program runs, over the latency; it also takes that share of
            the processor time.
        busy_share: of the time in which it runs.
        busy_period_s: from one of its starts to the next.
        crash: share of launches that die.
        hang: that never end.
        garble: that print half of their answer.
        lose: that lose the link.
        start_s: from the start of a process to the first phase.
    """

    launch_variation: float = 0.03
    sample_variation: float = 0.02
    autocorrelation: float = 0.8
    outliers: float = 0.03
    outlier_excess: float = 0.5
    cold_excess: float = 0.5
    cold_inferences: float = 3.0
    drift_per_hour: float = 0.0
    wander: float = 0.0
    throttle: float = 0.0
    heating_s: float = 120.0
    modes: float = 0.0
    mode_share: float = 0.3
    launch_modes: float = 0.0
    launch_mode_share: float = 0.3
    busy: float = 0.0
    busy_share: float = 0.5
    busy_period_s: float = 120.0
    crash: float = 0.0
    hang: float = 0.0
    garble: float = 0.0
    lose: float = 0.0
    start_s: float = 0.5

    def __post_init__(self) -> None:
        """Refuses what no machine is like.

        Raises:
            UsageError: a share outside 0 to 1, or a time or variation that is negative or no number.
        """
        for name, value in asdict(self).items():
            lowest = -math.inf if name == "drift_per_hour" else 0.0
            highest = 1.0 if name in _SHARES else math.inf
            if not (lowest <= value <= highest and math.isfinite(value)):
                raise UsageError(f"simulated: {name} cannot be {value}")
        if self.autocorrelation >= 1 or self.throttle >= 1:
            raise UsageError("simulated: autocorrelation and throttle must be below 1")
        if min(self.heating_s, self.busy_period_s, self.cold_inferences) <= 0:
            raise UsageError("simulated: heating_s, busy_period_s, cold_inferences must be above 0")


_SHARES = frozenset(
    {
        *("autocorrelation", "outliers", "throttle", "mode_share", "launch_mode_share"),
        *("busy_share", "crash", "hang", "garble", "lose"),
    }
)


def read_conditions(name: str) -> Conditions:
    """The conditions in a device's name, `simulated` or `simulated:KEY=VALUE,...`.

    Raises:
        UsageError: an unknown key, no number, or a value out of range.
    """
    _, _, text = name.partition(":")
    known = [field.name for field in fields(Conditions)]
    given: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key not in known:
            raise UsageError(f"{name}: there is no {key!r}; there are: {', '.join(known)}")
        try:
            given[key] = float(value)
        except ValueError:
            raise UsageError(f"{name}: {key} needs a number, not {value!r}") from None
    return Conditions(**given)


class Machine:
    """The state of the machine: its clock, temperature, load and other work.

    Args:
        conditions: what it is like.
        seed: of everything random on it.

    Attributes:
        now_s: virtual time since it was made.
    """

    def __init__(self, conditions: Conditions, seed: int) -> None:
        self.conditions = conditions
        self.random = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self.now_s = 0.0
        self.temperature_c = AMBIENT_C
        self.throttled = False
        self.load_average = 0.0
        self._wandered = 0.0
        self._busy_offset_s = self.random.uniform(0, conditions.busy_period_s)

    @property
    def frequency_hz(self) -> float:
        """Of its cores, now."""
        return FREQUENCY_HZ * (1 - self.conditions.throttle if self.throttled else 1.0)

    @property
    def is_busy(self) -> bool:
        """Whether the other program runs now."""
        c = self.conditions
        if c.busy <= 0:
            return False
        phase = (self.now_s + self._busy_offset_s) % c.busy_period_s
        return phase < c.busy_share * c.busy_period_s

    def pass_time(self, duration_s: float, tasks: float) -> None:
        """Lets time go by while as many tasks compute, besides the other program."""
        c = self.conditions
        tasks += 1.0 if self.is_busy else 0.0
        self.now_s += duration_s
        if c.throttle > 0:
            target = AMBIENT_C + (HEATED_C - AMBIENT_C) * min(1.0, tasks)
            share = math.exp(-duration_s / c.heating_s)
            self.temperature_c = target + (self.temperature_c - target) * share
            limit = LIMIT_C - HYSTERESIS_C if self.throttled else LIMIT_C
            self.throttled = self.temperature_c > limit
        self.load_average = tasks + (self.load_average - tasks) * math.exp(
            -duration_s / LOAD_AVERAGE_S
        )
        if c.wander > 0:
            self._wandered += self.random.gauss(0, c.wander * math.sqrt(duration_s / 60))

    def slowness(self) -> float:
        """By what every latency is multiplied now, for the machine's own reasons."""
        c = self.conditions
        factor: float = math.exp(self._wandered) * (1 + c.drift_per_hour) ** (self.now_s / 3600)
        if self.is_busy:
            factor *= 1 + c.busy
        return factor / (1 - c.throttle if self.throttled else 1.0)

    def process(self) -> "Process":
        """A fresh process, with a level of its own."""
        return Process(self)

    def readings(self) -> tuple[Reading, ...]:
        """What a device reads before and after a launch."""
        cores = [f"cpu{n}" for n in range(CORES)]
        return (
            *(
                Reading(key="core_frequency_hz", instance=c, number=self.frequency_hz)
                for c in cores
            ),
            *(
                Reading(key="core_frequency_upper_limit_hz", instance=c, number=self.frequency_hz)
                for c in cores
            ),
            Reading(key="load_average", number=self.load_average),
            Reading(key="temperature_c", instance="die", number=self.temperature_c),
            Reading(key="thermal_status", number=1.0 if self.throttled else 0.0),
            Reading(key="uptime_s", number=self.now_s),
        )


class Process:
    """One launch on a machine.

    Args:
        machine: that it runs on.

    Attributes:
        cpu_s: processor time that it got.
    """

    def __init__(self, machine: Machine) -> None:
        c, draw = machine.conditions, machine.random
        self.machine = machine
        self.cpu_s = 0.0
        self._level = math.exp(draw.gauss(0, c.launch_variation))
        if c.launch_modes > 0 and draw.random() < c.launch_mode_share:
            self._level *= 1 + c.launch_modes
        self._state = draw.gauss(0, c.sample_variation)
        self._shock = c.sample_variation * math.sqrt(1 - c.autocorrelation**2)
        self._cold = c.cold_excess

    def compute(self, seconds: float, tasks: float = 1.0) -> float:
        """Does work that takes so long on the machine as it should be, and returns what it took."""
        machine = self.machine
        share = 1 / (1 + machine.conditions.busy) if machine.is_busy else 1.0
        took_s = seconds * self._level * machine.slowness()
        self.cpu_s += took_s * share * tasks
        machine.pass_time(took_s, tasks)
        return took_s

    def infer(self, true_s: float, tasks: float = 1.0) -> float:
        """One inference of a model with this true latency; returns what it took."""
        c, draw = self.machine.conditions, self.machine.random
        self._state = c.autocorrelation * self._state + draw.gauss(0, self._shock)
        factor = math.exp(self._state) * (1 + self._cold)
        self._cold *= math.exp(-1 / c.cold_inferences)
        if c.outliers > 0 and draw.random() < c.outliers:
            factor *= 1 + draw.expovariate(1 / c.outlier_excess) if c.outlier_excess > 0 else 1.0
        if c.modes > 0 and draw.random() < c.mode_share:
            factor *= 1 + c.modes
        return self.compute(true_s * factor, tasks)

    def wait(self, duration_s: float) -> None:
        """Sleeps."""
        self.machine.pass_time(duration_s, 0.0)


Program = Callable[[Sequence[str], Process], str]
"""What can be run on the machine: takes its arguments, returns its standard output."""


class SimulatedDevice(Device):
    """Runs programs that were written for it, in virtual time.

    Args:
        name: `simulated`, with conditions where they differ from the defaults.
        programs: what is installed on it, by name.
        seed: of everything random; another one for each device where it is not given.
    """

    has_shell = False

    def __init__(
        self,
        name: str = "simulated",
        programs: Mapping[str, Program] | None = None,
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.machine = Machine(
            read_conditions(name), random.SystemRandom().getrandbits(63) if seed is None else seed
        )
        self._programs = dict(programs or {})

    def info(self) -> Environment:
        """What the machine is like; see `Device.info`."""
        stated: dict[str, object] = {
            "device": self.name,
            "device_kind": "simulated",
            "operating_system": "simulated",
            "kernel": "simulated",
            "architecture": "simulated",
            "processor_model": "simulated processor",
            "logical_cores": CORES,
            "memory_bytes": None,
            "maximum_frequency_hz": FREQUENCY_HZ,
            "governor": None,
            "gaugenn_version": __version__,
        }
        return Environment(environment_sha256=digest(stated), **stated)  # type: ignore[arg-type]

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
    ) -> Output:
        """Runs a program; see `Device.run`. How it fails is drawn afresh each time."""
        del environment
        if argv[0] not in self._programs:
            raise DeviceError(f"{self.name}: there is no program {argv[0]}")
        machine, c = self.machine, self.machine.conditions
        begin_s = machine.now_s
        machine.pass_time(c.start_s, 0.2)
        stdout = self._programs[argv[0]](argv[1:], machine.process())
        fate = machine.random.random()
        cut = stdout[: int(len(stdout) * machine.random.uniform(0.05, 0.9))]
        wall_s = machine.now_s - begin_s
        if fate < c.lose:
            raise DeviceError(f"{self.name}: the link was lost")
        fate -= c.lose
        if fate < c.hang or wall_s > timeout_s:
            machine.pass_time(max(0.0, timeout_s - wall_s), 1.0)
            return Output(exit_code=None, stdout=cut, stderr="", wall_s=timeout_s, timed_out=True)
        fate -= c.hang
        if fate < c.crash:
            return Output(exit_code=139, stdout=cut, stderr="Segmentation fault", wall_s=wall_s)
        fate -= c.crash
        if fate < c.garble:
            stdout = cut
        return Output(exit_code=0, stdout=stdout, stderr="", wall_s=wall_s)

    def push(self, local: Path, name: str) -> str:
        """Notes the file's name; nothing is copied, since no program reads it."""
        if not local.is_file():
            raise UsageError(f"{local}: no such file to put into the working folder")
        return f"/simulated/{working_name(name)}"

    def pull(self, remote: str, local: Path) -> None:
        """There is nothing to copy; see `Device.pull`."""
        del local
        raise DeviceError(f"{self.name}: {remote}: a simulated device holds no files")

    def now_s(self) -> float:
        """The machine's virtual time."""
        return self.machine.now_s

    def rest(self, duration_s: float) -> None:
        """Lets virtual time go by."""
        self.machine.pass_time(duration_s, 0.0)

    def conditions(self) -> tuple[Reading, ...]:
        """The machine's state at this moment; see `Device.conditions`."""
        return self.machine.readings()

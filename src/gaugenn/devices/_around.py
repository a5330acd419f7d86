"""What is done on a device around a launch, by one script there: samples, idle stretches, markers.

The script (`_around.sh`) starts the launch itself, so that all of it also happens where there is no
link: a sampler reads temperatures, frequencies, memory and processor time in the shell's own loop,
without a program for each value, and ends a launch that a sensor says is too hot; idle stretches and
markers come before and after. What it writes is one file, which comes back with the launch.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gaugenn.devices import _android, _linux
from gaugenn.errors import UsageError
from gaugenn.records import DeviceSample, Moment, Reading
from gaugenn.records._environment import Scope, passing

SCRIPT = Path(__file__).with_name("_around.sh")
FILE = "around"
"""What the script writes, in the command's folder."""
LOWEST_PERIOD_S = 0.1
"""More often would disturb what is measured."""
THERMAL_SERVICE_S = 10.0
"""Between two looks at Android's thermal service, which is a program and a call to another process."""
SETTLE_S = 2.0
"""Between a marker or a launch and the idle stretch beside it."""
MARKER_S = 3.0
"""What a marker takes at most, its quiet included."""
MAXIMUM_BYTES = 64 << 20
_TIMES = re.compile(r"(\d+)m(\d+(?:\.\d+)?)s")
_ENTRY = re.compile(r"([0-9]+|stat|meminfo|pstat|pstatm)\.(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is done around each launch on a device.

    Attributes:
        sample_every_s: period of the sampler; 0 for none.
        limit_c: above it a launch is ended by the sampler; None for no limit.
        idle_s: of rest before and after.
        marked: bursts of load before and after, by which a meter's clock is joined.
        clocked: the device's clock is compared with this host's before each launch.
        root: what stands before `/sys` on the device.
    """

    sample_every_s: float = 1.0
    limit_c: float | None = None
    idle_s: float = 0.0
    marked: bool = False
    clocked: bool = False
    root: str = ""

    def __post_init__(self) -> None:
        """Refuses what cannot be done.

        Raises:
            UsageError: which.
        """
        if self.sample_every_s and not LOWEST_PERIOD_S <= self.sample_every_s <= 3600:
            raise UsageError(
                f"a sample every {self.sample_every_s:g} s; expected {LOWEST_PERIOD_S:g} s to an hour, "
                "or 0 for none"
            )
        if self.limit_c is not None and not 0 < self.limit_c <= 200:
            raise UsageError(
                f"a thermal limit of {self.limit_c:g} C; expected above 0, at most 200"
            )
        if self.limit_c is not None and not self.sample_every_s:
            raise UsageError("a thermal limit needs the sampler: do not set its period to 0")

    @property
    def is_empty(self) -> bool:
        """Whether a launch runs without the script."""
        return not (self.sample_every_s or self.idle_s or self.marked)

    @property
    def extra_s(self) -> float:
        """How much longer than its command the script takes at most."""
        marker_s = 2 * (MARKER_S + SETTLE_S) if self.marked else 0.0
        return marker_s + (2 * self.idle_s + SETTLE_S if self.idle_s else 0.0)

    def command(self, script: str, key: str, argv: Sequence[str]) -> list[str]:
        """The script with a command.

        Args:
            script: its path on the device.
            key: one word, of this launch only.
            argv: the command.
        """
        every_s = self.sample_every_s
        slow = max(1, round(THERMAL_SERVICE_S / every_s)) if every_s else 1
        limit = 0 if self.limit_c is None else round(1000 * self.limit_c)
        numbers = (every_s, limit, slow, self.idle_s, SETTLE_S, int(self.marked))
        return ["sh", script, key, *(f"{value:g}" for value in numbers), self.root, *argv]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What was written around a launch.

    Attributes:
        samples: moments on the device's boot clock, with readings of scopes `launch` and `sample`.
        moments: idle stretches and bursts of markers, in order.
        hot: what was too hot, if the launch was ended for that.
        cpu_s: processor time of the command alone, where the script waited for it.
    """

    samples: tuple[tuple[float, tuple[Reading, ...]], ...] = ()
    moments: tuple[Moment, ...] = ()
    hot: str | None = None
    cpu_s: float | None = None

    def rows(self, job_sha256: str, launch: int) -> list[DeviceSample]:
        """The samples as rows of a launch."""
        return [
            DeviceSample(job_sha256=job_sha256, launch=launch, boottime_s=at_s, readings=readings)
            for at_s, readings in self.samples
        ]


def read(path: Path, key: str, root: str = "") -> Surroundings:
    """What the script wrote; nothing where the file is not that of this launch.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        text = file.read(MAXIMUM_BYTES).decode("utf-8", "replace")
    first, _, rest = text.partition("\n")
    if first != key:
        return Surroundings()
    # A line that was cut says nothing.
    return _read(rest[: rest.rfind("\n") + 1].splitlines(), root)


def _read(lines: Sequence[str], root: str) -> Surroundings:
    paths: dict[str, str] = {}
    kinds: dict[str, str] = {}
    found = Surroundings()
    ticks: dict[str, tuple[float, float]] = {}
    moments: list[Moment] = []
    samples: list[tuple[float, dict[str, str], list[str]]] = []
    times: list[str] | None = None
    page_bytes: int | None = None
    for line in lines:
        word, _, rest = line.partition(" ")
        entry = _ENTRY.fullmatch(line)
        if times is not None and _TIMES.match(line):
            times.append(line)
        elif word == "@":
            at_s = _number(rest)
            if at_s is not None and (not samples or at_s > samples[-1][0]):
                samples.append((at_s, {}, []))
        elif entry is not None and samples:
            samples[-1][1][entry[1]] = entry[2]
        elif word == ">" and samples:
            samples[-1][2].append(rest)
        elif word.isdecimal():
            paths[word] = _below(rest, root)
        elif word == "type":
            zone, _, kind = rest.partition(" ")
            kinds[f"{_below(zone, root)}/type"] = kind
        elif word == "page":
            page_bytes = int(rest) if rest.isdecimal() else None
        elif word == "hot":
            sensor, _, value = rest.rpartition(" ")
            kind = kinds.get(_below(sensor, root).removesuffix("/temp") + "/type", sensor)
            found = replace(found, hot=f"{kind} was at {(_number(value) or 0) / 1000:.1f} C")
        elif word == "tick":
            name, uptime, wall = (*rest.split(" "), "", "", "")[:3]
            centiseconds, wall_s = _number(uptime), _fraction(wall)
            if centiseconds is not None and wall_s is not None:
                ticks[name] = (centiseconds / 100, wall_s)
        elif word == "burst":
            name, begin, end = (*rest.split(" "), "", "", "")[:3]
            begin_s, end_s = _fraction(begin), _fraction(end)
            if name in ticks and begin_s is not None and end_s is not None:
                uptime_s, wall_s = ticks[name]
                offset_s = uptime_s - wall_s
                moments.append(
                    Moment(name=name, begin_s=begin_s + offset_s, end_s=end_s + offset_s)
                )
        elif word in ("idle_before", "idle_after"):
            first, last = (_number(part) for part in (*rest.split(" "), "")[:2])
            if first is not None and last is not None and last > first:
                moments.append(Moment(name=word, begin_s=first, end_s=last))
        elif word == "times":
            times = []
    return replace(
        found,
        samples=tuple(
            (at_s, _readings(values, service, paths, kinds, page_bytes))
            for at_s, values, service in samples
        ),
        moments=tuple(moments),
        cpu_s=_children_cpu_s(times or ()),
    )


def _readings(
    values: Mapping[str, str],
    service: Sequence[str],
    paths: Mapping[str, str],
    kinds: Mapping[str, str],
    page_bytes: int | None,
) -> tuple[Reading, ...]:
    files = dict(kinds)
    files |= {paths[number]: f"{text}\n" for number, text in values.items() if number in paths}
    for name in ("stat", "meminfo"):
        files[f"proc/{name}"] = f"{values.get(name, '')}\n"
    told = list(_android.readings({"thermal": "\n".join(service)}))
    own = {(r.key, r.instance) for r in told}
    told += [r for r in _linux.readings(files) if (r.key, r.instance) not in own]
    process = list(_process(values, page_bytes))
    return (*passing(told, Scope.LAUNCH), *passing(process, Scope.SAMPLE))


def _process(values: Mapping[str, str], page_bytes: int | None) -> Iterator[Reading]:
    """Processor time and memory out of the lines of /proc/PID/stat and statm.

    **Source:** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    **Source:** https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html
    """
    # The program's name stands in brackets and may hold blanks.
    words = values.get("pstat", "").rpartition(")")[2].split()
    if len(words) > 12 and words[11].isdecimal() and words[12].isdecimal():
        ticks = int(words[11]) + int(words[12])
        yield Reading(key="process_cpu_s", number=ticks / _linux.TICKS_PER_S)
    pages = values.get("pstatm", "").split()
    if page_bytes and len(pages) > 1 and pages[1].isdecimal():
        yield Reading(key="process_memory_bytes", number=float(int(pages[1]) * page_bytes))


def _children_cpu_s(lines: Sequence[str]) -> float | None:
    """Processor time of a shell's children between two answers of `times`, of two lines each."""
    if len(lines) != 4:
        return None
    before_s, after_s = (
        sum(60 * int(minutes) + float(seconds) for minutes, seconds in _TIMES.findall(line))
        for line in (lines[1], lines[3])
    )
    return max(0.0, after_s - before_s)


def _below(path: str, root: str) -> str:
    return path.removeprefix(root).lstrip("/")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _fraction(text: str) -> float | None:
    """A wall clock's seconds; None where the device's `date` tells no fractions."""
    return _number(text) if re.fullmatch(r"[0-9]{1,12}\.[0-9]{3,9}", text) else None

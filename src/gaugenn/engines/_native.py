"""What engines that are vendors' own programs have in common: how they are started and read.

Such a program is started by a POSIX shell (Android has one), so that inputs can be made and results
printed on the device itself. The shell gets a script of ours as its text and everything else as
arguments: no name of a file or an input is ever read as a command. Its last line says how the program
ended, so that a cut link is no result.

Few of these programs print their samples. Where they do not, a launch has one value, in
`Timings.aggregate`, and is launched as often as it takes.
"""

import math
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from gaugenn.engines import Engine
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import (
    Aggregate,
    InputShape,
    Job,
    Processor,
    Timings,
)

SUPPLIED = "supplied"
"""The version of a program that its user put there without saying which it is."""
PROLOGUE = """
folder=${0%/*}
LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
ADSP_LIBRARY_PATH="$folder;/system/lib/rfsa/adsp;/vendor/lib/rfsa/adsp;/dsp"
export LD_LIBRARY_PATH ADSP_LIBRARY_PATH
mask=$1
shift
pinned() {
  if [ "$mask" = - ]; then "$@"; else taskset "$mask" "$@"; fi
}
"""
"""Libraries are looked for beside the program; its threads stay on the cores of a mask.

Source: https://man7.org/linux/man-pages/man1/taskset.1.html
"""
EPILOGUE = """
code=$?
echo
echo "gaugenn-exit $code"
exit "$code"
"""
MAKE_INPUTS = """
inputs() {
  made=${model%/*}/.gaugenn-input
  rm -rf "$made" && mkdir "$made" && cd "$made" || exit 1
  number=0
  for size in $sizes; do
    head -c "$size" /dev/zero > "$number.raw"
    number=$((number + 1))
  done
  number=0
  while [ "$number" -lt "$count" ]; do
    printf '%s\\n' "$line"
    number=$((number + 1))
  done > list.txt
}
"""
"""Files of zeros, one an input, and a list that names them once for each inference.

Takes `model`, `sizes` (bytes), `line` and `count`; leaves the shell in the folder of `list.txt`.
"""
_EXIT = re.compile(r"(?:\A|\n)gaugenn-exit (\d{1,3})\n*\Z")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_./:-]{1,200}")
LINE_CHARACTERS = 4096
"""What is read of a line; no program prints longer ones that matter."""
ELEMENT_BYTES = 4
"""These programs take inputs as files of 32-bit floats, whatever the model's own type is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRun:
    """One measurement that a program's output, or a file of results, reports.

    Attributes:
        engine: the engine's plugin name, or what the file calls it.
        timings: what was measured.
        model: the model as the log names it; "" where it does not.
        tool: the program that measured.
        engine_version: "" where it is not known.
        device: "" where it is not known.
        processor: that was asked for, or that ran, where that is known.
        precision: as the log names it; "" where it does not.
        threads: 0 where it is not known.
        batch: 0 where it is not known.
        started_at: UTC, ISO 8601; "" where it is not known.
        stated: other conditions, as (name, value).
    """

    engine: str
    timings: Timings
    model: str = ""
    tool: str = ""
    engine_version: str = ""
    device: str = ""
    processor: Processor = Processor.UNKNOWN
    precision: str = ""
    threads: int = 0
    batch: int = 0
    started_at: str = ""
    stated: tuple[tuple[str, str], ...] = ()


class NativeEngine(Engine):
    """A program that its user supplies, for each kind of device; see `docs/native.md`."""

    programs: ClassVar[tuple[str, ...]]
    """File names of what it consists of; the first one is started."""
    body: ClassVar[str] = 'pinned "$0" "$@"\n'
    """What the shell does: `$0` is the program, `$@` are the arguments."""
    distribution: ClassVar[str | None] = None
    default_version = SUPPLIED
    by_default = False

    @property
    def binary(self) -> str:
        """File name of the program."""
        return self.programs[0]

    def program(self, path: str) -> tuple[str, ...]:
        """How it is started on a device.

        Args:
            path: of the program there, absolute.
        """
        return ("sh", "-c", f"{PROLOGUE}{self.body}{EPILOGUE}", path)

    def command(self, job: Job, program: Sequence[str], model_paths: Sequence[str]) -> list[str]:
        """The shell, the cores and the program's own arguments; see `Engine.command`."""
        return [*program, _mask(job.affinity), *self.arguments(job, model_paths)]

    def cannot(self, job: Job) -> str | None:
        """What no program of a vendor does; see `Engine.cannot`."""
        if job.rate_per_s is not None:
            return f"{self.binary} runs back to back only, not at a rate"
        if job.companion or job.companion_of:
            return f"{self.binary} cannot be told to wait for another program"
        if job.batch != 1:
            return f"{self.binary} takes a batch only as a size of the inputs: --input-shape"
        odd = [i.name for i in job.input_shapes if not _PLAIN_NAME.fullmatch(i.name)]
        if odd:
            return f"{self.binary} cannot be told the name of input {odd[0][:100]!r}"
        return None

    @abstractmethod
    def arguments(self, job: Job, model_paths: Sequence[str]) -> list[str]:
        """What the script of `body` gets; as in `Engine.command`."""

    @abstractmethod
    def recognises(self, text: str) -> bool:
        """Whether a text holds this program's output."""

    @abstractmethod
    def read_log(self, text: str) -> tuple[LoggedRun, ...]:
        """Every measurement in a program's output, that of others' launches too.

        Args:
            text: both streams one after the other, as `cut_lines` leaves them.

        Raises:
            EngineError: the program says that it did not measure what its numbers suggest.
            FormatError: there is no measurement in it.
        """

    def parse(self, stdout: str, stderr: str) -> Timings:
        """The one measurement of a launch of ours; see `Engine.parse`."""
        found = _EXIT.search(stdout)
        if found is None:
            raise FormatError(f"{self.binary} ended without saying how")
        code = int(found.group(1))
        text = cut_lines(f"{stdout[: found.start()]}\n{stderr}")
        if code > 128:
            raise FormatError(f"{self.binary} was killed by signal {code - 128}")
        if code:
            raise EngineError(f"{self.binary} ended with exit code {code}: {last_line(text)}")
        runs = self.read_log(text)
        if len(runs) != 1:
            raise FormatError(f"{self.binary} reports {len(runs)} measurements; one was asked for")
        return runs[0].timings


def cut_lines(text: str) -> str:
    """A text whose lines are short enough for any expression that is searched in them."""
    return "\n".join(line[:LINE_CHARACTERS] for line in text.splitlines()) + "\n"


def timings(
    *,
    phases: str,
    aggregate: Aggregate | None = None,
    samples_s: Sequence[float] = (),
    warmup_s: Sequence[float] = (),
    load_s: float | None = None,
    prepare_s: float | None = None,
    first_s: float | None = None,
    peak_memory_bytes: int | None = None,
    engine_version: str = "",
    observed_processor: Processor | None = None,
    observed_precision: str | None = None,
    observed_threads: int | None = None,
    notes: Sequence[str] = (),
) -> Timings:
    """Timings in which everything that such a program does not tell is unknown.

    Raises:
        FormatError: a time that is none: negative, not finite, or zero where an inference took it.
    """
    value_s = () if aggregate is None else (aggregate.value_s,)
    for value in (*value_s, *samples_s, *warmup_s):
        if not math.isfinite(value) or value <= 0:
            raise FormatError(f"an inference of {value} s is no measurement")
    for value in (v for v in (load_s, prepare_s, first_s) if v is not None):
        if not math.isfinite(value) or value < 0:
            raise FormatError(f"a phase of {value} s is no measurement")
    return Timings(
        load_s=load_s,
        prepare_s=prepare_s,
        first_s=first_s,
        warmup_s=tuple(warmup_s),
        steady_s=tuple(samples_s),
        phases=phases,
        peak_memory_bytes=peak_memory_bytes,
        load_memory_bytes=None,
        process_cpu_s=None,
        timer_resolution_s=None,
        outputs=(),
        input_sha256=None,
        engine_version=engine_version,
        observed_processor=observed_processor,
        observed_precision=observed_precision,
        observed_threads=observed_threads,
        notes=tuple(notes),
        aggregate=aggregate,
    )


def real(text: str) -> float:
    """A number as programs print it.

    Raises:
        FormatError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{text[:40]!r} is no number")
    return value


def optional(text: str | None, scale: float) -> float | None:
    """A number in another unit, or None where there is none."""
    return None if text is None else real(text) * scale


def last_line(text: str) -> str:
    """The last line that says something, as the reason of a refusal."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else "it printed nothing"


def line_with(text: str, *needles: str) -> str | None:
    """The first line that holds one of some texts."""
    for line in text.splitlines():
        if any(needle in line for needle in needles):
            return line.strip()[:500]
    return None


def file_stem(path: str) -> str:
    """A model's name out of the path that a log names it by: without folder and suffix."""
    name = path.replace("\\", "/").rpartition("/")[2].strip()
    return name.rpartition(".")[0] or name


def raw_inputs(job: Job) -> tuple[str, str]:
    """What `MAKE_INPUTS` needs: the inputs' sizes in bytes, and the line that names their files."""
    shapes = job.input_shapes
    sizes = " ".join(str(ELEMENT_BYTES * math.prod(shape.shape)) for shape in shapes)
    return sizes, " ".join(_list_entry(n, shape) for n, shape in enumerate(shapes))


def _list_entry(number: int, shape: InputShape) -> str:
    return f"{shape.name}:={number}.raw" if shape.name else f"{number}.raw"


def _mask(affinity: str) -> str:
    """Cores such as `4,6-7` as the hexadecimal mask that every `taskset` takes; `-` for all."""
    if not affinity:
        return "-"
    mask = 0
    for part in affinity.split(","):
        first, _, last = part.partition("-")
        for core in range(int(first), int(last or first) + 1):
            mask |= 1 << core
    return f"{mask:x}"

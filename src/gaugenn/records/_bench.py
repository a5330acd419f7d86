"""Jobs, their launches, and what they ran on."""

import statistics
from dataclasses import asdict, dataclass
from enum import StrEnum

from gaugenn.records._environment import Reading
from gaugenn.records._plain import digest


class Processor(StrEnum):
    """What computes."""

    CPU = "cpu"
    GPU = "gpu"
    DSP = "dsp"
    NPU = "npu"
    UNKNOWN = "unknown"
    """An imported file does not tell. Nothing can be asked to run on it."""


class Precision(StrEnum):
    """What the engine is asked to compute with."""

    AS_STORED = "as-stored"
    """The engine's default for the file."""
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


class PageCache(StrEnum):
    """Where the model's bytes are when a launch begins."""

    WARM = "warm"
    """The files were read once before they are loaded."""
    DROPPED = "dropped"
    """The system was told to forget every file before the process was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputShape:
    """The size that a job gives to a model's input."""

    name: str
    shape: tuple[int, ...]
    """With the batch first, as the model's record has it; every size is at least 1."""
    dtype: str = ""
    """numpy name of its elements, for an engine that does not know it; "" where that is not needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An experiment. Equal jobs are the same experiment; `job_sha256` is its name.

    Of an imported experiment much is not known: its texts are "" then, its counts of threads and of
    samples in a batch 0.
    """

    model_sha256: str
    """The model's digest; `name:NAME` where an imported file only names it."""
    format: str
    engine: str
    engine_version: str
    device: str
    processor: Processor = Processor.CPU
    precision: Precision = Precision.AS_STORED
    threads: int = 1
    affinity: str = ""
    batch: int = 1
    input_shapes: tuple[InputShape, ...] = ()
    """Sizes of inputs, in the file's order; an input without one has the file's own size, with 1
    for each dynamic dimension."""
    warmup_minimum_count: int = 3
    warmup_minimum_s: float = 0.1
    warmup_maximum_s: float = 0.0
    """How long the warm-up may wait until latencies are flat; 0 does not wait."""
    steady_minimum_count: int = 20
    """Samples that a launch takes at least."""
    steady_minimum_s: float = 0.3
    steady_maximum_s: float = 60.0
    """The steady phase ends here even with fewer samples than asked for."""
    maximum_samples: int = 20_000
    """A phase ends when it has so many, with the note `sample-limit`."""
    launch_maximum_s: float = 60.0
    """Measured time of a launch, load to last sample; what is running then is finished first."""
    page_cache: PageCache = PageCache.WARM
    rate_per_s: float | None = None
    """Inferences are due at this rate, whether or not the last one is over; None for back to back."""
    companion: str = ""
    """What runs beside it in a process of its own: `MODEL_SHA256@ENGINE==VERSION`; "" for nothing."""
    companion_of: str = ""
    """Digest of the job that this one runs beside; "" for a job of its own."""
    seed: int = 0

    @property
    def job_sha256(self) -> str:
        """Digest of all fields, the same on every machine and version that has the same fields."""
        return digest(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSemantics:
    """What lies inside the timed region of an engine's steady samples."""

    real_weights: bool
    input_preparation_timed: bool
    output_copy_timed: bool
    raw_samples: bool
    """Every inference is reported, not only an aggregate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A name with a value: an environment variable, or what an imported file states."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Where an experiment comes from that was not measured here."""

    form: str
    """Which kind of file it was read as; see `gaugenn import --help`."""
    tool: str
    """The program that measured, as far as the file tells."""
    model: str
    """The model as the file names it; "" where it does not."""
    stated: tuple[Variable, ...] = ()
    """Conditions that the file states, under its own names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """The file that a launch was read from."""

    name: str
    """Without its folder."""
    sha256: str
    entry: int
    """Place of the launch among those of the file, from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A planned job. Key: `job_sha256`."""

    job_sha256: str
    job: Job
    launches: int
    """How many fresh processes are asked for; where `precision` is given, at least so many."""
    timing_semantics: TimingSemantics | None = None
    """What the engine's samples contain; None where it is not known."""
    launches_maximum: int | None = None
    """How many fresh processes are made at most; None where `launches` is a fixed count."""
    precision: float | None = None
    """Half the interval of the median, relative to it, at which launching may end."""
    control: bool = False
    """It runs in every block to show how the device drifts; it is no result."""
    imported: Imported | None = None
    """What somebody else measured; None for what was measured here."""


class RunStatus(StrEnum):
    """How a launch ended."""

    OK = "ok"
    REFUSED = "refused"
    """The engine cannot load or run this model."""
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    GARBLED = "garbled"
    """The engine's output could not be understood."""
    LOST = "lost"
    """The device or its link went away."""
    OVERHEATED = "overheated"
    """Ended by us: a sensor was above the limit."""


class ThermalStart(StrEnum):
    """How a launch passed the thermal gate."""

    COOL = "cool"
    """Every sensor was back to the start of the campaign, and flat."""
    HOT = "hot_start"
    """Waiting as long as was allowed has not helped; it was launched all the same."""
    NO_SENSOR = "no_sensor"
    """The device tells no temperature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that was done around a launch, on the device's clock that also counts sleep."""

    name: str
    """`idle_before`, `marker_before`, `marker_after` (one a burst of load) or `idle_after`."""
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputStatistics:
    """What one output tensor of the first inference looked like."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str
    minimum: float | None
    maximum: float | None
    mean: float | None
    standard_deviation: float | None
    not_finite: int
    sample: tuple[float, ...] = ()
    """Values at `256` evenly spread places, first and last included, or all; none where an
    output is no number or has one that is not finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStamp:
    """When a phase of a launch ran, on the launch's clock; see `Timings.clock_monotonic_s`."""

    name: str
    """`start`, `load`, `prepare`, `feed`, `first`, `warmup` or `steady`."""
    begin_s: float
    end_s: float
    cpu_s: float
    """Processor time of the process meanwhile, all threads."""


class Statistic(StrEnum):
    """What a single value stands for."""

    MEAN = "mean"
    MEDIAN = "median"
    P90 = "90th percentile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """A latency that a share of the inferences did not exceed."""

    share: float
    """From 0 to 1."""
    value_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """What a tool said of inferences whose single latencies it kept to itself."""

    statistic: Statistic
    """What `value_s` is."""
    value_s: float
    count: int | None = None
    """Inferences that it sums up; None where the tool does not say."""
    mean_s: float | None = None
    minimum_s: float | None = None
    maximum_s: float | None = None
    standard_deviation_s: float | None = None
    quantiles: tuple[Quantile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What one launch measured, raw.

    Where a library loads and prepares in one call, `phases` is `load+prepare`, `load_s` is the time
    of both and `prepare_s` is None. Times of day are on the launch's own clock, whose zero is the
    start of the worker.
    """

    load_s: float | None
    prepare_s: float | None
    first_s: float | None
    warmup_s: tuple[float, ...]
    steady_s: tuple[float, ...]
    """Each steady sample's latency, in order: that of one inference, or where there were
    `inferences_per_sample`, their time divided by their number."""
    phases: str
    """Names of the timed phases as the engine can split them: `load, prepare` or `load+prepare`."""
    peak_memory_bytes: int | None
    load_memory_bytes: int | None
    """Resident memory of the process before the model was touched: interpreter and library."""
    process_cpu_s: float | None
    """Processor time of the steady phase, all threads."""
    timer_resolution_s: float | None
    outputs: tuple[OutputStatistics, ...]
    input_sha256: str | None
    engine_version: str
    observed_processor: Processor | None
    observed_precision: str | None
    observed_threads: int | None
    notes: tuple[str, ...] = ()
    """`not_flat`: the warm-up ended at its limit, latencies still drifted; `warmup-unjudged`: it
    ended there before drift could be judged; `batched`: samples hold several inferences;
    `sample-limit`, `time-limit`, `dynamic-sizes-as-1`, `no-output`, `outputs-all-zero`,
    `outputs-change`."""
    warmup_start_s: tuple[float, ...] = ()
    """When each warm-up inference began."""
    steady_start_s: tuple[float, ...] = ()
    """When each steady sample began."""
    steady_due_s: tuple[float, ...] = ()
    """When each steady inference was due to begin, under a fixed rate."""
    inferences_per_sample: int = 1
    timer_cost_s: float | None = None
    """How far two readings of the clock in a row are apart: that is inside every sample."""
    stamps: tuple[PhaseStamp, ...] = ()
    clock_monotonic_s: float | None = None
    """Monotonic clock of the device at the zero of the launch's clock."""
    clock_boottime_s: float | None = None
    """Clock of the device that also counts sleep (`CLOCK_BOOTTIME`) at the same moment."""
    inputs: tuple[InputShape, ...] = ()
    """What the library was fed; empty where that is not known."""
    aggregate: Aggregate | None = None
    """Stands in for `steady_s`, which is empty then, where a tool keeps its samples to itself."""

    @property
    def latency_s(self) -> float | None:
        """The launch's latency: the median of its samples, else what its aggregate says."""
        if self.steady_s:
            return statistics.median(self.steady_s)
        return None if self.aggregate is None else self.aggregate.value_s

    @property
    def inferences(self) -> int | None:
        """How many steady samples that rests on; None where the tool does not say."""
        if self.steady_s or self.aggregate is None:
            return len(self.steady_s)
        return self.aggregate.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One launch of a job: a fresh process. Key: `job_sha256`, `launch`."""

    job_sha256: str
    launch: int
    status: RunStatus
    reason: str | None
    timings: Timings | None
    started_at: str
    """UTC, ISO 8601."""
    wall_s: float
    load_average: float | None
    environment_sha256: str
    argv: tuple[str, ...]
    log_tail: str
    """Last 2,000 characters of what the process printed beside its result."""
    position: int | None = None
    """Place of the launch in its block, from 0."""
    cpu_s: float | None = None
    """Processor time of the whole process, imports included."""
    variables: tuple[Variable, ...] = ()
    """Environment variables that the process was started with."""
    library_sha256: str | None = None
    """Digest of the library's installed files, as its wheel's RECORD lists them."""
    page_cache: PageCache | None = None
    """What was done with the page cache."""
    clock_offset_s: float | None = None
    """Device's monotonic clock minus this host's; 0 on the host itself."""
    before: tuple[Reading, ...] = ()
    """The device's state just before the launch: keys of scope `launch`."""
    after: tuple[Reading, ...] = ()
    """The same just after it."""
    imported_from: ImportedFile | None = None
    """The file it was read from; None for what was launched here. What the file does not tell is ""
    then, and `wall_s` is 0."""
    thermal_start: ThermalStart | None = None
    """How it passed the thermal gate; None where there was none."""
    thermal_reason: str | None = None
    """What the gate went by."""
    cool_down_s: float | None = None
    """How long the gate waited."""
    boottime_offset_s: float | None = None
    """Device's clock that also counts sleep, minus this host's monotonic clock, before the launch."""
    boottime_uncertainty_s: float | None = None
    """How far that may be off, either way."""
    sampled_every_s: float | None = None
    """Period of the sampler that ran on the device meanwhile; None where none did."""
    moments: tuple[Moment, ...] = ()
    """Idle stretches and markers that the device made and stamped itself, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSample:
    """What the device was like at a moment of a launch. Key: `job_sha256`, `launch`, `boottime_s`."""

    job_sha256: str
    launch: int
    boottime_s: float
    """On the device's clock that also counts sleep, in steps of 10 ms; compare with
    `timings.clock_boottime_s`."""
    readings: tuple[Reading, ...]
    """Keys of scopes `launch` and `sample`."""

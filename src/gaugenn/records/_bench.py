"""Jobs, their launches, and what they ran on."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from gaugenn.records._plain import digest


class Processor(StrEnum):
    """What computes."""

    CPU = "cpu"
    GPU = "gpu"
    DSP = "dsp"
    NPU = "npu"


class Precision(StrEnum):
    """What the engine is asked to compute with."""

    AS_STORED = "as-stored"
    """The engine's default for the file."""
    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputShape:
    """The size that a job gives to a model's input."""

    name: str
    shape: tuple[int, ...]
    """With the batch first, as the model's record has it; every size is at least 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An experiment. Equal jobs are the same experiment; `job_sha256` is its name."""

    model_sha256: str
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
    steady_minimum_count: int = 20
    steady_minimum_s: float = 0.3
    launch_maximum_s: float = 60.0
    """Measured time of a launch, load to last sample; what is running then is finished first."""
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
class JobRecord:
    """A planned job. Key: `job_sha256`."""

    job_sha256: str
    job: Job
    launches: int
    """How many fresh processes are asked for."""
    timing_semantics: TimingSemantics | None = None
    """What the engine's samples contain; None where it is not known."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """What one launch measured, raw.

    Where a library loads and prepares in one call, `phases` is `load+prepare`, `load_s` is the time
    of both and `prepare_s` is None.
    """

    load_s: float | None
    prepare_s: float | None
    first_s: float | None
    warmup_s: tuple[float, ...]
    steady_s: tuple[float, ...]
    """Each steady inference's latency, in order."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a run ran on. Key: `environment_sha256`."""

    environment_sha256: str
    device: str
    device_kind: str
    operating_system: str
    kernel: str
    architecture: str
    processor_model: str
    logical_cores: int
    memory_bytes: int | None
    maximum_frequency_hz: int | None
    governor: str | None
    gaugenn_version: str

"""The rows of a study. Each class is one table; each field is one column.

The store derives its Parquet schema from these annotations: a new column is a new field here with a
default. Allowed types: str, int, float, bool, a StrEnum, another record, `X | None`, `tuple[X, ...]`.
Units are in the names. Rows are facts as observed; means, intervals and verdicts are derived later.
"""

import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from enum import StrEnum

from gaugenn.errors import FormatError
from gaugenn.graph import DataType

R = typing.TypeVar("R")

_MAXIMUM_DEPTH = 16


class FileKind(StrEnum):
    """What a file turned out to be."""

    MODEL = "model"
    """A graph that was read whole."""
    WEIGHTS = "weights"
    """Weights without a graph: the half of a model whose graph lies beside it, or a checkpoint."""
    PACKAGE = "package"
    """A container of other files."""
    ENCRYPTED = "encrypted"
    """Named like a model, its bytes are indistinguishable from random."""
    INVALID = "invalid"
    """Carries a model format's signature but cannot be read as one."""
    UNKNOWN = "unknown"
    """None of the above."""


class PackageKind(StrEnum):
    """What kind of package was scanned."""

    APK = "apk"
    SPLIT_APK = "split-apk"
    BUNDLE = "bundle"
    """Several APKs of one app in a zip: XAPK, APKS, APKM."""
    AAB = "aab"
    OBB = "obb"
    IPA = "ipa"
    ARCHIVE = "archive"
    """A zip that is none of these."""
    FILE = "file"
    """A model file that lies there without a package."""
    NONE = "none"
    """Named or given as a package, but not one; `error` says what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A scanned package. Key: `path`, `size_bytes`, `modified_ns`."""

    path: str
    app_sha256: str
    size_bytes: int
    modified_ns: int
    kind: PackageKind
    package: str | None = None
    version_code: int | None = None
    version_name: str | None = None
    label: str | None = None
    split: str | None = None
    minimum_sdk: int | None = None
    target_sdk: int | None = None
    permissions: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    abis: tuple[str, ...] = ()
    certificate_sha256: str | None = None
    members: int = 0
    notes: tuple[str, ...] = ()
    """What was unusual: `recovered-from-local-headers`, `fake-encryption-flag`, `limit-depth`, ..."""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFile:
    """A member of a package that is, or by its name could be, a model. Key: `app_sha256`, `member`."""

    app_sha256: str
    member: str
    """Path inside the package; nested containers are joined by `!/`."""
    size_bytes: int
    sha256: str | None
    kind: FileKind
    format: str | None = None
    model_sha256: str | None = None
    """The model this file belongs to, see `ModelFile`."""
    entropy_bits: float | None = None
    """Shannon entropy in bits per byte, measured where the kind is not plain."""
    error: str | None = None
    wrapping: str | None = None
    """What is around the model, the outermost first: `gzip`, `base64`, `xor-0x5a`, `offset-64`,
    `gzip+xor-0x5a`. `sha256` and `size_bytes` are those of the file as shipped, the model's are those
    of what is inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of a model. Key: `model_sha256`, `name`. The graph file is the one with `position` 0.

    `model_sha256` is the graph file's digest where the model is one file, else the digest of all
    files' digests (see `model_digest`).
    """

    model_sha256: str
    position: int
    name: str
    """Relative to the graph's folder, with the app's own stem replaced: `model.param`, `model.bin`."""
    sha256: str
    size_bytes: int
    format: str


class EvidenceCategory(StrEnum):
    """What a piece of evidence is about."""

    RUNTIME = "runtime"
    ACCELERATOR = "accelerator"
    CLOUD = "cloud"
    SDK = "sdk"
    """On-device ML without a model file in the package."""
    DOWNLOAD = "download"
    """Models fetched after install."""
    TRAINING = "training"
    PACKER = "packer"


class EvidenceSource(StrEnum):
    """Where in a package a token was seen, strongest first."""

    CLASS = "class"
    METHOD = "method"
    SYMBOL = "symbol"
    LIBRARY = "library"
    MANIFEST = "manifest"
    STRING = "string"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A token seen in a package. Key: all but `strong`."""

    app_sha256: str
    category: EvidenceCategory
    name: str
    """What the token speaks for: `tflite`, `nnapi`, `amazon-rekognition`."""
    vendor: str | None
    source: EvidenceSource
    token: str
    member: str
    """The file inside the package, nested containers joined by `!/`."""
    strong: bool
    """A weak token needs a second, different one before it counts."""
    defined: bool | None = None
    """For classes: shipped in the package (True) or only called (False)."""


class LayerClass(StrEnum):
    """What kind of work a node does."""

    CONVOLUTION = "convolution"
    """Of all channels or of groups of them; transposed and deformable ones, too."""
    DEPTHWISE_CONVOLUTION = "depthwise-convolution"
    """Each input channel has filters of its own."""
    DENSE = "dense"
    """A product with a matrix of weights, or of two matrices outside attention."""
    ACTIVATION = "activation"
    POOLING = "pooling"
    """A window's or an axis' maximum, mean or sum."""
    NORMALISATION = "normalisation"
    ATTENTION = "attention"
    """A fused attention, and the products before and after the softmax of one that is spelled out."""
    RECURRENT = "recurrent"
    EMBEDDING = "embedding"
    """Rows of a table of weights, chosen by an input."""
    ELEMENTWISE = "elementwise"
    QUANTISATION = "quantisation"
    DATA_MOVEMENT = "data-movement"
    """Elements are copied, chosen, reordered or converted."""
    CONTROL_FLOW = "control-flow"
    POST_PROCESSING = "post-processing"
    """What is chosen from scores: suppression, sorting, largest index, beam search."""
    OTHER = "other"
    """None of these, or not known what it is."""


class QuantizationScheme(StrEnum):
    """How a model is quantised. How finely, see `ModelRecord.quantization_granularities`."""

    NONE = "none"
    """32- or 64-bit floats throughout."""
    FLOAT16 = "float16"
    """Weights of 16-bit floats, nothing in integers."""
    WEIGHT_ONLY = "weight-only"
    """Integer weights that are made floats before use, or block by block inside the operator."""
    DYNAMIC_RANGE = "dynamic-range"
    """Operators that take integer weights and float activations, which the engine scales on the fly."""
    QDQ = "qdq"
    """Float operators between quantise and dequantise nodes."""
    FULL_INTEGER = "full-integer"
    """Operators that work on integer weights and integer activations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementShare:
    """How many elements have a type."""

    dtype: DataType
    elements: int


class Modality(StrEnum):
    """What a model's input is a measurement of."""

    VISION = "vision"
    TEXT = "text"
    AUDIO = "audio"
    SENSOR = "sensor"
    """Motion, touch, a pen's path: a few channels over time."""
    OTHER = "other"
    """Something else that is recognised: tables of numbers."""
    UNKNOWN = "unknown"


class Task(StrEnum):
    """What a model is for."""

    CLASSIFICATION = "classification"
    """Of images."""
    DETECTION = "detection"
    FACE_DETECTION = "face-detection"
    LANDMARKS = "landmarks"
    """Points of a face or hand as coordinates."""
    POSE = "pose"
    SEGMENTATION = "segmentation"
    TEXT_RECOGNITION = "text-recognition"
    """Characters and lines of text in images."""
    SUPER_RESOLUTION = "super-resolution"
    STYLE_TRANSFER = "style-transfer"
    IMAGE_ENHANCEMENT = "image-enhancement"
    DEPTH_ESTIMATION = "depth-estimation"
    SPEECH_RECOGNITION = "speech-recognition"
    SOUND_EVENTS = "sound-events"
    KEYWORD_SPOTTING = "keyword-spotting"
    VOICE_ACTIVITY = "voice-activity"
    NOISE_SUPPRESSION = "noise-suppression"
    AUDIO_FEATURES = "audio-features"
    """Spectrograms for another model."""
    TRANSLATION = "translation"
    LANGUAGE_MODEL = "language-model"
    """The next word or token: auto-complete, generation."""
    TEXT_CLASSIFICATION = "text-classification"
    """Sentiment, topic, intent."""
    QUESTION_ANSWERING = "question-answering"
    EMBEDDING = "embedding"
    """A vector to compare with others: faces, sentences."""
    RECOMMENDATION = "recommendation"
    MOVEMENT = "movement"
    """Activity, gesture and handwriting from sensors."""
    TABULAR_PREDICTION = "tabular-prediction"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """A model's input or output."""

    name: str
    dtype: str
    shape: tuple[str, ...] | None
    """Sizes as text, because a dynamic dimension is a symbol; None when the rank is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A distinct model, read or refused. Key: `model_sha256`."""

    model_sha256: str
    kind: FileKind
    format: str | None
    size_bytes: int
    format_version: str = ""
    producer: str = ""
    graphs: int = 0
    nodes: int = 0
    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    parameters: int | None = None
    weights_bytes: int | None = None
    macs: int | None = None
    flops: int | None = None
    """2 x macs."""
    elementwise_operations: int | None = None
    activation_peak_bytes: int | None = None
    weights_dtype: str | None = None
    """Element type that most weights have."""
    activations_dtype: str | None = None
    unmapped_nodes: int = 0
    """Nodes whose operator has no ONNX counterpart."""
    uncounted_nodes: int = 0
    """Nodes whose cost or shape is unknown; where there are any, the costs are lower bounds."""
    assumed_dimensions: bool = False
    """A dynamic dimension was taken as 1."""
    architecture_sha256: str | None = None
    weights_sha256: str | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None
    quantization: QuantizationScheme | None = None
    """None for a model without weights, and for one that was not read."""
    quantization_granularities: tuple[str, ...] = ()
    """`per_tensor`, `per_axis`, `per_block`: those that the weights use, sorted."""
    weight_elements: tuple[ElementShare, ...] = ()
    """Weights by element type, most frequent first."""
    dequantize_nodes: int = 0
    """Nodes that make floats of integers or of 16-bit floats."""
    weights_examined: int = 0
    """Weights whose values could be looked at; the denominator of the next two."""
    zero_weights: int = 0
    """Exactly zero; a quantised weight at its zero point."""
    near_zero_weights: int = 0
    """At most 1e-9 in absolute value, zeros included."""
    tensors_examined: int = 0
    """Float weights of products, of at least 4,096 elements; the denominator of the next."""
    clustered_tensors: int = 0
    """Those with at most 256 distinct values: clustered, or floats that were integers before."""
    compression_traces: tuple[str, ...] = ()
    """Prefixes that compression tools leave in names, sorted: `cluster_`, `prune_`."""
    modality: Modality = Modality.UNKNOWN
    task: Task = Task.UNKNOWN
    family: str = "unknown"
    """Architecture family: `mobilenet-v2`, `bert`, `lstm`, ..."""
    task_confidence: float | None = None
    """Of the task, 0 to 1; None where it is unknown. A rule's weight, not a probability."""
    task_evidence: tuple[str, ...] = ()
    """What modality, task and family were concluded from, strongest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """A node of a model with its cost. Key: `model_sha256`, `graph`, `position`."""

    model_sha256: str
    graph: int
    position: int
    name: str
    operator: str
    source_operator: str
    macs: int | None
    flops: int | None
    elementwise_operations: int | None
    parameters: int
    weights_bytes: int
    output_shape: tuple[int, ...] | None
    output_bytes: int | None
    weights_sha256: str | None = None
    """Digest of the node's weights; None without weights or without their bytes."""
    layer_class: LayerClass = LayerClass.OTHER
    weights_values_sha256: str | None = None
    """Digest of the weights' values in no order, see `gaugenn.analysis.weight_values`: alike in every
    layout and container, and in 32- and 16-bit floats."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that could not be done, with its reason. Key: `stage`, `subject`."""

    stage: str
    """`discover`, `scan`, `analyse`, `plan`, `bench` or `report`."""
    subject: str
    """Path, model digest, engine, or model digest and engine."""
    error: str
    """Name of the error's class."""
    message: str
    transient: bool
    model_sha256: str | None = None
    """The model that it is about, if it is about one."""
    engine: str | None = None
    """The engine, as `name==version`, if it is about one."""


def digest(value: object) -> str:
    """SHA-256 of a value's canonical JSON (sorted keys, no spaces): the name of a record."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def model_digest(files: tuple[tuple[str, str], ...]) -> str:
    """The identity of a model made of several files.

    Args:
        files: (`ModelFile.name`, sha256) of each file, the graph first.

    Returns:
        The file's own digest for a single file, else the digest of the sorted list.
    """
    if len(files) == 1:
        return files[0][1]
    return digest([list(f) for f in sorted(files)])


def from_plain(record: type[R], value: Mapping[str, object], where: str) -> R:
    """A record from what JSON or a table made of it: the inverse of `dataclasses.asdict`.

    Args:
        record: the record's class.
        value: a value for each field; enums as text, tuples as lists, records as mappings.
        where: what is read, as the start of a message.

    Raises:
        FormatError: a value has another type, a field is missing or unknown, or a number is not
            finite.
    """
    return typing.cast("R", _record(record, value, where, 0))


def _typed(hint: object, value: object, where: str, depth: int) -> object:
    if depth > _MAXIMUM_DEPTH:
        raise FormatError(f"{where}: nested too deeply")
    if isinstance(hint, types.UnionType):
        if value is None and types.NoneType in typing.get_args(hint):
            return None
        (inner,) = (option for option in typing.get_args(hint) if option is not types.NoneType)
        return _typed(inner, value, where, depth + 1)
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return tuple(_typed(inner, item, where, depth + 1) for item in value)
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return _record(hint, value, where, depth)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise FormatError(f"{where}: {value} is not finite")
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    if isinstance(hint, type) and issubclass(hint, StrEnum) and isinstance(value, str):
        try:
            return hint(value)
        except ValueError as error:
            raise FormatError(f"{where}: {error}") from error
    raise FormatError(f"{where}: expected {hint}, found {type(value).__name__}")


def _record(hint: type, value: Mapping[str, object], where: str, depth: int) -> object:
    hints = typing.get_type_hints(hint)
    defaults = {f.name for f in fields(hint) if f.default is not MISSING}
    # A row that was written before a column was added has nothing there: the default stands in.
    unset = {
        name
        for name in defaults
        if value.get(name) is None and types.NoneType not in typing.get_args(hints[name])
    }
    present = {name: item for name, item in value.items() if name not in unset}
    if not hints.keys() - defaults <= present.keys() or not present.keys() <= hints.keys():
        odd = ", ".join(sorted(hints.keys() ^ value.keys()))
        raise FormatError(f"{where}: missing or unknown fields: {odd}")
    return hint(**{k: _typed(hints[k], v, f"{where}: {k}", depth + 1) for k, v in present.items()})

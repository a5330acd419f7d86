"""Models and their layers."""

from dataclasses import dataclass
from enum import StrEnum

from gaugenn.graph import DataType
from gaugenn.records._census import FileKind


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
    bytes_moved: int | None = None
    """What all operators read and write, weights included, as if nothing stayed in a cache."""

    @property
    def arithmetic_intensity(self) -> float | None:
        """Operations (2 x MACs, and element-wise ones) for each byte moved; None where unknown."""
        return _intensity(self.flops, self.elementwise_operations, self.bytes_moved)


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
    bytes_moved: int | None = None
    """What it reads, its weights included, and writes; None where a size is unknown."""

    @property
    def arithmetic_intensity(self) -> float | None:
        """Operations (2 x MACs, and element-wise ones) for each byte moved; None where unknown."""
        return _intensity(self.flops, self.elementwise_operations, self.bytes_moved)


def _intensity(flops: int | None, elementwise: int | None, moved: int | None) -> float | None:
    if flops is None or elementwise is None or not moved:
        return None
    return (flops + elementwise) / moved

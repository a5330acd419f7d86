"""Latencies that nobody measured."""

from dataclasses import dataclass

from gaugenn.records._bench import Precision, Processor


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedLatency:
    """A latency of an inference on one sample, as it follows from other models' measurements.

    It is no measurement and never among results. Key: `model_sha256` and the seven fields of the
    setting;
    the last one counts.
    """

    model_sha256: str
    engine: str
    engine_version: str
    device: str
    processor: Processor
    precision: Precision
    threads: int
    affinity: str
    latency_s: float
    low_s: float
    """Lower end of the interval of `level`, from the errors on architectures that were left out."""
    high_s: float
    level: float
    """Of the interval, 0 to 1."""
    measured_s: float | None
    """What was measured, where the model was left out to see how wrong a prediction is; else None."""
    outside: bool
    """It does more, or less, than any model that was measured: the interval may not hold."""
    law: str
    """`operations`, `parts` or `trees`; see `gaugenn.analysis.prediction`."""
    error_factor: float
    """Typical error of the procedure on architectures that were left out: predicted over measured."""
    error_low: float
    """Lower end of its 95 % interval over architectures."""
    error_high: float
    baseline_factor: float
    """The same of a law of operations alone."""
    examples: int
    """Models that it was fitted to."""
    architectures: int
    """Different ones among them."""
    predicted_at: str
    """UTC, ISO 8601."""

"""The rows of a study. Each class is one table; each field is one column.

The store derives its Parquet schema from these annotations: a new column is a new field there with a
default. Allowed types: str, int, float, bool, a StrEnum, another record, `X | None`, `tuple[X, ...]`.
Units are in the names. Rows are facts as observed; means, intervals and verdicts are derived later.
"""

from gaugenn.records._bench import (
    InputShape,
    Job,
    JobRecord,
    OutputStatistics,
    PageCache,
    PhaseStamp,
    Precision,
    Processor,
    Run,
    RunStatus,
    Timings,
    TimingSemantics,
    Variable,
)
from gaugenn.records._census import (
    App,
    AppFile,
    Evidence,
    EvidenceCategory,
    EvidenceSource,
    Failure,
    FileKind,
    ModelFile,
    PackageKind,
)
from gaugenn.records._environment import Environment, Reading
from gaugenn.records._models import (
    ElementShare,
    LayerClass,
    LayerRecord,
    Modality,
    ModelRecord,
    QuantizationScheme,
    Task,
    TensorInfo,
)
from gaugenn.records._plain import (
    digest,
    from_plain,
    model_digest,
)
from gaugenn.records._sources import AppRef, Crawl, Download

__all__ = [
    "App",
    "AppFile",
    "AppRef",
    "Crawl",
    "Download",
    "ElementShare",
    "Environment",
    "Evidence",
    "EvidenceCategory",
    "EvidenceSource",
    "Failure",
    "FileKind",
    "InputShape",
    "Job",
    "JobRecord",
    "LayerClass",
    "LayerRecord",
    "Modality",
    "ModelFile",
    "ModelRecord",
    "OutputStatistics",
    "PackageKind",
    "PageCache",
    "PhaseStamp",
    "Precision",
    "Processor",
    "QuantizationScheme",
    "Reading",
    "Run",
    "RunStatus",
    "Task",
    "TensorInfo",
    "TimingSemantics",
    "Timings",
    "Variable",
    "digest",
    "from_plain",
    "model_digest",
]

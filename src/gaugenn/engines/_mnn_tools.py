"""What MNN's own programs have in common: codes of processors and precisions, and what ran.

**Source:** https://mnn-docs.readthedocs.io/en/latest/tools/test.html
"""

import re

from gaugenn.records import Job, ModelRecord, Precision, Processor

FORWARD = {Processor.CPU: 0, Processor.GPU: 3}
"""Forward types: 0 the CPU, 3 OpenCL."""
NAMES = {"CPU": Processor.CPU, "OpenCL": Processor.GPU, "Vulkan": Processor.GPU}
CODES = {0: Processor.CPU, 3: Processor.GPU, 6: Processor.GPU, 7: Processor.GPU}
PRECISION = {Precision.AS_STORED: 0, Precision.FLOAT32: 1, Precision.FLOAT16: 2}
"""0 normal, 1 high: 32-bit floats; 2 low: 16-bit floats where the processor has them."""
PRECISIONS = tuple(PRECISION)
_FELL_BACK = re.compile(r"Can't Find type=\d+ backend, use \d+ instead")
_SUPPORTS = re.compile(r"The device supports?: .*?fp16:\s*([01])")
ZEROED = (
    "the file is tagged bizCode=benchmark: MNN's own programs fill its weights with made-up values; "
    "convert it with another bizCode"
)


def refuses(model: ModelRecord) -> str | None:
    """Why MNN's own programs would measure something else than the model."""
    return ZEROED if "benchmark-weights" in model.notes else None


def forward(job: Job) -> str:
    """The forward type of a job."""
    return str(FORWARD[job.processor])


def observed_processor(text: str, asked: Processor | None) -> Processor | None:
    """What was asked for, unless the program says that it has no such processor and takes the CPU."""
    return Processor.CPU if _FELL_BACK.search(text) else asked


def observed_precision(text: str, precision: int | None, processor: Processor | None) -> str | None:
    """What the CPU computed in, where that follows from the setting and what it says it has."""
    if precision is None or processor is not Processor.CPU:
        return None
    if precision in (0, 1):
        return "float32"
    found = _SUPPORTS.search(text)
    if precision != 2 or found is None:
        return None
    return "float16" if found.group(1) == "1" else "float32"

"""The completeness matrix: model x library x precision x processor, with the reason for every gap."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gaugenn import plugins
from gaugenn.engines import load_engine
from gaugenn.records import Agreement, BuildStatus, Processor, ZooBuild
from gaugenn.zoo._build import exporters, runtimes
from gaugenn.zoo._catalogue import ReferenceModel, models
from gaugenn.zoo._order import Variant

_REASON_CHARACTERS = 200
_NOT_BUILT = "not built yet: `gaugenn zoo build`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A model in a precision with a library on the CPU.

    Attributes:
        agreement: how the library's answer compares, where it answered.
        gap: why there is nothing that can be benchmarked, or None.
    """

    model: str
    library: str
    variant: Variant
    agreement: Agreement | None
    gap: str | None


def cells(builds: Iterable[ZooBuild]) -> Iterator[Cell]:
    """Every cell of the CPU, by model, library and precision."""
    known = {(b.model, b.format, b.variant): b for b in builds if b.weights_sha256 is None}
    for model in models():
        for library, runtime in runtimes().items():
            for variant in Variant:
                build = known.get((model, runtime.format, variant))
                found = None
                if build is not None:
                    found = next((a for a in build.agreements if a.library == library), None)
                yield Cell(
                    model=model,
                    library=library,
                    variant=variant,
                    agreement=found,
                    gap=_gap(build, found),
                )


def _gap(build: ZooBuild | None, found: Agreement | None) -> str | None:
    if build is None:
        return _NOT_BUILT
    if found is not None:
        return None if found.reason is None else f"{found.library}: {_short(found.reason)}"
    prefix = "" if build.status is BuildStatus.REFUSED else f"{build.status}: "
    return f"{build.format}: {prefix}{_short(build.reason or 'not compared')}"


def _short(reason: str) -> str:
    """A reason in one line, without what differs between two runs."""
    text = re.sub(r"0x[0-9a-f]{4,}|\b[0-9a-f]{16,}\b", "...", " ".join(reason.split()))
    text = text.replace("|", "/").replace("<", "(").replace(">", ")")
    return text if len(text) <= _REASON_CHARACTERS else text[: _REASON_CHARACTERS - 3] + "..."


def deviation(found: float | None, published: float | None) -> float | None:
    """How far a count lies from the published one, relatively; None where there is none."""
    return None if found is None or not published else found / published - 1.0


def markdown(builds: Sequence[ZooBuild]) -> str:
    """The page `docs/zoo-matrix.md`: costs, the matrix of the CPU, gaps, other processors."""
    listed = list(cells(builds))
    reasons: dict[str, int] = {}
    for cell in listed:
        if cell.gap is not None:
            reasons.setdefault(cell.gap, len(reasons) + 1)
    there = sum(cell.gap is None for cell in listed)
    lines = [
        "# Reference models: what each library makes of them",
        "",
        "Written by `scripts/zoo --docs` from `docs/zoo-builds.jsonl`. Do not edit.",
        "",
        *_costs(builds),
        "",
        "## Model x library x precision on the CPU",
        "",
        f"{there} of {len(listed)} can be benchmarked. A field has three places: fp32, fp16, int8.",
        "For fp32 and fp16 it says the largest difference from the definition over the definition's",
        "largest output, for int8 the cosine; both for the worst output, on the same seeded input. A",
        "number in brackets is a gap, explained below.",
        "",
        *_matrix(listed, reasons),
        "",
        "## Gaps",
        "",
        *(f"{number}. {reason}" for reason, number in reasons.items()),
        "",
        *_processors(),
    ]
    return "\n".join(lines) + "\n"


def _costs(builds: Sequence[ZooBuild]) -> Iterator[str]:
    counted = {b.model: b for b in builds if b.format == "onnx" and b.variant == Variant.FLOAT32}
    yield "## Costs"
    yield ""
    yield "Parameters are the definition's. MACs are counted by gaugenn in the ONNX file. Deviations"
    yield "are from what the source states; a test keeps them within the limit in `models.toml`."
    yield ""
    yield "| model | input | parameters | published | MACs | published | source |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for model in models().values():
        yield _cost_row(model, counted.get(model.name))


def _cost_row(model: ReferenceModel, build: ZooBuild | None) -> str:
    published = model.published
    parameters = None if build is None else build.parameters
    macs = None if build is None else build.file_macs
    stated = (None, None) if published is None else (published.parameters, published.macs)
    shape = ", ".join(" x ".join(map(str, i.shape[1:])) for i in model.inputs)
    cells = (
        f"`{model.name}` {model.title}",
        shape,
        _millions(parameters),
        _stated(stated[0], deviation(parameters, stated[0])),
        _millions(macs),
        _stated(stated[1], deviation(macs, stated[1])),
        "" if published is None else published.source,
    )
    return f"| {' | '.join(cells)} |"


def _millions(value: float | None) -> str:
    return "" if value is None else f"{value / 1e6:,.3f} M"


def _stated(value: float | None, off: float | None) -> str:
    if value is None:
        return ""
    return f"{value / 1e6:,.4g} M" + ("" if off is None else f" ({off:+.1%})")


def _matrix(listed: Sequence[Cell], reasons: Mapping[str, int]) -> Iterator[str]:
    known = runtimes()
    yield "| model | " + " | ".join(runtime.title for runtime in known.values()) + " |"
    yield "|---" * (1 + len(known)) + "|"
    by_key = {(c.model, c.library, c.variant): c for c in listed}
    for model in models():
        row = [
            " · ".join(_place(by_key[model, library, v], reasons) for v in Variant)
            for library in known
        ]
        yield f"| `{model}` | " + " | ".join(row) + " |"


def _place(cell: Cell, reasons: Mapping[str, int]) -> str:
    if cell.gap is not None or cell.agreement is None:
        return f"[{reasons[cell.gap or '']}]"
    if cell.variant is Variant.INT8:
        return f"{cell.agreement.cosine or 0.0:.4f}"
    return f"{cell.agreement.maximum_relative_error or 0.0:.0e}"


def _processors() -> Iterator[str]:
    """What each library's engine offers beside the CPU."""
    yield "## Other processors"
    yield ""
    yield "A file that agrees on the CPU is also what other processors are given; whether they run it,"
    yield "a benchmark says. Libraries whose engine offers none here have a gap in every cell."
    yield ""
    yield "| library | reads | " + " | ".join(Processor) + " |"
    yield "|---" * (2 + len(Processor)) + "|"
    engines = plugins.names("gaugenn.engines")
    for name, runtime in runtimes().items():
        offered = load_engine(name).processors if name in engines else ()
        absent = "not offered by its engine" if name in engines else "gaugenn has no engine for it"
        row = ["offered" if p in offered else absent for p in Processor]
        yield f"| {runtime.title} | {exporters()[runtime.format].name} | " + " | ".join(row) + " |"

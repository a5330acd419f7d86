"""The table of engines in `docs/engines.md`, from the engines themselves.

python tests/engines/document.py        writes it anew
"""

from pathlib import Path

from gaugenn import plugins
from gaugenn.engines import Engine
from gaugenn.engines._native import NativeEngine

DOCUMENT = Path(__file__).parents[2] / "docs" / "engines.md"
BEGIN, END = "<!-- engines: made by tests/engines/document.py -->\n", "<!-- end of engines -->\n"


def table() -> str:
    """One row an engine."""
    columns = (
        *("engine", "library", "default version", "formats", "processors", "precisions"),
        *("cold start split", "timed besides the inference", "operators timed by"),
    )
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, engine in plugins.load_all("gaugenn.engines", Engine).items():  # type: ignore[type-abstract]
        timed = engine.timing_semantics
        beside = [
            text
            for text, is_timed in (
                ("input preparation", timed.input_preparation_timed),
                ("output copy", timed.output_copy_timed),
            )
            if is_timed
        ]
        if not timed.real_weights:
            beside.append("weights are made up")
        version = engine.default_version if engine.distribution else "needs none"
        if issubclass(engine, NativeEngine):
            version = "supplied by its user"
            if not timed.raw_samples:
                beside.append("no samples, an aggregate")
        cells = (
            f"`{name}`",
            engine.title,
            version + ("" if engine.by_default or not engine.distribution else " (on request)"),
            ", ".join(engine.formats) or "any",
            ", ".join(engine.processors),
            ", ".join(engine.precisions),
            engine.phases,
            ", ".join(beside) or "nothing",
            engine.profile_method or "no way known",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """The document with today's table."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))

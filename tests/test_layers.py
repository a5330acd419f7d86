"""Imports point only downwards, and siblings do not import each other."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "gaugenn"

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"plugins"}),
    frozenset({"content", "graph", "records", "_cache", "_processes"}),
    frozenset({"adb"}),
    frozenset(
        {
            *("formats", "apps", "sources", "analysis", "engines"),
            *("devices", "power", "store", "execute"),
        }
    ),
    frozenset({"zoo", "bench", "imports"}),
    frozenset({"pipeline", "doctor"}),
    frozenset({"report", "interchange"}),
    frozenset({"explorer", "publication"}),
    frozenset({"api"}),
    frozenset({"_terminal"}),
    frozenset({"_progress"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
SIBLINGS_ALLOWED = {
    ("power", "devices"),
    ("content", "graph"),
    ("records", "graph"),
}
REPORT_MAY_IMPORT = {"errors", "plugins", "content", "graph", "records", "store", "analysis"}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in {path}"
            module = node.module or ""
            if module == "gaugenn":
                found.update(f"gaugenn.{alias.name}" for alias in node.names)
            else:
                found.add(module)
    return {name.split(".")[1] for name in found if name.startswith("gaugenn.")}


def _modules() -> list[Path]:
    return sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


def _unit(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_only_downwards(path: Path) -> None:
    unit = _unit(path)
    assert unit in RANK, f"{unit} has no place in the layers"
    for used in _imports(path) - {unit, "__version__"}:
        allowed = RANK[used] < RANK[unit] or (unit, used) in SIBLINGS_ALLOWED
        assert allowed, f"{path.relative_to(SOURCE)} imports gaugenn.{used}"


def test_the_report_reads_only_the_store_and_pure_analysis() -> None:
    for path in (SOURCE / "report").rglob("*.py"):
        assert _imports(path) - {"report", "__version__"} <= REPORT_MAY_IMPORT, path


def test_every_top_level_name_has_a_layer() -> None:
    present = {_unit(p) for p in _modules()}
    assert present <= set(RANK)

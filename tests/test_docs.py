"""What the documentation names is there, and what is there is documented."""

import re
from pathlib import Path

import click
import pytest
from benchmarks import evidence

from gaugenn import api, report
from gaugenn.analysis.verdict import RULES
from gaugenn.cli import cli
from gaugenn.store import TABLES, Study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


CONTEXT = click.Context(cli)


def _below(group: click.Group) -> list[click.Command]:
    found = [group.get_command(CONTEXT, name) for name in group.list_commands(CONTEXT)]
    return [command for command in found if command is not None]


@pytest.mark.parametrize("name", cli.list_commands(CONTEXT))
def test_every_command_is_in_the_readme_and_has_help(name: str) -> None:
    command = cli.get_command(CONTEXT, name)
    assert command is not None
    assert f"`gaugenn {name}" in README
    assert command.help


def test_every_option_has_help() -> None:
    commands: list[click.Command] = [cli]
    while commands:
        command = commands.pop()
        commands += _below(command) if isinstance(command, click.Group) else []
        options = [p for p in command.params if isinstance(p, click.Option)]
        assert all(option.help for option in options), command.name


def test_every_table_and_view_is_documented(tmp_path: Path) -> None:
    text = (ROOT / "docs/study.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    with report.connect(Study.create(tmp_path / "s")) as connection:
        listed = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal")
        there = {name for (name,) in listed.fetchall() if not name.endswith("_columns")}
    there = {name for name in there if not name.startswith("all_")} | {"verdicts", "energies"}
    assert documented == there
    assert set(TABLES.values()) <= documented


def test_the_readmes_questions_can_be_asked(tmp_path: Path) -> None:
    Study.create(tmp_path / "s")
    questions = re.findall(r'gaugenn query study "([^"]+)"', README)
    assert len(questions) >= 3
    for question in questions:
        assert api.query(tmp_path / "s", question).num_columns >= 2


def test_the_inspect_contract_lists_the_objects_fields() -> None:
    text = (ROOT / "docs/inspect.md").read_text()
    documented = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]+)\|", text, re.MULTILINE)))
    )
    (found,) = api.inspect([ROOT / "samples/camera.apk"])
    assert set(found.as_json(layers=True)) == documented


def test_the_names_of_evidence_in_the_documentation_are_those_of_the_signature_files() -> None:
    assert evidence.table() in (ROOT / "docs/evidence.md").read_text()


def test_links_between_documents_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_verdict_rule_and_exchange_form_is_documented() -> None:
    text = (ROOT / "docs/measuring.md").read_text()
    rows = [f"| `{r.reason}` | {r.validity} | {r.meaning} |" for r in RULES]
    assert [row for row in rows if row not in text] == []
    assert [form for form in api.exports() if f"| `{form}` |" not in text] == []


def test_every_figure_of_the_report_is_documented_with_its_question() -> None:
    _, _, text = (ROOT / "docs/report.md").read_text().partition("\n## Figures\n")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)
    there = {name: figure.question for name, figure in report.figures().items()}
    missing = [
        f"| `{n}` | {question} |" for n, question in there.items() if (n, question) not in rows
    ]
    assert missing == []
    assert len(rows) == len(there)


def test_what_can_be_published_is_documented() -> None:
    text = (ROOT / "docs/study.md").read_text()
    for form in ("dataset-card", "citation", "study"):
        assert f"- `{form}`:" in text

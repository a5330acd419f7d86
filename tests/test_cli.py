"""The command line on odd arguments, odd terminals and names that try to steer one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gaugenn import cli
from gaugenn._terminal import printable
from gaugenn.store import Study

STEERING = "a\x1b[31mred\x1b]0;title\x07\u202etxt.exe\x9b2J\r\ud800"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Study.create(tmp_path_factory.mktemp("cli") / "study").path


def _run(*arguments: object, line: str = '"$@"') -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "gaugenn", *(str(a) for a in arguments))
    return subprocess.run(
        ["/bin/sh", "-c", line, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        timeout=60,
    )


def test_nothing_that_is_printed_steers_a_terminal() -> None:
    shown = printable(STEERING)
    assert shown.isprintable()
    assert shown.startswith("a\\x1b[31mred\\x1b]0;title\\x07\\u202etxt.exe\\x9b2J")
    assert printable("two\nlines\tä 漢") == "two\nlines\tä 漢"


def test_an_answer_to_a_query_is_shown_without_control_characters_and_markup(study: Path) -> None:
    sql = "SELECT chr(27) || '[2J' || chr(8238) AS \"[/bold]\", '[red]x' AS y"
    done = _run("query", study, sql)
    assert done.returncode == 0, done.stderr
    head, row = done.stdout.splitlines()
    assert head.split() == ["[/bold]", "y"]
    assert row.split() == ["\\x1b[2J\\u202e", "[red]x"]


def test_a_line_of_a_table_is_a_row_whatever_is_in_it(study: Path) -> None:
    done = _run("query", study, "SELECT 'two' || chr(10) || 'lines' AS x, 1 AS y")
    assert [line.split() for line in done.stdout.splitlines()] == [["x", "y"], ["two\\nlines", "1"]]
    alone = _run("query", study, "SELECT 'two' || chr(10) || 'lines' AS x")
    assert alone.stdout.splitlines() == ["x", "two", "lines"]


def test_columns_of_one_name_are_all_shown(study: Path) -> None:
    sql = "SELECT 1 AS kind, 2 AS other, 3 AS kind"
    done = _run("query", study, sql)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["kind", "other", "kind"],
        ["1", "2", "3"],
    ]
    rows = _run("query", study, sql, "--format", "json")
    assert json.loads(rows.stdout) == {"kind": 1, "other": 2, "kind_2": 3}


def test_signs_that_the_terminal_lacks_are_escaped(study: Path) -> None:
    done = _run("query", study, "SELECT chr(8805) AS x", line='PYTHONIOENCODING=ascii "$@"')
    assert (done.returncode, done.stdout.split()) == (0, ["x", "\\u2265"]), done.stderr


def test_a_line_of_a_table_ends_with_its_text(study: Path) -> None:
    done = _run(
        "query", study, "SELECT unnest(['a', 'long text']) AS x, unnest(['b', 'more']) AS y"
    )
    assert done.stdout.splitlines() == ["x          y", "a          b", "long text  more"]


def test_an_error_with_a_hostile_name_is_shown_without_control_characters(tmp_path: Path) -> None:
    done = _run("scan", tmp_path / "\x1b[2J.apk", "--out", tmp_path / "s")
    assert done.returncode == 2
    assert "\\x1b[2J.apk" in done.stderr
    assert "\x1b[2J" not in done.stderr


@pytest.mark.parametrize(
    "option", [("--threads", "1" * 5000), ("--threads", "0"), ("--seed", "-1"), ("--seed", 2**63)]
)
def test_a_number_out_of_range_is_a_usage_error(study: Path, option: tuple[object, ...]) -> None:
    done = _run("bench", study, "--engine", "null", *option)
    assert done.returncode == 2
    assert str(option[0]) in done.stderr
    assert "Traceback" not in done.stderr


def test_lists_are_json_text_in_csv(study: Path) -> None:
    done = _run("query", study, "SELECT [1, 2] AS a, {'b': NULL} AS c, 3 AS d", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout == '"a","c","d"\n"[1, 2]","{""b"": null}",3\n'


def test_a_file_in_the_place_of_a_study_is_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for command in (("query", file, "SELECT 1"), ("report", file), ("bench", file)):
        done = _run(*command)
        assert done.returncode == 1
        assert "study.json cannot be read" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a Linux device")
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_full_disk_behind_standard_output_is_exit_code_3(study: Path, form: str) -> None:
    done = _run("query", study, "SELECT 1", "--format", form, line='"$@" >/dev/full')
    assert done.returncode == 3
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_standard_output_is_no_traceback(study: Path) -> None:
    for form in ("table", "json", "csv"):
        done = _run("query", study, "SELECT 1", "--format", form, line='"$@" >&-')
        assert "Traceback" not in done.stderr


def test_json_is_printed_for_any_answer(study: Path) -> None:
    done = _run("query", study, "SELECT 'a'::BLOB AS a, [1] AS b", "--format", "json")
    assert json.loads(done.stdout)["b"] == [1]


def test_an_engine_is_asked_what_it_offers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["engines", "offers", "null"]) == 0
    assert "numpy" in capsys.readouterr().out
    assert cli.main(["engines", "offers", "null", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["null"]["offers"][0]["processor"] == "cpu"


def test_every_command_has_help_without_marks_of_the_source() -> None:
    context = click.Context(cli.cli)
    for name in cli.cli.list_commands(context):
        found = cli.cli.get_command(context, name)
        assert found is not None
        text = found.get_help(click.Context(found, parent=context, info_name=name))
        assert name in text
        assert "\\" not in text, name

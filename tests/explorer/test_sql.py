"""SQL of a user: read only, nothing but the study, and never for long."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from gaugenn import report
from gaugenn.errors import LimitError, UsageError
from gaugenn.explorer import _sandbox
from gaugenn.explorer._sandbox import ROWS, Sandbox, one_selection
from gaugenn.store import Study
from tests.explorer.pages import Page, open_page


@pytest.fixture(scope="module")
def sandbox(study: Study) -> Iterator[Sandbox]:
    found = Sandbox(study.path)
    yield found
    found.close()


def ask(client: TestClient, sql: str, status: int = 200) -> Page:
    return open_page(client, f"/sql?q={quote(sql)}", status)


def test_a_question_is_answered(client: TestClient) -> None:
    page = ask(
        client, "SELECT format, count(*) AS n FROM models GROUP BY ALL ORDER BY n DESC, 1 -- x"
    )
    assert page.rows("Answer")[0] == ["tflite", "8"]
    assert page.tables["Answer"][0] == ["format (varchar)", "n (bigint)"]
    assert ("td", {"class": "number", "data-sort": "8.0"}) in page.tags


def test_what_only_python_derives_can_be_asked_for(client: TestClient) -> None:
    page = ask(client, "SELECT validity, count(*) FROM verdicts GROUP BY ALL ORDER BY ALL")
    assert {row[0] for row in page.rows("Answer")} >= {"invalid", "valid"}
    assert "No row." in ask(client, "FROM energies").text


def test_names_of_columns_may_be_alike_and_values_odd(client: TestClient) -> None:
    page = ask(client, "SELECT 1 AS a, [1, 2] AS a, {'b': NULL} AS s, NULL AS n, '\u202e' AS t")
    assert page.rows("Answer") == [["1", "[1, 2]", "{'b': NULL}", "\N{EN DASH}", "\\u202e"]]


def test_rows_are_cut_and_it_says_so(client: TestClient) -> None:
    page = ask(client, "FROM range(100000)")
    assert len(page.rows("Answer")) == ROWS
    assert "there are more" in page.text


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW apps",
        "CREATE TABLE x (a INT)",
        "INSERT INTO apps SELECT * FROM apps",
        "COPY apps TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.db'",
        "SET threads = 1",
        "PRAGMA database_list",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CALL pragma_version()",
        "EXPORT DATABASE '/tmp/x'",
        "SELECT 1; DROP VIEW apps",
        "SELECT 1); DROP VIEW apps; SELECT (1",
        "",
        ";",
        "SELEC 1",
        "SELECT '" + "x" * 20_000 + "'",
    ],
)
def test_only_one_statement_that_selects_is_taken(sql: str) -> None:
    with pytest.raises(UsageError):
        one_selection(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "FROM read_text('/etc/passwd')",
        "FROM read_csv('/etc/passwd')",
        "FROM '/etc/passwd'",
        "FROM glob('/*')",
        "FROM read_blob('{study}/study.json')",
        "FROM read_parquet('https://example.org/x.parquet')",
        "FROM query('DROP VIEW apps')",
        "SELECT * FROM no_such_table",
        "SELECT 1) UNION ALL (SELECT 2",
    ],
)
def test_statements_reach_the_studys_tables_only(sandbox: Sandbox, study: Study, sql: str) -> None:
    with pytest.raises(UsageError):
        sandbox.ask(sql.format(study=study.path))


def test_memory_is_bounded_inside_and_outside_of_duckdb(sandbox: Sandbox) -> None:
    for sql in ("SELECT list(range) FROM range(200000000)", "SELECT repeat('x', 3000000000)"):
        with pytest.raises(LimitError, match="MiB of memory"):
            sandbox.ask(sql)
    assert sandbox.ask("SELECT 1").rows == (("1",),)


def test_a_statement_that_runs_on_is_ended(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sandbox, "SECONDS", 0.2)
    question = (
        "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range + b.range = 7"
    )
    opened = _sandbox._Opened()
    monkeypatch.setattr(_sandbox, "_OPENED", opened)
    monkeypatch.setattr(_sandbox.resource, "setrlimit", lambda *_: None)
    with pytest.raises(LimitError, match="ran longer"):
        _sandbox.answer(_sandbox.Question(study=study.path, sql=question))
    opened.close()


def test_a_process_that_dies_is_replaced(study: Study) -> None:
    sandbox = Sandbox(study.path)
    sandbox.ask("SELECT 1")
    (worker,) = sandbox._pool._workers
    worker._process.kill()
    with pytest.raises(LimitError):
        sandbox.ask("SELECT 1")
    assert sandbox.ask("SELECT 2").rows == (("2",),)
    sandbox.close()


def test_problems_are_shown_with_what_was_asked(client: TestClient) -> None:
    page = ask(client, "DELETE FROM apps WHERE label = '<b>'", 400)
    assert "only SELECT" in page.text
    assert "DELETE FROM apps WHERE label = '<b>'" in page.text
    assert "nowhere does not exist" in ask(client, "FROM nowhere", 400).text


def test_every_table_view_and_derived_relation_is_listed_with_its_columns(
    client: TestClient, study: Study
) -> None:
    text = client.get("/sql").text
    with report.connect(study) as connection:
        views = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
    views = {v for v in views if not v.startswith("all_") and not v.endswith("_columns")}
    assert {"models", "instances", "verdicts", "energies"} <= views
    for name in views:
        assert f"<summary><code>{name}</code></summary>" in text
    assert "page_apps" not in text
    assert "<code>architecture_sha256</code> <small>VARCHAR</small>" in text

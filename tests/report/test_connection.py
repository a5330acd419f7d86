"""Relations that Python derives: there for every query, computed for those that read them."""

import duckdb
import pytest

from gaugenn import report
from gaugenn.report import _connection
from gaugenn.store import Study


def test_nothing_is_derived_before_a_query_reads_it(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    rows = Study.rows

    def noted(self: Study, record: type) -> list[object]:
        read.append(record.__name__)
        return rows(self, record)

    monkeypatch.setattr(Study, "rows", noted)
    with report.connect(study) as connection:
        connection.execute("SELECT count(*) FROM models").fetchall()
        connection.execute("DESCRIBE SELECT * FROM energies").fetchall()
        assert read == []
        for _ in range(2):
            found = connection.execute("SELECT count(*) FROM verdicts").fetchone()
            assert found is not None
            assert found[0] > 0
        assert sorted(read) == ["Environment", "JobRecord", "ModelRecord", "Run"]
        connection.execute("SELECT count(*) FROM energies").fetchall()
        connection.execute("SELECT count(*) FROM side_by_side").fetchall()
    assert read.count("Run") == read.count("JobRecord") == 1


def test_what_cannot_be_derived_spoils_only_the_queries_that_ask_for_it(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> list[dict[str, object]]:
        raise RuntimeError("the trace is gone")

    monkeypatch.setattr(_connection._Source, "energies", broken)
    with report.connect(study) as connection:
        assert connection.execute("SELECT count(*) FROM verdicts").fetchone() != (0,)
        with pytest.raises(duckdb.Error, match="the trace is gone"):
            connection.execute("SELECT * FROM energies").fetchall()

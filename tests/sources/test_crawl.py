"""Crawls from the command to the rows: finished, interrupted, killed, failed, limited, compared."""

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gaugenn import api
from gaugenn.errors import SourceError, TransientError, UsageError
from gaugenn.records import Crawl
from gaugenn.sources.androzoo import KEY_VARIABLE
from gaugenn.store import Study
from tests.sources.servers import FakeClock, Fault, FaultyServer

FAST = ("--rate", "1000")


def _command(*arguments: object) -> tuple[list[str], dict[str, str]]:
    path = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-m", "gaugenn", *map(str, arguments)]
    return (command, os.environ | {"PYTHONPATH": path})


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command, environment = _command(*arguments)
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=120
    )


def _ask(study: Path, sql: str) -> list[tuple[object, ...]]:
    with Study(study).connect() as connection:
        return connection.execute(sql).fetchall()


def _crawl(
    server: FaultyServer,
    out: Path,
    clock: FakeClock | None = None,
    *,
    scan: bool = False,
    **settings: object,
) -> api.CrawlResult:
    chosen = api.CrawlSettings(requests_per_s=0, **settings)  # type: ignore[arg-type]
    where = f"{server.address}/repo"
    clock = clock or FakeClock()
    return api.crawl("fdroid", where, out, settings=chosen, scan=scan, clock=clock)


def test_a_repository_becomes_a_study(before: FaultyServer, tmp_path: Path) -> None:
    study = tmp_path / "s"
    done = _run("crawl", "fdroid", f"{before.address}/repo", "--out", study, "--scan", *FAST)
    assert done.returncode == 0, done.stderr
    assert "2 apps listed, 2 here, 0 failed" in done.stderr
    sql = """
        SELECT p.package, p.title, p.categories[1], p.source, p.address, p.version_code, i.format
        FROM provenance p JOIN instances i USING (app_sha256) ORDER BY p.package
    """
    address = f"{before.address}/repo"
    assert _ask(study, sql) == [
        ("org.example.painter", "Painter", "Graphics", "fdroid", address, 1, "ncnn"),
        ("org.example.scanner", "Scanner", "Tools", "fdroid", address, 1, "onnx"),
    ]
    (crawl,) = _ask(study, "SELECT finished_at IS NOT NULL, length(signer_sha256) FROM crawls")
    assert crawl == (True, 64)


def test_a_crawl_that_was_killed_goes_on_where_it_was(before: FaultyServer, tmp_path: Path) -> None:
    study, big = tmp_path / "s", "/repo/org.example.scanner_1.apk"
    before.always[big] = Fault(pause_s=0.01)
    arguments = ("crawl", "fdroid", f"{before.address}/repo", "--out", study, "--json", *FAST)
    command, environment = _command(*arguments)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        until = time.monotonic() + 60
        while not any(p.stat().st_size for p in study.glob("packages/*scanner*.part")):
            assert time.monotonic() < until
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    (part,) = study.glob("packages/*scanner*.part")
    had = part.stat().st_size
    before.always.clear()
    before.seen.clear()
    done = _run(*arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fetched"] == 2
    (request,) = [seen for seen in before.seen if seen.path == big]
    assert request.headers["Range"] == f"bytes={had}-"
    assert _ask(study, "SELECT count(*), count(DISTINCT snapshot) FROM crawls") == [(1, 1)]
    assert _ask(study, "SELECT count(*) FROM listings") == [(2,)]
    digests = {str(sha) for (sha,) in _ask(study, "SELECT sha256 FROM downloads")}
    served = (before.folder / "repo").glob("*.apk")
    assert digests == {hashlib.sha256(path.read_bytes()).hexdigest() for path in served}


def test_what_fails_is_a_row_and_is_tried_again_by_the_same_command(
    before: FaultyServer, tmp_path: Path
) -> None:
    bad = "/repo/org.example.painter_1.apk"
    before.always[bad] = Fault(status=503)
    first = _crawl(before, tmp_path / "s")
    assert (first.listed, first.fetched, first.failed, first.finished) == (2, 1, 1, False)
    sql = "SELECT stage, error, transient, message FROM failures"
    (row,) = _ask(tmp_path / "s", sql)
    assert row[:3] == ("crawl", "TransientError", True)
    assert "answers 503, 6 times" in str(row[3])
    before.always.clear()
    again = _crawl(before, tmp_path / "s")
    assert again.snapshot == first.snapshot
    assert (again.fetched, again.failed, again.finished) == (2, 0, True)
    assert _ask(tmp_path / "s", sql) == []


def test_what_fails_for_good_does_not_keep_a_crawl_open(
    before: FaultyServer, tmp_path: Path
) -> None:
    before.always["/repo/org.example.painter_1.apk"] = Fault(body=b"other")
    result = _crawl(before, tmp_path / "s")
    assert (result.fetched, result.failed, result.finished) == (1, 1, True)
    (row,) = _ask(tmp_path / "s", "SELECT error, transient FROM failures")
    assert row == ("SourceError", False)
    following = _crawl(before, tmp_path / "s")
    assert following.snapshot != result.snapshot
    assert len(_ask(tmp_path / "s", "SELECT * FROM failures")) == 1


def test_a_new_snapshot_costs_no_download_of_what_is_there(
    before: FaultyServer, tmp_path: Path
) -> None:
    clock = FakeClock()
    _crawl(before, tmp_path / "s", clock)
    before.seen.clear()
    clock.passed_s += 3600
    second = _crawl(before, tmp_path / "s", clock)
    assert second.fetched == 2
    assert before.paths() == ["/repo/entry.jar"]
    assert _ask(tmp_path / "s", "SELECT count(*) FROM downloads") == [(4,)]


def test_a_daily_limit_ends_a_crawl_until_tomorrow(before: FaultyServer, tmp_path: Path) -> None:
    clock = FakeClock()
    first = _crawl(before, tmp_path / "s", clock, daily_limit=1)
    assert (first.fetched, first.failed, first.finished) == (1, 0, False)
    assert "daily limit of 1" in str(first.stopped)
    assert _crawl(before, tmp_path / "s", clock, daily_limit=1).fetched == 1
    clock.passed_s += 86400
    last = _crawl(before, tmp_path / "s", clock, daily_limit=1)
    assert (last.snapshot, last.fetched, last.finished) == (first.snapshot, 2, True)


def test_another_signer_at_a_known_address_is_refused(before: FaultyServer, tmp_path: Path) -> None:
    _crawl(before, tmp_path / "s")
    with pytest.raises(SourceError, match="expected 2222"):
        _crawl(before, tmp_path / "other", fingerprint="2" * 64)
    study = Study(tmp_path / "s")
    study.write(
        replace(crawl, signer_sha256="3" * 64, finished_at="2999-01-01T00:00:00+00:00")
        for crawl in study.rows(Crawl)
    )
    with pytest.raises(SourceError, match=r"expected 3333.*--fingerprint"):
        _crawl(before, tmp_path / "s")


def test_a_source_that_is_down_is_left_alone(
    tmp_path: Path, repositories: tuple[Path, Path]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(repositories[0], folder)
    server = FaultyServer(folder)
    clock = FakeClock()
    try:
        for package in (folder / "repo").glob("*.apk"):
            server.always[f"/repo/{package.name}"] = Fault(status=503)
        result = _crawl(server, tmp_path / "s", clock)
        assert not result.finished
        server.close()
        with pytest.raises(TransientError, match="no connection"):
            _crawl(server, tmp_path / "s", clock)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def zoo(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> FaultyServer:
    monkeypatch.setenv(KEY_VARIABLE, "sesame1234567890")
    digests = [hashlib.sha256(bytes([number])).hexdigest() for number in range(8)]
    rows = [f"{sha256},1,org.app{number},1,anzhi" for number, sha256 in enumerate(digests)]
    (server.folder / "static/lists").mkdir(parents=True)
    text = "\n".join(["sha256,apk_size,pkg_name,vercode,markets", *rows]).encode()
    (server.folder / "static/lists/latest.csv.gz").write_bytes(gzip.compress(text))
    return server


def test_a_row_of_failures_ends_a_crawl(zoo: FaultyServer, tmp_path: Path) -> None:
    zoo.always["/api/download"] = Fault(status=500)
    settings = api.CrawlSettings(requests_per_s=0, limit=7)
    result = api.crawl(
        "androzoo", zoo.address, tmp_path / "s", settings=settings, clock=FakeClock()
    )
    assert (result.listed, result.failed, result.finished) == (7, 5, False)
    assert "5 apps in a row failed" in str(result.stopped)


def test_no_credential_is_in_a_study_or_in_what_is_printed(
    zoo: FaultyServer, tmp_path: Path
) -> None:
    zoo.faults["/api/download"] = [Fault(status=403), Fault(body=b"\x01")]
    out = tmp_path / "s"
    done = _run("crawl", "androzoo", zoo.address, "--out", out, "--limit", "2", *FAST)
    assert done.returncode == 0, done.stderr
    assert any("apikey=sesame" in seen.query for seen in zoo.seen)
    assert "sesame" not in done.stdout + done.stderr
    rows = [*_ask(out, "SELECT * FROM failures"), *_ask(out, "SELECT * FROM listings")]
    rows += [*_ask(out, "SELECT * FROM crawls"), *_ask(out, "SELECT * FROM downloads")]
    assert len(rows) == 5
    assert "sesame" not in repr(rows)
    assert not any(b"sesame" in path.read_bytes() for path in out.rglob("*") if path.is_file())


def test_a_folder_is_a_source_whose_files_stay_where_they_are(tmp_path: Path) -> None:
    samples = Path(__file__).parents[2] / "samples"
    (tmp_path / "m.csv").write_text('file,category,installs\ncamera.apk,Photos,"5,000+"\n')
    settings = api.CrawlSettings(metadata=tmp_path / "m.csv", snapshot="2024-05")
    result = api.crawl("folder", str(samples), tmp_path / "s", settings=settings, scan=True)
    assert result.snapshot == "2024-05"
    assert result.fetched == len(list(samples.glob("*.apk")))
    assert not list((tmp_path / "s/packages").iterdir())
    sql = "SELECT DISTINCT categories[1], installs FROM provenance WHERE path LIKE '%camera.apk'"
    assert _ask(tmp_path / "s", sql) == [("Photos", 5000)]
    assert _ask(tmp_path / "s", "SELECT count(*) > 3 FROM instances") == [(True,)]
    other = api.CrawlSettings(snapshot="2024-05", limit=1)
    with pytest.raises(UsageError, match="another name for another query"):
        api.crawl("folder", str(samples), tmp_path / "s", settings=other)


def test_unusable_arguments_make_no_study(tmp_path: Path) -> None:
    for arguments in (
        ("nothing", "x"),
        ("fdroid", "https://user:hunter2@h/repo"),
        ("folder",),
        ("folder", tmp_path / "none"),
    ):
        done = _run("crawl", *arguments, "--out", tmp_path / "s")
        assert done.returncode == 2, done.stderr
        assert "hunter2" not in done.stderr
    assert not (tmp_path / "s").exists()


def test_two_crawls_of_a_real_repository_are_compared(
    repositories: tuple[Path, Path], tmp_path: Path
) -> None:
    server = FaultyServer(repositories[0])
    out = tmp_path / "s"
    try:
        for name, folder in zip(("old", "new"), repositories, strict=True):
            server.folder = folder
            assert _crawl(server, out, scan=True, snapshot=name).finished
    finally:
        server.close()
    done = _run("diff", f"{out}@old", f"{out}@new", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {app["app"]: app["change"] for app in found["apps"]} == {
        "org.example.painter": "removed",
        "org.example.scanner": "moved",
        "org.example.writer": "added",
    }
    changes = [
        (m["change"], m["app"][12:], m["old_format"], m["new_format"]) for m in found["models"]
    ]
    assert changes == [
        ("removed", "painter", "ncnn", None),
        ("moved", "scanner", "onnx", "ncnn"),
        ("added", "writer", None, "onnx"),
    ]
    categories = {row["category"]: row["models"] for row in found["categories"]}
    assert categories["Tools"]["moved"] == 1
    assert (categories["Graphics"]["removed"], categories["Writing"]["added"]) == (1, 1)
    shown = _run("diff", f"{out}@old", f"{out}@new")
    assert "org.example.scanner" in shown.stdout
    rows = _run("diff", f"{out}@old", f"{out}@new", "--csv").stdout.splitlines()
    assert len(rows) == 1 + 3 + 3
    same = api.diff(f"{out}@new", f"{out}@new").total
    assert same.apps["kept"] == 2
    unknown = _run("diff", f"{out}@older", out)
    assert unknown.returncode == 2
    assert "there are: new, old" in unknown.stderr

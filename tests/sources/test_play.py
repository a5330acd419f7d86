"""Google Play through a program that stands in for apkeep and writes down how it was called."""

import json
import os
import sys
from pathlib import Path

import pytest

from gaugenn.errors import MissingToolError, TransientError, UsageError
from gaugenn.sources import AppQuery, Known, SourceOptions
from gaugenn.sources.play import SETTINGS_VARIABLE, PlaySource

PROGRAM = """#!{python}
import json, os, pathlib, sys
out = pathlib.Path(sys.argv[-1])
pathlib.Path(os.environ["CALLS"]).open("a").write(json.dumps(sys.argv[1:]) + "\\n")
package = sys.argv[sys.argv.index("-a") + 1]
if package == "org.gone":
    print("login of me@example.org with aas_et/secret failed", file=sys.stderr)
    sys.exit(1)
if package == "org.split":
    (out / package).mkdir()
    for name in ("org.split.apk", "config.arm64_v8a.apk"):
        (out / package / name).write_bytes(b"PK" + name.encode())
    (out / package / "evil.apk").symlink_to("/etc/passwd")
else:
    (out / (package + ".xapk")).write_bytes(b"PK whole " + package.encode())
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "apkeep").write_text(PROGRAM.format(python=sys.executable))
    (tools / "apkeep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    (tmp_path / "apkeep.ini").write_text(
        "[google]\nemail = me@example.org\naas_token = aas_et/secret\n"
    )
    monkeypatch.setenv(SETTINGS_VARIABLE, str(tmp_path / "apkeep.ini"))
    return tmp_path / "calls"


def _source(tmp_path: Path, **more: object) -> PlaySource:
    return PlaySource("google-play", SourceOptions(cache=tmp_path, **more))  # type: ignore[arg-type]


def test_a_file_of_charts_says_which_apps_and_their_ranks(calls: Path, tmp_path: Path) -> None:
    del calls
    chart = tmp_path / "chart.csv"
    chart.write_text(
        "package,category,chart,rank,country\norg.a,Tools,free,1,\norg.split,Tools,free,2,\n"
        "org.c,Games,free,1,DE\norg.a,Tools,paid,9,\n"
    )
    source = _source(tmp_path, metadata=chart, locale="en_GB", device_profile="px_7a")
    assert source.open(Known()).device_profile == "px_7a"
    found = {ref.package: ref for ref in source.search(AppQuery(top=1))}
    assert set(found) == {"org.a", "org.c"}
    assert (found["org.a"].country, found["org.c"].country) == ("GB", "DE")
    assert found["org.a"].device_profile == "px_7a"
    assert [r.package for r in source.search(AppQuery(categories=("Tools",)))] == [
        "org.a",
        "org.split",
    ]


def test_an_app_of_one_file_and_one_of_several(calls: Path, tmp_path: Path) -> None:
    source = _source(tmp_path, locale="en_GB")
    into = tmp_path / "into"
    into.mkdir()
    one, split = source.search(AppQuery(text="org.a, org.split"))
    path = source.fetch(one, into)
    assert path.read_bytes() == b"PK whole org.a"
    assert path.suffix == ".xapk"
    folder = source.fetch(split, into)
    assert sorted(p.read_bytes() for p in folder.iterdir()) == [
        b"PKconfig.arm64_v8a.apk",
        b"PKorg.split.apk",
    ]
    assert {p.parent for p in into.rglob("*") if p.is_file()} == {into, folder}
    arguments = [json.loads(line) for line in calls.read_text().splitlines()]
    assert arguments[0][:8] == [
        *("-a", "org.a", "-d", "google-play", "-r", "1"),
        *("-o", "locale=en_GB,split_apk=true"),
    ]
    assert "secret" not in calls.read_text()


def test_what_apkeep_says_of_a_failure_is_told_without_the_account(
    calls: Path, tmp_path: Path
) -> None:
    del calls
    source = _source(tmp_path)
    (ref,) = source.search(AppQuery(text="org.gone"))
    with pytest.raises(TransientError, match="exit code 1") as caught:
        source.fetch(ref, tmp_path)
    assert "failed" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "me@example.org" not in str(caught.value)
    assert not list(tmp_path.glob(".gaugenn-*"))


def test_without_apkeep_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="cargo install apkeep"):
        _source(tmp_path).open(Known())


def test_arguments_that_could_be_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no package name"):
        list(_source(tmp_path).search(AppQuery(text="--help")))
    with pytest.raises(UsageError, match="say which apps"):
        list(_source(tmp_path).search(AppQuery()))
    for wrong in ({"locale": "x,split_apk=false"}, {"device_profile": "a b"}):
        with pytest.raises(UsageError):
            _source(tmp_path, **wrong)
    with pytest.raises(UsageError, match="knows"):
        PlaySource("elsewhere", SourceOptions(cache=tmp_path))

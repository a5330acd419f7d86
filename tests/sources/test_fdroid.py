"""A repository that the real fdroidserver made, served with and without faults."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from gaugenn.errors import SourceError, TransientError, UsageError
from gaugenn.records import AppRef
from gaugenn.sources import AppQuery, Known, SourceOptions
from gaugenn.sources.fdroid import F_DROID_FINGERPRINT, FDroidSource, _merged
from tests.sources.servers import FakeClock, Fault, FaultyServer

QUERY = AppQuery()


def _source(server: FaultyServer, clock: FakeClock, tmp_path: Path, **more: str) -> FDroidSource:
    (tmp_path / "cache").mkdir(exist_ok=True)
    options = SourceOptions(cache=tmp_path / "cache", clock=clock, requests_per_s=0, **more)  # type: ignore[arg-type]
    return FDroidSource(f"{server.address}/repo", options)


def _opened(server: FaultyServer, clock: FakeClock, tmp_path: Path) -> FDroidSource:
    source = _source(server, clock, tmp_path)
    source.open(Known())
    return source


def _by_name(refs: list[AppRef]) -> dict[str | None, AppRef]:
    return {ref.package: ref for ref in refs}


def test_apps_are_listed_as_the_index_has_them(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    source = _source(before, clock, tmp_path)
    origin = source.open(Known())
    entry = json.loads((before.folder / "repo/entry.json").read_text())
    assert origin.signer_sha256
    assert len(origin.signer_sha256) == 64
    assert origin.published_at
    found = _by_name(list(source.search(QUERY)))
    assert set(found) == {"org.example.scanner", "org.example.painter"}
    scanner = found["org.example.scanner"]
    file = (before.folder / "repo/org.example.scanner_1.apk").read_bytes()
    assert scanner.sha256 == hashlib.sha256(file).hexdigest()
    assert (scanner.size_bytes, scanner.version_code) == (len(file), 1)
    assert (scanner.title, scanner.categories) == ("Scanner", ("Tools",))
    assert entry["index"]["numPackages"] == len(found)


def test_only_apps_that_are_asked_for_are_listed(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    source = _opened(before, clock, tmp_path)
    for query in (AppQuery(categories=("graphics",)), AppQuery(text="PAINT")):
        assert [ref.package for ref in source.search(query)] == ["org.example.painter"]
    assert list(source.search(AppQuery(top=10))) == []


def test_of_several_versions_the_newest_is_listed(
    repositories: tuple[Path, Path], clock: FakeClock, tmp_path: Path
) -> None:
    server = FaultyServer(repositories[1])
    try:
        source = _opened(server, clock, tmp_path)
        assert _by_name(list(source.search(QUERY)))["org.example.scanner"].version_code == 2
        every = [
            ref for ref in source.search(AppQuery(all_versions=True)) if ref.title == "Scanner"
        ]
        assert {ref.version_code for ref in every} == {1, 2}
    finally:
        server.close()


def test_a_package_is_fetched_under_a_name_of_our_own(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    source = _opened(before, clock, tmp_path)
    ref = _by_name(list(source.search(QUERY)))["org.example.scanner"]
    path = source.fetch(ref, tmp_path)
    assert path.name == f"org.example.scanner-1-{str(ref.sha256)[:12]}.apk"
    assert path.read_bytes() == (before.folder / "repo/org.example.scanner_1.apk").read_bytes()


def test_the_pinned_signer_is_insisted_on(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    signer = str(_source(before, clock, tmp_path).open(Known()).signer_sha256)
    spaced = " ".join(signer[i : i + 2].upper() for i in range(0, 64, 2))
    assert _source(before, clock, tmp_path, fingerprint=spaced).open(Known())
    announced = f"{before.address}/repo?fingerprint={signer.upper()}"
    options = SourceOptions(cache=tmp_path, clock=clock)
    source = FDroidSource(announced, options)
    assert source.address == f"{before.address}/repo"
    assert source.open(Known()).signer_sha256 == signer
    with pytest.raises(SourceError, match="expected 0000"):
        _source(before, clock, tmp_path, fingerprint="0" * 64).open(Known())
    with pytest.raises(SourceError, match="expected 1111"):
        _source(before, clock, tmp_path).open(Known(signer_sha256="1" * 64))
    with pytest.raises(UsageError, match="64 hexadecimal"):
        _source(before, clock, tmp_path, fingerprint="12")


def test_the_known_repository_has_its_known_signer(clock: FakeClock, tmp_path: Path) -> None:
    source = FDroidSource("https://f-droid.org/repo", SourceOptions(cache=tmp_path, clock=clock))
    assert source._pinned == F_DROID_FINGERPRINT


def test_an_older_or_expired_index_is_refused(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    published = str(_source(before, clock, tmp_path).open(Known()).published_at)
    assert _source(before, clock, tmp_path).open(Known(published_at=published))
    with pytest.raises(SourceError, match="older than the one"):
        _source(before, clock, tmp_path).open(Known(published_at="2999-01-01T00:00:00+00:00"))
    clock.passed_s += 15 * 86400
    with pytest.raises(SourceError, match="has expired"):
        _source(before, clock, tmp_path).open(Known())


def test_an_entry_that_was_changed_after_it_was_signed_is_refused(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    jar = (before.folder / "repo/entry.jar").read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(jar)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b'"size"', b'"sizE"') if "entry" in name else data)
    before.always["/repo/entry.jar"] = Fault(body=buffer.getvalue())
    with pytest.raises(SourceError, match="not the file that was signed"):
        _source(before, clock, tmp_path).open(Known())


def test_an_index_that_is_not_the_signed_one_is_refused(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    whole = (before.folder / "repo/index-v2.json").read_bytes()
    for body, reason in (
        (whole.replace(b"Scanner", b"Scammer"), "listed is"),
        (whole[:-40], "listed is"),
        (whole + b" " * (20 << 20), "longer than the listed"),
    ):
        before.always["/repo/index-v2.json"] = Fault(body=body)
        source = _opened(before, clock, tmp_path)
        with pytest.raises(SourceError, match=reason):
            list(source.search(QUERY))


def test_an_index_that_is_cut_is_taken_up(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    before.faults["/repo/index-v2.json"] = [Fault(cut_after=100), Fault(status=429)]
    assert len(list(_opened(before, clock, tmp_path).search(QUERY))) == 2
    before.always["/repo/entry.jar"] = Fault(cut_after=100)
    with pytest.raises(TransientError, match="cut"):
        _opened(before, clock, tmp_path)


def test_the_index_is_kept_and_brought_up_to_date_by_a_difference(
    repositories: tuple[Path, Path], clock: FakeClock, tmp_path: Path
) -> None:
    server = FaultyServer(repositories[0])
    try:
        list(_opened(server, clock, tmp_path).search(QUERY))
        server.seen.clear()
        assert len(list(_opened(server, clock, tmp_path).search(QUERY))) == 2
        assert server.paths() == ["/repo/entry.jar"]
        server.folder = repositories[1]
        server.seen.clear()
        found = _by_name(list(_opened(server, clock, tmp_path).search(QUERY)))
        assert set(found) == {"org.example.scanner", "org.example.writer"}
        assert found["org.example.scanner"].version_code == 2
        assert [path.split("/")[2] for path in server.paths()] == ["entry.jar", "diff"]
        server.seen.clear()
        assert _by_name(list(_opened(server, clock, tmp_path).search(QUERY))).keys() == found.keys()
        assert server.paths() == ["/repo/entry.jar"]
        (cached,) = (tmp_path / "cache").iterdir()
        fresh = json.loads((repositories[1] / "repo/index-v2.json").read_text())
        assert json.loads(cached.read_text()) == fresh
    finally:
        server.close()


def test_a_damaged_cache_is_fetched_anew(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    list(_opened(before, clock, tmp_path).search(QUERY))
    (cached,) = (tmp_path / "cache").iterdir()
    cached.write_text("[")
    assert len(list(_opened(before, clock, tmp_path).search(QUERY))) == 2


@pytest.mark.parametrize(
    "name",
    [
        "/../../etc/passwd",
        "http://elsewhere/x.apk",
        "x.apk",
        "/a//b",
        "/a/./b",
        "/a\\..\\b",
        "/a\nb",
        7,
    ],
)
def test_no_name_out_of_an_index_leads_out_of_the_repository(
    before: FaultyServer, clock: FakeClock, tmp_path: Path, name: object
) -> None:
    source = _opened(before, clock, tmp_path)
    list(source.search(QUERY))
    (cached,) = (tmp_path / "cache").iterdir()
    index = json.loads(cached.read_text())
    for package in index["packages"].values():
        for version in package["versions"].values():
            version["file"]["name"] = name
    cached.write_text(json.dumps(index))
    with pytest.raises(SourceError, match="no path below it"):
        list(source.search(QUERY))


def test_a_hostile_package_name_is_no_file_name(
    before: FaultyServer, clock: FakeClock, tmp_path: Path
) -> None:
    source = _opened(before, clock, tmp_path)
    list(source.search(QUERY))
    (cached,) = (tmp_path / "cache").iterdir()
    index = json.loads(cached.read_text())
    index["packages"] = {"../../evil": index["packages"]["org.example.painter"]}
    cached.write_text(json.dumps(index))
    (ref,) = source.search(QUERY)
    assert ref.package is None
    assert source.fetch(ref, tmp_path).parent == tmp_path


@pytest.mark.parametrize(
    "index", ["[]", '{"packages": 3}', '{"packages": {"a": {"versions": []}}}']
)
def test_an_odd_index_is_a_source_error(
    before: FaultyServer, clock: FakeClock, tmp_path: Path, index: str
) -> None:
    source = _opened(before, clock, tmp_path)
    list(source.search(QUERY))
    (cached,) = (tmp_path / "cache").iterdir()
    loaded = json.loads(index)
    if isinstance(loaded, dict):
        loaded["repo"] = {"timestamp": source._timestamp_ms}
        cached.write_text(json.dumps(loaded))
        with pytest.raises(SourceError, match="odd"):
            list(source.search(QUERY))
    else:
        cached.write_text(index)
        assert len(list(source.search(QUERY))) == 2


def test_a_merge_patch_removes_replaces_and_adds() -> None:
    target = {"a": {"b": 1, "c": 2}, "d": [1], "e": 0}
    patch = {"a": {"b": None, "x": {"y": 3}}, "d": [2], "e": None}
    assert _merged(target, patch) == {"a": {"c": 2, "x": {"y": 3}}, "d": [2]}


@pytest.mark.parametrize("query", ["?token=1", "?fingerprint=" + "0" * 64 + "&key=2"])
def test_other_queries_in_an_address_are_refused_unseen(
    clock: FakeClock, tmp_path: Path, query: str
) -> None:
    with pytest.raises(UsageError, match="only") as caught:
        FDroidSource(f"https://h/repo{query}", SourceOptions(cache=tmp_path, clock=clock))
    assert "token" not in str(caught.value)

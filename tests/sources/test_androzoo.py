"""A server that behaves as AndroZoo's documentation says, and one that does not."""

import gzip
import hashlib
import urllib.parse
from pathlib import Path

import pytest

from gaugenn.errors import SourceError, TransientError, UsageError
from gaugenn.records import AppRef
from gaugenn.sources import AppQuery, Known, SourceOptions
from gaugenn.sources.androzoo import KEY_VARIABLE, AndroZooSource, _lines
from tests.sources.servers import FakeClock, Fault, FaultyServer, Seen

KEY = "0123456789abcdef0123456789abcdef"
LIST = "/static/lists/latest.csv.gz"
HEADING = (
    "sha256,sha1,md5,dex_date,apk_size,pkg_name,vercode,"
    "vt_detection,vt_scan_date,dex_size,markets\n"
)


def _package(name: str) -> bytes:
    return f"PK\x03\x04{name}".encode() * 5000


def _row(name: str, markets: str, version: int) -> str:
    data = _package(name)
    sha256 = hashlib.sha256(data).hexdigest().upper()
    return f'{sha256},S,M,2016-04-05 17:58:46,{len(data)},"{name}",{version},0,,9,{markets}\n'


ROWS = [
    _row("org.example.one", "play.google.com|anzhi", 3),
    _row("org.example.two", "fdroid", 4),
    _row("com.sample.three", "play.google.com", 5),
]
TEXT = (HEADING + ROWS[0] + "broken,row\n" + 'zz,,,,,"../x",,,,,\n' + "".join(ROWS[1:])).encode()


@pytest.fixture
def zoo(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> FaultyServer:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    (server.folder / "static/lists").mkdir(parents=True)
    (server.folder / LIST.lstrip("/")).write_bytes(gzip.compress(TEXT))
    files = {
        hashlib.sha256(_package(n)).hexdigest().upper(): _package(n)
        for n in ("org.example.one", "org.example.two", "com.sample.three")
    }

    def answer(seen: Seen) -> tuple[int, bytes | None]:
        if seen.path != "/api/download":
            return (200, None)
        given = dict(urllib.parse.parse_qsl(seen.query))
        if given.get("apikey") != KEY:
            return (403, b"")
        data = files.get(given.get("sha256", ""))
        return (404, b"") if data is None else (200, data)

    server.answer = answer  # type: ignore[assignment]
    return server


def _source(server: FaultyServer, tmp_path: Path, metadata: Path | None = None) -> AndroZooSource:
    options = SourceOptions(cache=tmp_path, clock=FakeClock(), requests_per_s=0, metadata=metadata)
    source = AndroZooSource(server.address, options)
    source.open(Known())
    return source


def _names(refs: list[AppRef]) -> list[str | None]:
    return [ref.package for ref in refs]


def test_the_list_is_read_as_it_comes_and_filtered(zoo: FaultyServer, tmp_path: Path) -> None:
    source = _source(zoo, tmp_path)
    found = list(source.search(AppQuery()))
    assert _names(found) == ["org.example.one", "org.example.two", "com.sample.three"]
    assert found[0].markets == ("play.google.com", "anzhi")
    assert (found[0].version_code, found[0].size_bytes) == (3, len(_package("org.example.one")))
    wanted = AppQuery(markets=("play.google.com",), text="example")
    assert _names(list(source.search(wanted))) == ["org.example.one"]
    with pytest.raises(UsageError, match="--market"):
        list(source.search(AppQuery(categories=("Tools",))))


def test_a_list_that_is_cut_is_taken_up(zoo: FaultyServer, tmp_path: Path) -> None:
    zoo.faults[LIST] = [
        Fault(cut_after=40),
        Fault(cut_after=60),
        Fault(cut_after=90, ignore_range=True),
    ]
    assert len(list(_source(zoo, tmp_path).search(AppQuery()))) == 3
    assert [s.headers.get("Range") for s in zoo.seen][:3] == [None, "bytes=40-", "bytes=100-"]


def test_a_copy_of_the_list_on_disk_costs_no_request(zoo: FaultyServer, tmp_path: Path) -> None:
    for name, data in (
        ("l.csv", TEXT),
        ("l.csv.gz", gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:])),
    ):
        (tmp_path / name).write_bytes(data)
        assert len(list(_source(zoo, tmp_path, tmp_path / name).search(AppQuery()))) == 3
    assert zoo.seen == []


def test_a_package_is_fetched_with_the_key_and_checked(zoo: FaultyServer, tmp_path: Path) -> None:
    source = _source(zoo, tmp_path)
    ref = next(iter(source.search(AppQuery(text="two"))))
    assert source.fetch(ref, tmp_path).read_bytes() == _package("org.example.two")
    zoo.faults["/api/download"] = [Fault(cut_after=1000)]
    other = next(iter(source.search(AppQuery(text="three"))))
    assert source.fetch(other, tmp_path).read_bytes() == _package("com.sample.three")
    assert zoo.seen[-1].headers["Range"] == "bytes=1000-"


def test_the_key_comes_from_the_environment_and_shows_nowhere(
    zoo: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _source(zoo, tmp_path)
    ref = next(iter(source.search(AppQuery())))
    assert KEY not in repr((source.address, ref))
    monkeypatch.setenv(KEY_VARIABLE, "f" * 32)
    with pytest.raises(SourceError, match="answers 403") as caught:
        source.fetch(ref, tmp_path)
    assert "f" * 32 not in str(caught.value)
    for wrong in ("", "a&b", "a b"):
        monkeypatch.setenv(KEY_VARIABLE, wrong)
        with pytest.raises(UsageError, match=KEY_VARIABLE) as said:
            source.open(Known())
        assert not wrong or wrong not in str(said.value)


def test_the_key_is_sent_over_an_encrypted_link_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="https only"):
        AndroZooSource("http://androzoo.example", SourceOptions(cache=tmp_path))


def test_a_quota_that_is_used_up_is_left_for_later(zoo: FaultyServer, tmp_path: Path) -> None:
    source = _source(zoo, tmp_path)
    ref = next(iter(source.search(AppQuery())))
    zoo.always["/api/download"] = Fault(status=429, headers={"Retry-After": "40000"})
    with pytest.raises(TransientError, match="asks to wait"):
        source.fetch(ref, tmp_path)


def test_a_bomb_of_a_list_is_refused_in_bounded_memory() -> None:
    bomb = gzip.compress(bytes(1 << 28))
    assert len(bomb) < 1 << 20
    with pytest.raises(SourceError, match="line longer"):
        list(_lines([bomb]))


@pytest.mark.parametrize("size", [1, 5, 20, 80])
def test_a_list_whose_end_is_missing_is_an_error(size: int) -> None:
    whole = gzip.compress(TEXT)
    with pytest.raises(SourceError, match="no whole gzip"):
        list(_lines([whole[:-size]]))
    assert "".join(f"{line}\n" for line in _lines([whole])).encode() == TEXT
    assert list(_lines([b""])) == []

"""Requests that are cut, refused, sent elsewhere, slowed down, lied to."""

import hashlib
import resource
import signal
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gaugenn.errors import (
    LimitError,
    SourceError,
    StorageFullError,
    TransientError,
    UsageError,
)
from gaugenn.sources import _http
from gaugenn.sources._http import HttpClient, checked_address, shown
from tests.sources.servers import FakeClock, Fault, FaultyServer

DATA = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def client(server: FaultyServer, clock: FakeClock) -> HttpClient:
    (server.folder / "f.apk").write_bytes(DATA)
    return HttpClient(clock=clock)


def _get(client: HttpClient, server: FaultyServer, to: Path, **more: str) -> None:
    client.download(f"{server.address}/f.apk", to, sha256=SHA256, size_bytes=len(DATA), **more)  # type: ignore[arg-type]


def test_a_connection_that_is_cut_is_taken_up_where_it_broke(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    server.faults["/f.apk"] = [Fault(cut_after=1000), Fault(cut_after=5000)]
    _get(client, server, tmp_path / "x.apk")
    assert (tmp_path / "x.apk").read_bytes() == DATA
    assert [s.headers.get("Range") for s in server.seen] == [None, "bytes=1000-", "bytes=6000-"]
    assert server.seen[1].headers["If-Range"] == f'"{len(DATA)}"'
    assert not (tmp_path / "x.apk.part").exists()


def test_what_a_killed_process_left_is_gone_on_with(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    (tmp_path / "x.apk.part").write_bytes(DATA[:700_000])
    _get(client, server, tmp_path / "x.apk")
    assert server.seen[0].headers["Range"] == "bytes=700000-"
    assert (tmp_path / "x.apk").read_bytes() == DATA


def test_a_part_of_another_file_is_thrown_away_and_the_file_fetched_whole(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    (tmp_path / "x.apk.part").write_bytes(b"y" * 700_000)
    _get(client, server, tmp_path / "x.apk")
    assert [s.headers.get("Range") for s in server.seen] == ["bytes=700000-", None]
    assert (tmp_path / "x.apk").read_bytes() == DATA


def test_a_server_without_ranges_sends_the_file_again_from_its_start(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    server.faults["/f.apk"] = [Fault(cut_after=5000), Fault(ignore_range=True)]
    _get(client, server, tmp_path / "x.apk")
    assert (tmp_path / "x.apk").read_bytes() == DATA


def test_another_part_than_asked_for_is_refused(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    wrong = {"Content-Range": f"bytes 7-{len(DATA) - 1}/{len(DATA)}"}
    server.faults["/f.apk"] = [Fault(cut_after=5000), Fault(status=206, headers=wrong)]
    with pytest.raises(SourceError, match="another part"):
        _get(client, server, tmp_path / "x.apk")


def test_a_wrong_checksum_is_an_error_and_leaves_nothing(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    server.always["/f.apk"] = Fault(body=b"z" * len(DATA))
    with pytest.raises(SourceError, match="listed is"):
        _get(client, server, tmp_path / "x.apk")
    assert list(tmp_path.glob("x.apk*")) == []


def test_a_file_longer_than_listed_is_cut_off(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    server.always["/f.apk"] = Fault(body=DATA + b"more")
    with pytest.raises(SourceError, match="longer than the listed"):
        _get(client, server, tmp_path / "x.apk")
    with pytest.raises(LimitError):
        client.small(f"{server.address}/f.apk", most_bytes=1000)


def test_a_file_that_is_there_costs_no_request(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    (tmp_path / "x.apk").write_bytes(DATA)
    _get(client, server, tmp_path / "x.apk")
    assert server.seen == []


def test_retry_after_is_obeyed_in_seconds_and_as_a_date(
    client: HttpClient, server: FaultyServer, clock: FakeClock
) -> None:
    date = format_datetime(clock.utc().replace(microsecond=0), usegmt=True)
    later = format_datetime(clock.start.replace(microsecond=0), usegmt=True)
    assert date == later
    server.faults["/f.apk"] = [
        Fault(status=429, headers={"Retry-After": "120"}),
        Fault(status=503, headers={"Retry-After": date}),
    ]
    client.small(f"{server.address}/f.apk", most_bytes=len(DATA))
    assert clock.slept[0] == 120.5
    assert clock.slept[1] == 0.5


def test_a_server_that_asks_for_too_much_patience_is_left_for_later(
    client: HttpClient, server: FaultyServer, clock: FakeClock
) -> None:
    server.always["/f.apk"] = Fault(status=429, headers={"Retry-After": "86400"})
    with pytest.raises(TransientError, match="asks to wait 86,400"):
        client.small(f"{server.address}/f.apk", most_bytes=10)
    assert clock.slept == []


def test_waits_double_and_end(client: HttpClient, server: FaultyServer, clock: FakeClock) -> None:
    client.requests_per_s = 0
    server.always["/f.apk"] = Fault(status=502)
    with pytest.raises(TransientError, match="the server answers 502, 6 times"):
        client.small(f"{server.address}/f.apk", most_bytes=10)
    assert clock.slept == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert len(server.seen) == _http.ATTEMPTS


def test_a_refusal_is_not_asked_again(client: HttpClient, server: FaultyServer) -> None:
    server.always["/f.apk"] = Fault(status=403)
    with pytest.raises(SourceError, match="answers 403"):
        client.small(f"{server.address}/f.apk", most_bytes=10)
    assert len(server.seen) == 1


def test_a_link_that_crawls_is_cut_and_taken_up(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ticking(FakeClock):
        def now_s(self) -> float:
            self.passed_s += 45  # every look at the clock
            return self.passed_s

    (server.folder / "f.apk").write_bytes(DATA)
    monkeypatch.setattr(_http, "_SLOWEST_BYTES_PER_S", 10**6)
    slow = HttpClient(clock=Ticking(), requests_per_s=0)
    with pytest.raises(TransientError, match="standstill"):
        slow.small(f"{server.address}/f.apk", most_bytes=len(DATA))
    assert len(server.seen) == _http.ATTEMPTS


def test_requests_to_one_host_keep_their_distance(
    client: HttpClient, server: FaultyServer, clock: FakeClock
) -> None:
    client.requests_per_s = 0.5
    for _ in range(3):
        client.small(f"{server.address}/f.apk", most_bytes=len(DATA))
    assert clock.slept == [2.0, 2.0]


def test_requests_say_who_asks(
    client: HttpClient, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAUGENN_CONTACT", "lab@example.org")
    client.small(f"{server.address}/f.apk", most_bytes=len(DATA))
    agent = server.seen[0].headers["User-Agent"]
    assert agent.startswith("gaugenn/")
    assert "lab@example.org" in agent
    monkeypatch.setenv("GAUGENN_CONTACT", "a\r\nX-Evil: 1")
    assert "Evil" not in _http.user_agent()


def test_compressed_answers_are_refused_uninflated(
    client: HttpClient, server: FaultyServer
) -> None:
    server.always["/f.apk"] = Fault(headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b" * 50)
    with pytest.raises(SourceError, match="compressed"):
        client.small(f"{server.address}/f.apk", most_bytes=1000)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[FaultyServer]:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "f.apk").write_bytes(DATA)
    other = FaultyServer(folder)
    yield other
    other.close()


def test_a_redirect_to_another_host_is_followed_only_for_what_is_verified(
    client: HttpClient, server: FaultyServer, elsewhere: FaultyServer, tmp_path: Path
) -> None:
    away = {"Location": f"{elsewhere.address}/f.apk"}
    server.always["/f.apk"] = Fault(status=302, headers=away)
    with pytest.raises(SourceError, match="another host"):
        client.small(f"{server.address}/f.apk", most_bytes=len(DATA))
    client.download(
        f"{server.address}/f.apk",
        tmp_path / "x.apk",
        sha256=SHA256,
        size_bytes=len(DATA),
        secrets={"apikey": "topsecret"},
    )
    assert (tmp_path / "x.apk").read_bytes() == DATA
    assert server.seen[-1].query == "apikey=topsecret"
    assert [s.query for s in elsewhere.seen] == [""]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", "no web address"),
        ("/f.apk", "more than 5 times"),
        ("", "no web address"),
    ],
)
def test_redirects_that_lead_nowhere_good_are_refused(
    client: HttpClient, server: FaultyServer, location: str, reason: str
) -> None:
    server.always["/f.apk"] = Fault(status=301, headers={"Location": location})
    with pytest.raises(SourceError, match=reason):
        client.small(f"{server.address}/f.apk", most_bytes=10, elsewhere=True)


def test_a_redirect_may_not_lose_encryption_or_come_home() -> None:
    with pytest.raises(SourceError, match="not encrypted"):
        _http._redirected("https://a/x", "https://a/x", "http://a/x", True)
    for inside in ("127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]"):
        with pytest.raises(SourceError, match="private network"):
            _http._redirected("https://a/x", "https://a/x", f"https://{inside}/admin", True)


def test_no_message_shows_a_key_or_a_password(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    for fault in (Fault(status=403), Fault(status=500), Fault(cut_after=10), Fault(body=b"n")):
        server.always["/f.apk"] = fault
        with pytest.raises((SourceError, TransientError)) as caught:
            client.download(
                f"{server.address}/f.apk",
                tmp_path / "k.apk",
                sha256=SHA256,
                size_bytes=len(DATA),
                secrets={"apikey": "topsecret"},
            )
        assert "topsecret" not in "".join(map(str, (caught.value, caught.value.__cause__)))
        (tmp_path / "k.apk.part").unlink(missing_ok=True)
    assert shown("https://user:pass@h/p?token=1#f") == "https://h/p"
    with pytest.raises(UsageError) as refused:
        checked_address("https://user:pass@h/p?token=1")
    assert (
        "pass" not in str(refused.value).removeprefix("https://h/p: give the address without")[:1]
    )
    assert "user:pass" not in str(refused.value)


@pytest.mark.parametrize("address", ["ftp://h/r", "http:///r", "http://h/ä", "h/r", "http://[/r"])
def test_addresses_that_are_none_are_usage_errors(address: str) -> None:
    with pytest.raises(UsageError):
        checked_address(address)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: FaultyServer, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = (tmp_path / "server.pem").resolve()
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    client, url = HttpClient(clock=FakeClock()), server.address.replace("http:", "https:")
    with pytest.raises(SourceError, match="not trusted: self-signed certificate"):
        client.small(f"{url}/f.apk", most_bytes=10)


def test_nobody_at_home_is_worth_another_try(clock: FakeClock) -> None:
    client = HttpClient(clock=clock)
    with pytest.raises(TransientError, match="no connection"):
        client.small("http://127.0.0.1:9/x", most_bytes=10)


def test_a_full_disk_keeps_the_part(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(StorageFullError, match="run the same command again"):
            _get(client, server, tmp_path / "x.apk")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    kept = (tmp_path / "x.apk.part").stat().st_size
    assert 0 < kept <= 500_000
    _get(client, server, tmp_path / "x.apk")
    assert server.seen[-1].headers["Range"] == f"bytes={kept}-"
    assert (tmp_path / "x.apk").read_bytes() == DATA


def test_too_little_room_is_said_before_anything_is_asked_for(
    client: HttpClient, server: FaultyServer, tmp_path: Path
) -> None:
    with pytest.raises(StorageFullError, match="bytes free"):
        client.download(f"{server.address}/f", tmp_path / "x", sha256=SHA256, size_bytes=2**60)
    assert server.seen == []

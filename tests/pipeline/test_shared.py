"""A scan on a Ray cluster of several processes: the same rows as here, whoever dies meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as arrow_fs
import pytest
from moto.server import ThreadedMotoServer
from tests.pipeline import packages

from gaugenn.errors import StoreError, TransientError, UsageError
from gaugenn.records import App, PackageKind
from gaugenn.store import SharedBlobs, SharedStore, Study

TABLES = ("apps", "files", "evidence", "model_files", "models", "layers", "failures")

_CLUSTER = """
import sys, ray
context = ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


def _environment() -> dict[str, str]:
    python_path = os.pathsep.join(p for p in sys.path if p)
    return os.environ | {
        "PYTHONPATH": python_path,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "for-this-cluster-alone-0123456789abcdef",
    }


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster with three workers."""
    with subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    packages.hostile_folder(folder)
    for number in range(60):
        members = {"AndroidManifest.xml": b"x", "assets/m.onnx": packages.onnx_model(number)}
        packages.package(members, folder / f"many/{number}.apk")
    return folder


def _scan(apps: Path, out: Path, *options: str, env: dict[str, str] | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "gaugenn", "scan", str(apps), "--out", str(out), "-q", *options],
        env=_environment() | (env or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _contents(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with Study(folder).connect() as connection:
        return {
            table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
            for table in TABLES
        }


def _blobs(folder: Path) -> set[str]:
    return {path.name for path in (folder / "blobs").glob("??/*")}


@pytest.fixture(scope="module")
def here(apps: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of the local pool."""
    out = tmp_path_factory.mktemp("here") / "s"
    _scan(apps, out)
    return out


def test_the_cluster_finds_what_the_local_pool_finds(
    cluster: str, apps: Path, here: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    _scan(apps, out, "--ray", cluster)
    assert _contents(out) == _contents(here)
    assert _blobs(out) == _blobs(here)
    assert not [path for path in (out / "shared").rglob("*") if path.is_file()]


def _workers() -> list[int]:
    """Processes of this cluster that work on a group right now."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                name = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if name.startswith(b"ray::_work_on_group"):
                found.append(int(folder.name))
    return found


def test_workers_that_are_killed_cost_nothing(
    cluster: str, apps: Path, here: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s"
    killed = 0
    with subprocess.Popen(
        [sys.executable, "-m", "gaugenn", "scan", str(apps), "-o", str(out), "--ray", cluster],
        env=_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None:
            for number in _workers()[: 2 - killed]:
                os.kill(number, signal.SIGKILL)
                killed += 1
            time.sleep(0.005)
        assert process.stderr is not None
        assert process.returncode == 0, process.stderr.read()
    assert killed == 2
    assert _contents(out) == _contents(here)
    assert _blobs(out) == _blobs(here)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty bucket behind a real HTTP server."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        address = f"s3://census/2026?{options}"
        made, _ = arrow_fs.FileSystem.from_uri(f"{address}&allow_bucket_creation=true")
        made.create_dir("census")
        yield address
    finally:
        server.stop()


def test_workers_put_what_they_find_into_a_bucket(
    apps: Path, here: Path, tmp_path: Path, bucket: str
) -> None:
    # Workers have the access keys from their own environment; those of a local cluster from here.
    out = tmp_path / "s"
    keys = {
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    }
    _scan(apps, out, "--ray", "local", "--workers", "2", "--shared", bucket, env=keys)
    assert _contents(out) == _contents(here)
    assert _blobs(out) == _blobs(here)
    assert SharedStore(bucket).keys() == []
    text = "".join(p.read_text(errors="replace") for p in out.rglob("*") if p.is_file())
    assert "something" not in text


def _app(number: int) -> App:
    return App(
        path=f"/apps/{number}.apk",
        app_sha256=f"{number:064x}",
        size_bytes=1,
        modified_ns=number,
        kind=PackageKind.APK,
    )


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_a_batch_is_there_whole_or_not_at_all(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = str(tmp_path) if where == "folder" else request.getfixturevalue("bucket")
    store = SharedStore(address)
    assert store.keys() == []
    store.put("a", [_app(1), _app(2)])
    store.put("a", [_app(1), _app(2)])
    assert store.keys() == ["a"]
    assert store.get("a")["apps"]["path"].to_pylist() == ["/apps/1.apk", "/apps/2.apk"]
    store.drop("a")
    assert store.keys() == []
    with pytest.raises(StoreError, match="missing"):
        store.get("a")


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_blobs_come_back_as_they_were(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = str(tmp_path) if where == "folder" else request.getfixturevalue("bucket")
    blobs = SharedBlobs(address)
    name = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"
    blobs.put(memoryview(b"aaa"), name)
    assert blobs.fetch(name, tmp_path).read_bytes() == b"aaa"
    blobs.put(memoryview(b"aaab"), name)
    with pytest.raises(StoreError, match="was changed"):
        blobs.fetch(name, tmp_path)
    with pytest.raises(StoreError, match="missing"):
        blobs.fetch("0" * 64, tmp_path)


def test_batches_that_an_interrupted_scan_left_are_taken_in_once(
    tmp_path: Path, apps: Path, cluster: str, here: Path
) -> None:
    out = tmp_path / "s"
    _scan(apps, out, "--ray", cluster)
    shared = SharedStore.inside(Study(out))
    # One batch that is in the study already, and one that is not: a package of another scan.
    twin = next(row for row in Study(out).rows(App) if row.path.endswith("/good.apk"))
    shared.put("twin", [twin])
    shared.put("left", [_app(7)])
    _scan(apps, out, "--ray", cluster)
    assert shared.keys() == []
    found = _contents(out)
    assert [row for row in found["apps"] if row[0] == "/apps/7.apk"]
    found["apps"] = [row for row in found["apps"] if row[0] != "/apps/7.apk"]
    assert found == _contents(here)


def test_odd_addresses_are_refused_with_a_reason() -> None:
    with pytest.raises(UsageError, match="give it in the environment"):
        SharedStore("s3://key:secret@bucket/prefix")
    with pytest.raises(UsageError, match="neither an absolute path"):
        SharedStore("nosuch://bucket")
    with pytest.raises(UsageError, match="neither an absolute path"):
        SharedStore("relative/folder")
    gone = SharedStore("s3://bucket/x?endpoint_override=127.0.0.1:9&scheme=http&region=eu-north-1")
    with pytest.raises(TransientError, match="cannot be reached"):
        gone.put("a", [_app(1)])


def test_a_cluster_that_is_not_there_is_said_so(tmp_path: Path, apps: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gaugenn", "scan", str(apps)),
            *("--out", str(tmp_path / "s"), "--ray", "127.0.0.1:9"),
        ],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no Ray cluster at 127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr

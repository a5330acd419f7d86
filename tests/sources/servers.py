"""Servers here that misbehave on purpose, a clock that does not wait, and a real repository."""

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gaugenn.sources import Clock

ROOT = Path(__file__).parents[2]
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
TOOLS = ("aapt2", "zipalign", "apksigner", "keytool")


class FakeClock(Clock):
    """Sleeping moves it on at once, and is written down."""

    def __init__(self) -> None:
        self.start = datetime.now(UTC)
        self.passed_s = 0.0
        self.slept: list[float] = []

    def now_s(self) -> float:
        return self.passed_s

    def utc(self) -> datetime:
        return self.start + timedelta(seconds=self.passed_s)

    def sleep(self, duration_s: float) -> None:
        self.slept.append(duration_s)
        self.passed_s += duration_s

    def jitter(self) -> float:
        return 0.5


@dataclass(slots=True)
class Fault:
    """What the server does instead of an answer; nothing said is as usual.

    Attributes:
        status: answers with this status and no body.
        headers: sends these besides.
        body: sends this instead of the file.
        cut_after: closes the connection after so many bytes of the body.
        pause_s: waits between pieces of 1 KiB.
        ignore_range: sends the whole file with status 200.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut_after: int | None = None
    pause_s: float = 0.0
    ignore_range: bool = False


@dataclass(slots=True)
class Seen:
    """A request as it came."""

    path: str
    query: str
    headers: dict[str, str]


class FaultyServer:
    """Serves a folder, with Range, and one planned fault a request until they are used up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.always: dict[str, Fault] = {}
        self.seen: list[Seen] = []
        self.answer: Callable[[Seen], tuple[int, bytes]] | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def paths(self) -> list[str]:
        return [seen.path for seen in self.seen]

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        path, _, query = handler.path.partition("?")
        seen = Seen(path, query, dict(handler.headers.items()))
        self.seen.append(seen)
        queue = self.faults[path]
        fault = queue.pop(0) if queue else self.always.get(path, Fault())
        if fault.status is not None:
            self._send(handler, fault.status, fault.headers, b"", Fault())
            return
        status, data = 200, fault.body
        if data is None and self.answer is not None:
            status, data = self.answer(seen)
        if data is None:
            file = self.folder / path.lstrip("/")
            status, data = (200, file.read_bytes()) if file.is_file() else (404, b"")
        headers = {"ETag": f'"{len(data)}"', **fault.headers}
        wanted = re.fullmatch(r"bytes=(\d+)-", seen.headers.get("Range", ""))
        if wanted and status == 200 and not fault.ignore_range:
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            status, data = (206, data[start:]) if start < len(data) else (416, b"")
        self._send(handler, status, headers, data, fault)

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        data: bytes,
        fault: Fault,
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        stop = len(data) if fault.cut_after is None else fault.cut_after
        try:
            if not fault.pause_s:
                handler.wfile.write(data[:stop])
            for at in range(0, stop if fault.pause_s else 0, 1024):
                handler.wfile.write(data[at : min(at + 1024, stop)])
                handler.wfile.flush()
                time.sleep(fault.pause_s)
        except OSError:
            pass
        if fault.cut_after is not None:
            handler.close_connection = True


def _run(*command: str | Path, folder: Path, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def build_app(folder: Path, package: str, version: int, assets: dict[str, bytes]) -> Path:
    """A signed package without code, whose assets are what the test is about."""
    place = folder / f"{package}-{version}"
    for name, data in assets.items():
        (place / "assets" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "assets" / name).write_bytes(data)
    (place / "AndroidManifest.xml").write_text(
        '<manifest xmlns:android="http://schemas.android.com/apk/res/android" '
        f'package="{package}" android:versionCode="{version}" android:versionName="{version}.0">'
        '<uses-sdk android:minSdkVersion="24" android:targetSdkVersion="34"/>'
        f'<application android:label="{package}" android:hasCode="false"/></manifest>'
    )
    link = ("aapt2", "link", "-I", FRAMEWORK, "--manifest", "AndroidManifest.xml")
    _run(*link, "-A", "assets", "-o", "base.apk", folder=place)
    _run("zipalign", "-f", "4", "base.apk", "aligned.apk", folder=place)
    key = folder / "app.p12"
    if not key.exists():
        make_key(key)
    secret = ("--ks", key, "--ks-pass", "pass:android")
    _run("apksigner", "sign", *secret, "--out", "out.apk", "aligned.apk", folder=place)
    return place / "out.apk"


def make_key(path: Path, *options: str) -> None:
    kind = options or ("-keyalg", "RSA", "-keysize", "2048")
    _run(
        *("keytool", "-genkeypair", "-keystore", path, "-storetype", "PKCS12", "-alias", "key"),
        *("-storepass", "android", "-keypass", "android", *kind, "-validity", "10000"),
        *("-dname", "CN=t"),
        folder=path.parent,
    )


def fdroid_program() -> Path:
    """The real `fdroid`, from an environment of its own: it is a program under test, not a part."""
    found = shutil.which("fdroid")
    own = ROOT / ".tools/fdroidserver/bin/fdroid"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if (found is None and not own.exists()) or missing or not FRAMEWORK.exists():
        pytest.skip("fdroidserver or Android tools are missing; scripts/test installs them")
    return own if own.exists() else Path(str(found))


class Repository:
    """A repository that the real `fdroid update` makes and signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.served = folder / "repo"
        self.program = fdroid_program()
        self.served.mkdir(parents=True)
        make_key(folder / "repo.p12")
        (folder / "config.yml").write_text(
            "repo_url: http://127.0.0.1/repo\nrepo_name: Tests\nrepo_description: Tests\n"
            "repo_keyalias: key\nkeystore: repo.p12\nkeystorepass: android\nkeypass: android\n"
            "keydname: CN=t\nrepo_maxage: 14\narchive_older: 0\n"
        )
        (folder / "config.yml").chmod(0o600)

    def put(self, package: Path, name: str, category: str) -> None:
        """Adds a package; `category` is that of its app."""
        shutil.copy(package, self.served / f"{name}.apk")
        (self.folder / "metadata").mkdir(exist_ok=True)
        app = name.rpartition("_")[0]
        (self.folder / f"metadata/{app}.yml").write_text(
            f"Categories:\n  - {category}\nName: {app.rpartition('.')[2].title()}\nSummary: x\n"
            "License: Apache-2.0\n"
        )

    def update(self) -> None:
        path = f"{self.program.parent}{os.pathsep}{os.environ['PATH']}"
        home = os.environ.get("ANDROID_HOME", "/usr/lib/android-sdk")
        _run(self.program, "update", folder=self.folder, PATH=path, ANDROID_HOME=home)

    @property
    def entry(self) -> dict[str, object]:
        loaded: dict[str, object] = json.loads((self.served / "entry.json").read_text())
        return loaded

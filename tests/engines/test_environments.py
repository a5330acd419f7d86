"""Environments: built whole or not at all, one builder at a time, errors that say what to do.

The wheels are made here and pip is kept from the network.
"""

import base64
import hashlib
import sys
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from gaugenn.engines import _environments as environments
from gaugenn.engines import load_engine
from gaugenn.engines.null import Null
from gaugenn.errors import EngineError, MissingToolError, TransientError, UsageError


class Toy(Null):
    """An engine with a wheel of its own."""

    distribution = "gaugenn-toy"
    module = "gaugenn_toy"
    default_version = "1.1"
    name = "toy"  # type: ignore[assignment]

    def requirements(self, version: str) -> tuple[str, ...]:
        return (f"gaugenn-toy=={version}",)


def write_wheel(folder: Path, version: str, source: str) -> None:
    name = f"gaugenn_toy-{version}"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("gaugenn_toy.py", source)
        info = f"{name}.dist-info"
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: gaugenn-toy\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        digest = base64.urlsafe_b64encode(hashlib.sha256(source.encode()).digest()).rstrip(b"=")
        wheel.writestr(f"{info}/RECORD", f"gaugenn_toy.py,sha256={digest.decode()},{len(source)}\n")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "1.0", "raise RuntimeError('broken on purpose')")
    write_wheel(wheels, "1.1", "value = 1")
    monkeypatch.setenv("GAUGENN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return tmp_path / "cache"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each environment that is really built."""
    made: list[str] = []
    start = environments._start

    def noting(argv: Sequence[str], limit_s: float) -> object:
        if "venv" in argv:
            made.append(argv[-1])
        return start(argv, limit_s)

    monkeypatch.setattr(environments, "_start", noting)
    return made


def left_over(cache: Path) -> list[str]:
    return [p.name for p in (cache / "engines").iterdir() if p.name.startswith(".building")]


def test_two_builders_after_an_interrupted_one_build_once_what_is_found_started_and_removed(
    cache: Path, builds: list[str]
) -> None:
    toy = Toy()
    (cache / "engines" / ".building-toy-1.1-killed").mkdir(parents=True)
    (cache / "engines" / "toy-1.1").mkdir()
    assert environments.find(toy, "1.1") is None
    with pytest.raises(MissingToolError, match=r"gaugenn engines install toy==1\.1"):
        environments.program(toy, "1.1")

    both: list[environments.Installation] = []
    threads = [
        threading.Thread(target=lambda: both.append(environments.install(toy))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made, same = both
    assert made == same
    assert made == environments.find(toy, "1.1")
    assert made.folder == cache / "engines" / "toy-1.1"
    assert "gaugenn-toy==1.1" in made.resolved
    assert made.python == ".".join(map(str, sys.version_info[:3]))
    assert left_over(cache) == []
    named = environments.library_digest(toy, "1.1")
    assert named is not None
    assert environments.library_digest(toy, "1.0") is None
    library = next(made.folder.glob("lib/python*/site-packages"))
    record = next(library.glob("gaugenn_toy-1.1.dist-info/RECORD"))
    record.write_text(record.read_text() + "../../../bin/toy,sha256=abc,1\nlate.pyc,,\n")
    assert environments.library_digest(toy, "1.1") == named
    record.write_text(
        record.read_text().replace("gaugenn_toy.py,sha256=", "gaugenn_toy.py,sha256=X")
    )
    assert environments.library_digest(toy, "1.1") != named
    assert environments.install(toy, "1.1") == made
    assert len(builds) == 1
    assert environments.installed() == (made,)

    program = environments.program(toy, "1.1")
    assert program[:2] == (str(made.interpreter), "-I")
    assert Path(program[2]).read_text() == toy.worker()
    assert environments.program(toy, "1.1") == program
    ended = environments._start([program[0], "-I", "-c", "import gaugenn_toy"], 60)
    assert ended.returncode == 0

    assert environments.remove(toy, "1.1")
    assert environments.installed() == ()
    assert not made.folder.exists()
    assert not environments.remove(toy, "1.1")


def test_a_library_that_cannot_be_imported_is_not_installed(cache: Path) -> None:
    with pytest.raises(EngineError, match=r"gaugenn_toy cannot be imported: .*broken on purpose"):
        environments.install(Toy(), "1.0")
    assert environments.installed() == ()
    assert left_over(cache) == []


def test_a_version_that_is_not_there_is_a_usage_error_that_lists_those_there_are(
    cache: Path,
) -> None:
    with pytest.raises(UsageError, match=r"toy==9 .*there are 1\.0, 1\.1"):
        environments.install(Toy(), "9")
    assert left_over(cache) == []


def test_an_index_that_cannot_be_reached_is_a_transient_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del cache
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(TransientError, match="index cannot be reached"):
        environments.install(Toy(), "1.1")


def test_an_interrupted_build_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        assert left_over(cache)
        raise KeyboardInterrupt

    monkeypatch.setattr(environments, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environments.install(Toy())
    assert left_over(cache) == []
    assert environments.installed() == ()


@pytest.mark.parametrize("version", ["../x", "", "a b", "1;2", "1..2", "-r x", "x" * 99])
def test_a_version_that_is_none_never_reaches_pip_or_the_disk(cache: Path, version: str) -> None:
    with pytest.raises(UsageError, match="no version"):
        environments.find(Toy(), version)
    assert not cache.exists()


def test_an_engine_without_a_wheel_runs_in_this_interpreter(cache: Path) -> None:
    del cache
    null = load_engine("null")
    assert environments.program(null, "1")[0] == sys.executable
    with pytest.raises(UsageError, match="needs no installation"):
        environments.install(null)


def test_the_cache_folder_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAUGENN_CACHE", "/a")
    assert environments.cache_folder() == Path("/a")
    monkeypatch.delenv("GAUGENN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert environments.cache_folder() == Path("/b/gaugenn")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert environments.cache_folder() == Path("/c/.cache/gaugenn")


def test_a_damaged_marker_is_no_installation(cache: Path) -> None:
    folder = cache / "engines" / "toy-1.1"
    folder.mkdir(parents=True)
    for text in ("", "[]", "{}", '{"engine": "null"}', "\x00"):
        (folder / environments.MARKER).write_text(text)
        assert environments.installed() == ()

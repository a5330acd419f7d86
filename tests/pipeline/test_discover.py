"""From paths to files."""

import os
from pathlib import Path

import pytest

from gaugenn.errors import UsageError
from gaugenn.pipeline.discover import FoundFile, discover
from gaugenn.records import Failure


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.apk", "a.apk", "inner/c.apk", "inner/deep/d.tflite"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def _names(tree: Path, *paths: Path | str) -> list[str]:
    found = list(discover(paths))
    assert all(isinstance(f, FoundFile) for f in found)
    return [f.path.relative_to(tree).as_posix() for f in found if isinstance(f, FoundFile)]


def test_a_folder_gives_every_file_below_it_in_a_stable_order(tree: Path) -> None:
    assert _names(tree, tree) == ["a.apk", "b.apk", "inner/c.apk", "inner/deep/d.tflite"]


def test_patterns_are_expanded_and_nothing_comes_twice(tree: Path) -> None:
    assert _names(tree, f"{tree}/*.apk", tree / "a.apk", f"{tree}/**/c.apk") == [
        *("a.apk", "b.apk", "inner/c.apk"),
    ]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tree: Path) -> None:
    (tree / "[x].apk").write_bytes(b"x")
    assert _names(tree, tree / "[x].apk") == ["[x].apk"]


@pytest.mark.parametrize("path", ["nothing.apk", "*.zip", ""])
def test_a_path_that_is_not_there_is_a_usage_error(tree: Path, path: str) -> None:
    given = f"{tree}/{path}" if path else ""
    with pytest.raises(UsageError, match=r"no such file|matches no file|empty path"):
        list(discover([given]))


def test_links_in_circles_end_and_broken_links_are_failures(tree: Path) -> None:
    (tree / "inner/circle").symlink_to(tree)
    (tree / "broken.apk").symlink_to(tree / "gone")
    found = list(discover([tree]))
    failures = [f for f in found if isinstance(f, Failure)]
    assert [Path(f.subject).name for f in failures] == ["broken.apk"]
    assert len(found) == 5


def test_a_pipe_is_a_failure_and_is_not_opened(tree: Path) -> None:
    os.mkfifo(tree / "pipe.apk")
    failures = [f for f in discover([tree]) if isinstance(f, Failure)]
    assert ["no regular file" in f.message for f in failures] == [True]


def test_a_folder_that_cannot_be_listed_is_a_failure_and_the_walk_goes_on(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may list everything, so the refusal is planted where the system would give it.
    real = os.scandir

    def scandir(path: str) -> "os.ScandirIterator":  # type: ignore[name-defined]
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(discover([tree]))
    assert [type(f).__name__ for f in found] == ["FoundFile"] * 3 + ["Failure"]
    failure = found[-1]
    assert isinstance(failure, Failure)
    assert "Permission denied" in failure.message

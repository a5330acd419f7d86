"""Releases that an index offers, from wheels made here; pip is kept from the network."""

import sys
from pathlib import Path

import pytest
from tests.engines.test_environments import Toy, write_wheel

from gaugenn.engines import _environments, load_engine
from gaugenn.engines._releases import Pip, releases
from gaugenn.errors import EngineError, UsageError
from gaugenn.records import version_key


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of toy wheels; the pip that is asked is this interpreter's."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for version in ("1.9", "1.10", "2.0", "2.1rc1"):
        write_wheel(wheels, version, "value = 1")
    monkeypatch.setenv("GAUGENN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def fake_pip(monkeypatch: pytest.MonkeyPatch, answers: dict[str | None, str | None]) -> None:
    """What pip answers, by the day before which a release has to be uploaded."""

    def answer(_: object, arguments: tuple[str, ...]) -> str | None:
        assert arguments[:3] == ("index", "versions", "gaugenn-toy")
        return answers[arguments[-1] if "--uploaded-prior-to" in arguments else None]

    monkeypatch.setattr(_environments, "install", lambda engine: engine.name)
    monkeypatch.setattr(_environments, "pip_answer", answer)


OFFERED = '{"name": "gaugenn-toy", "versions": ["2.0", "1.10", "1.9"], "latest": "2.0"}'


def test_versions_are_ordered_by_their_numbers() -> None:
    texts = ["1.10.0", "1.9.2", "2.0", "1.0.20250101", "1.9.10+cpu"]
    ordered = sorted(texts, key=version_key)
    assert ordered == ["1.0.20250101", "1.9.2", "1.9.10+cpu", "1.10.0", "2.0"]


def test_releases_come_oldest_first_from_a_version_or_the_newest_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_pip(monkeypatch, {None: OFFERED})
    assert releases(Toy()) == ("1.9", "1.10", "2.0")
    assert releases(Toy(), since="1.10") == ("1.10", "2.0")
    assert releases(Toy(), newest=1) == ("2.0",)
    with pytest.raises(UsageError, match=r"no release with a wheel for this Python since 3"):
        releases(Toy(), since="3")


def test_a_day_leaves_out_what_was_uploaded_before(monkeypatch: pytest.MonkeyPatch) -> None:
    older = '{"versions": ["1.9"]}'
    fake_pip(monkeypatch, {None: OFFERED, "2025-06-30T00:00:00Z": older})
    assert releases(Toy(), since="2025-06-30") == ("1.10", "2.0")
    fake_pip(monkeypatch, {None: OFFERED, "2020-01-01T00:00:00Z": None})
    assert releases(Toy(), since="2020-01-01") == ("1.9", "1.10", "2.0")


@pytest.mark.parametrize("text", ["", "[]", '{"versions": null}', "Available versions: 1"])
def test_an_answer_that_pip_never_gives_is_an_engine_error(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    fake_pip(monkeypatch, {None: text})
    with pytest.raises(EngineError, match="no such answer"):
        releases(Toy())


def test_an_engine_without_a_wheel_has_no_releases() -> None:
    with pytest.raises(UsageError, match="no package index"):
        releases(load_engine("null"))


def test_what_pip_does_not_find_is_none_and_what_it_does_not_understand_an_error(
    index: Path,
) -> None:
    del index
    pip = _environments.Installation(
        engine="pip", version="", folder=Path(sys.prefix), python="", resolved=()
    )
    assert _environments.pip_answer(pip, ("download", "gaugenn-nothing==1")) is None
    with pytest.raises(EngineError, match="pip nonsense"):
        _environments.pip_answer(pip, ("nonsense",))
    assert Pip().requirements("26.3") == ("pip==26.3",)


def test_older_onnx_runtimes_get_the_numpy_they_were_built_with() -> None:
    engine = load_engine("onnxruntime")
    assert engine.requirements("1.18.1") == ("onnxruntime==1.18.1", "numpy<2")
    assert engine.requirements("1.19.0") == ("onnxruntime==1.19.0", "numpy")


@pytest.mark.parametrize("since", ["foo", "", "-1"])
def test_what_is_neither_a_version_nor_a_day_is_refused(since: str) -> None:
    with pytest.raises(UsageError, match="no version"):
        releases(Toy(), since=since)

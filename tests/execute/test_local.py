"""One bad item costs one item."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaugenn.errors import FormatError, LimitError
from gaugenn.execute.local import LocalPool


def behave(item: str) -> str:
    if item == "raise":
        raise FormatError("as asked")
    if item == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "exit":
        os._exit(3)
    if item == "hang":
        time.sleep(60)
    return item.upper()


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    # Workers import the function by its module's name.
    monkeypatch.setitem(sys.modules, "test_local", sys.modules[__name__])
    monkeypatch.setattr(behave, "__module__", "test_local")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_every_item_has_an_outcome() -> None:
    items = [f"item {n}" for n in range(50)]
    with LocalPool(3) as pool:
        outcomes = list(pool.map(behave, items))
    assert sorted(o.item for o in outcomes) == sorted(items)
    assert all(o.value == o.item.upper() and o.error is None for o in outcomes)


def test_an_error_comes_back_as_itself() -> None:
    with LocalPool(1) as pool:
        (outcome,) = pool.map(behave, ["raise"])
    assert isinstance(outcome.error, FormatError)
    assert str(outcome.error) == "as asked"


@pytest.mark.parametrize(("bad", "cause"), [("segfault", "SIGSEGV"), ("exit", "exit code 3")])
def test_a_worker_that_dies_costs_its_own_item(bad: str, cause: str) -> None:
    with LocalPool(2) as pool:
        outcomes = {o.item: o for o in pool.map(behave, ["a", bad, "b", bad + "?", "c"])}
    assert isinstance(outcomes[bad].error, LimitError)
    assert cause in str(outcomes[bad].error)
    assert [outcomes[i].value for i in "abc"] == ["A", "B", "C"]


def test_a_worker_that_hangs_is_ended() -> None:
    with LocalPool(2, item_limit_s=1.5) as pool:
        outcomes = {o.item: o for o in pool.map(behave, ["a", "hang", "b"])}
    assert "longer than 1.5 s" in str(outcomes["hang"].error)
    assert outcomes["b"].value == "B"


def test_items_are_drawn_only_as_workers_get_free() -> None:
    drawn = 0

    def endless() -> "list[str]":  # a generator, typed loosely for the pool
        nonlocal drawn
        while True:
            drawn += 1
            yield f"{drawn}"

    with LocalPool(2) as pool:
        outcomes = pool.map(behave, endless())
        for _ in range(5):
            next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]
    assert drawn <= 5 + 2


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, test_local\n"
        "from gaugenn.execute.local import LocalPool\n"
        "pool = LocalPool(1)\n"
        "list(pool.map(test_local.behave, ['a']))\n"
        "print(pool._workers[0]._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment, check=False
    )
    worker = int(done.stdout)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and _state(worker) != "Z":
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"

"""Launches: fresh processes in randomised blocks, resumed where they stopped, failures counted."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from gaugenn.bench import launch as launch_module
from gaugenn.bench.campaign import Ended, Progress, campaign, ended, host_programs
from gaugenn.bench.launch import LocalFile
from gaugenn.devices import Device, Output
from gaugenn.devices.host import HostDevice
from gaugenn.engines import load_engine
from gaugenn.errors import DeviceError, MissingToolError
from gaugenn.records import Environment, Job, JobRecord, Run, RunStatus

TRANSCRIPT = Path(__file__).parents[1] / "engines" / "transcripts" / "null.txt"


def record(word: str = "", launches: int = 2, **changes: object) -> JobRecord:
    """A short job on a file that tells the null engine what to do."""
    fields = {
        "model_sha256": f"{word:->64}",
        "format": "onnx",
        "engine": "null",
        "engine_version": "1",
        "device": "host",
        "warmup_minimum_count": 1,
        "warmup_minimum_s": 0.0,
        "steady_minimum_count": 6,
        "steady_minimum_s": 0.0,
        "launch_maximum_s": 5.0,
    }
    asked = ("launches_maximum", "precision", "control")
    fields |= {name: value for name, value in changes.items() if name not in asked}
    job = Job(**fields)  # type: ignore[arg-type]
    how_often = {name: value for name, value in changes.items() if name in asked}
    return JobRecord(job_sha256=job.job_sha256, job=job, launches=launches, **how_often)  # type: ignore[arg-type]


@pytest.fixture
def files(tmp_path: Path) -> Callable[[str], Sequence[LocalFile]]:
    def find(model_sha256: str) -> Sequence[LocalFile]:
        path = tmp_path / "model"
        path.write_text(f"gaugenn-null {model_sha256.lstrip('-')}\n")
        return (LocalFile(name="model.null", path=path),)

    return find


def launch_all(
    jobs: Sequence[JobRecord], device: Device, files: Callable[[str], Sequence[LocalFile]]
) -> list[Run]:
    launches = campaign(
        jobs,
        device=device,
        environment=device.info(),
        programs=host_programs(jobs),
        files=files,
    )
    return [run for runs in launches for run in runs]


class Scripted(Device):
    """A device that answers as it is told, without any process."""

    def __init__(
        self, answers: Mapping[str, Sequence[Output | BaseException]] | None = None
    ) -> None:
        self.answers = {word: list(given) for word, given in (answers or {}).items()}
        self.pushed: list[str] = []

    def info(self) -> Environment:
        return Environment(
            environment_sha256="e" * 64,
            device="scripted",
            device_kind="scripted",
            operating_system="none",
            kernel="none",
            architecture="none",
            processor_model="none",
            logical_cores=4,
            memory_bytes=None,
            maximum_frequency_hz=None,
            governor=None,
            gaugenn_version="0",
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 600.0,
    ) -> Output:
        del environment, timeout_s
        for word, given in self.answers.items():
            if f"{word:->64}"[:16] in argv[-1] and given:
                answer = given.pop(0)
                if isinstance(answer, BaseException):
                    raise answer
                return answer
        return Output(exit_code=0, stdout=TRANSCRIPT.read_text(), stderr="", wall_s=0.5)

    def push(self, local: Path, name: str) -> str:
        del local
        self.pushed.append(name)
        return f"/there/{name}"

    def pull(self, remote: str, local: Path) -> None:
        raise NotImplementedError


def long_word(letter: str) -> str:
    """A model's name that differs from others in its first 16 characters."""
    return letter * 64


def scripted_jobs(launches: int = 3) -> list[JobRecord]:
    return [record(long_word(letter), launches) for letter in "abcdef"]


def keys(runs: Sequence[Run]) -> list[tuple[str, int]]:
    return [(run.job_sha256, run.launch) for run in runs]


def test_a_run_holds_everything_that_was_measured(
    host: HostDevice, files: Callable[[str], Sequence[LocalFile]]
) -> None:
    job = record()
    first, second = launch_all([job], host, files)
    assert keys([first, second]) == [(job.job_sha256, 0), (job.job_sha256, 1)]
    assert first.status is RunStatus.OK
    assert first.reason is None
    assert first.timings is not None
    assert second.timings is not None
    assert len(first.timings.steady_s) == 6
    assert first.timings.outputs == second.timings.outputs
    assert first.timings.input_sha256 == second.timings.input_sha256
    assert first.wall_s > sum(first.timings.steady_s)
    assert first.load_average is not None
    assert first.environment_sha256 == host.info().environment_sha256
    assert first.argv[0] == sys.executable
    assert first.started_at.endswith("+00:00")


@pytest.mark.parametrize(
    ("word", "status", "reason", "launches"),
    [
        ("refuse", RunStatus.REFUSED, "load: the model file says so", 1),
        ("error", RunStatus.REFUSED, "load: RuntimeError: the model file says so", 1),
        ("memory", RunStatus.REFUSED, "load: it needs more memory than the process may have", 1),
        ("crash", RunStatus.CRASHED, "killed by SIGSEGV during load", 2),
        ("killed", RunStatus.CRASHED, "killed by SIGKILL during load", 2),
        ("exit", RunStatus.GARBLED, "the worker ended without an answer during load", 2),
        ("hang", RunStatus.TIMEOUT, "ended by us after 1 s during load", 2),
        ("spawn", RunStatus.GARBLED, "the worker ended without an answer during load", 2),
    ],
)
def test_every_way_to_fail_has_its_status_and_reason_and_is_not_tried_for_ever(
    word: str,
    status: RunStatus,
    reason: str,
    launches: int,
    host: HostDevice,
    files: Callable[[str], Sequence[LocalFile]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch_module, "time_limit_s", lambda _: 1.0 if word == "hang" else 60.0)
    runs = launch_all([record(word, launches=5)], host, files)
    assert [run.status for run in runs] == [status] * launches
    assert {run.reason for run in runs} == {reason}
    assert [run.timings for run in runs] == [None] * launches


def test_a_launch_does_not_outlive_a_campaign_that_is_killed(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.write_text("gaugenn-null hang\n")
    argv = load_engine("null").command(
        record().job, host_programs([record()])["null", "1"], [str(model)]
    )
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, start_new_session=True)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "child.wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code, *argv], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        launched = Path(f"/proc/{int(parent.stdout.readline())}/stat")
        assert launched.exists()
        parent.kill()
    for _ in range(250):
        if not launched.exists() or launched.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.02)
    pytest.fail("the launch is still there")


def test_a_library_that_prints_much_does_not_harm_its_result(
    host: HostDevice, files: Callable[[str], Sequence[LocalFile]]
) -> None:
    (run,) = launch_all([record("chatter", 1)], host, files)
    assert run.status is RunStatus.OK
    assert "chatter on standard output" in run.log_tail
    assert len(run.log_tail) == 2000


@pytest.mark.parametrize(
    ("word", "note"),
    [("zeros", "outputs-all-zero"), ("drift", "outputs-change"), ("nan", "dynamic-sizes-as-1")],
)
def test_odd_outputs_are_noted(
    word: str, note: str, host: HostDevice, files: Callable[[str], Sequence[LocalFile]]
) -> None:
    (run,) = launch_all([record(word, 1)], host, files)
    assert run.timings is not None
    assert note in run.timings.notes
    assert run.timings.outputs[0].not_finite == (64 if word == "nan" else 0)


def test_a_launch_ends_near_its_time_limit_and_says_so(
    host: HostDevice, files: Callable[[str], Sequence[LocalFile]]
) -> None:
    slow = record("slow", 1, launch_maximum_s=3.0, steady_minimum_count=1000)
    (run,) = launch_all([slow], host, files)
    assert run.timings is not None
    assert "time-limit" in run.timings.notes
    assert 0 < len(run.timings.steady_s) < 1000


def test_a_big_parent_does_not_show_in_the_memory_of_a_launch(
    host: HostDevice, files: Callable[[str], Sequence[LocalFile]]
) -> None:
    ballast = os.urandom(1 << 20) * 300
    (run,) = launch_all([record("", 1)], host, files)
    assert run.timings is not None
    assert run.timings.peak_memory_bytes is not None
    assert run.timings.peak_memory_bytes < len(ballast)


def test_an_engine_that_is_not_installed_is_named_with_its_command() -> None:
    with pytest.raises(MissingToolError, match=r"gaugenn engines install litert==0\.0\.1"):
        host_programs([record(engine="litert", engine_version="0.0.1")])


def run_scripted(
    jobs: Sequence[JobRecord],
    device: Scripted,
    files: Callable[[str], Sequence[LocalFile]],
    **options: object,
) -> Iterator[Run]:
    launches = campaign(
        jobs,
        device=device,
        environment=device.info(),
        programs={("null", "1"): ("python", "worker.py")},
        files=files,
        **options,  # type: ignore[arg-type]
    )
    return (run for runs in launches for run in runs)


def test_blocks_are_complete_and_each_has_its_own_order(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    jobs = scripted_jobs(launches=4)
    runs = keys(list(run_scripted(jobs, Scripted(), files)))
    blocks = [runs[i : i + 6] for i in range(0, 24, 6)]
    for index, block in enumerate(blocks):
        assert {launch for _, launch in block} == {index}
        assert len({job for job, _ in block}) == 6
    assert len({tuple(job for job, _ in block) for block in blocks}) > 1


def test_the_order_comes_from_the_seed_alone(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    jobs = scripted_jobs()
    first = keys(list(run_scripted(jobs, Scripted(), files, seed=1)))
    assert first == keys(list(run_scripted(jobs[::-1], Scripted(), files, seed=1)))
    assert first != keys(list(run_scripted(jobs, Scripted(), files, seed=2)))


def test_a_stopped_campaign_goes_on_where_it_stopped(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    jobs = scripted_jobs()
    whole = keys(list(run_scripted(jobs, Scripted(), files)))
    stopped = run_scripted(jobs, Scripted(), files)
    before = [next(stopped) for _ in range(8)]
    stopped.close()  # type: ignore[attr-defined]
    done = {(run.job_sha256, run.launch): ended(run) for run in before}
    after = list(run_scripted(jobs, Scripted(), files, done=done))
    assert keys(before) + keys(after) == whole


def test_more_launches_can_be_asked_for_later(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    few = list(run_scripted(scripted_jobs(2), Scripted(), files))
    done = {(run.job_sha256, run.launch): ended(run) for run in few}
    more = list(run_scripted(scripted_jobs(3), Scripted(), files, done=done))
    assert {launch for _, launch in keys(more)} == {2}
    assert len(more) == 6


def test_what_was_given_up_before_is_not_tried_again(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    refused, crashed, other = scripted_jobs(4)[:3]
    done = {
        (refused.job_sha256, 0): Ended(status=RunStatus.REFUSED),
        (crashed.job_sha256, 0): Ended(status=RunStatus.CRASHED),
    }
    answers = {long_word("b"): [Output(exit_code=139, stdout="", stderr="", wall_s=0.0)]}
    runs = list(run_scripted([refused, crashed, other], Scripted(answers), files, done=done))
    by_job = {
        j.job_sha256: [r for r in runs if r.job_sha256 == j.job_sha256]
        for j in (refused, crashed, other)
    }
    assert by_job[refused.job_sha256] == []
    assert [r.reason for r in by_job[crashed.job_sha256]] == ["killed by SIGSEGV"]
    assert len(by_job[other.job_sha256]) == 4


def test_one_crash_does_not_end_a_job(files: Callable[[str], Sequence[LocalFile]]) -> None:
    answers = {long_word("a"): [Output(exit_code=134, stdout="", stderr="", wall_s=0.0)]}
    runs = list(run_scripted([record(long_word("a"), 4)], Scripted(answers), files))
    assert [r.status.value for r in runs] == ["crashed", "ok", "ok", "ok"]


def test_a_result_from_a_process_that_dies_afterwards_counts(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    answer = Output(exit_code=139, stdout=TRANSCRIPT.read_text(), stderr="", wall_s=0.0)
    (run,) = run_scripted([record(long_word("a"), 1)], Scripted({long_word("a"): [answer]}), files)
    assert run.status is RunStatus.OK


def test_a_lost_device_ends_the_campaign_and_its_launch_is_made_again(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    job = record(long_word("a"), 2)
    lost = Scripted({long_word("a"): [DeviceError("link lost")]})
    launches = run_scripted([job], lost, files)
    runs = [next(launches)]
    with pytest.raises(DeviceError, match="host: link lost"):
        next(launches)
    assert [(run.launch, run.status) for run in runs] == [(0, RunStatus.LOST)]
    done = {(run.job_sha256, run.launch): ended(run) for run in runs}
    again = list(run_scripted([job], Scripted(), files, done=done))
    assert [(run.launch, run.status) for run in again] == [(0, RunStatus.OK), (1, RunStatus.OK)]


def test_an_interrupt_passes_through(files: Callable[[str], Sequence[LocalFile]]) -> None:
    device = Scripted({long_word("a"): [KeyboardInterrupt()]})
    with pytest.raises(KeyboardInterrupt):
        list(run_scripted([record(long_word("a"), 2)], device, files))


def test_progress_counts_what_was_done_before(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    jobs = scripted_jobs(2)
    done = {(jobs[0].job_sha256, 0): Ended(status=RunStatus.REFUSED)}
    seen: list[Progress] = []
    list(run_scripted(jobs, Scripted(), files, done=done, progress=seen.append))
    assert len(seen) == 10
    assert {p.total for p in seen} == {12}
    assert [p.finished for p in seen] == sorted(p.finished for p in seen)
    assert max(p.finished for p in seen) <= 11


def test_files_keep_their_names_in_a_folder_of_their_model(tmp_path: Path) -> None:
    def pair(_: str) -> Sequence[LocalFile]:
        return (
            LocalFile(name="net.param", path=tmp_path / "1"),
            LocalFile(name="net.bin", path=tmp_path / "2"),
        )

    device = Scripted()
    (run,) = run_scripted([record(long_word("a"), 1)], device, pair)
    assert device.pushed == [f"{'a' * 16}/net.param", f"{'a' * 16}/net.bin"]
    assert '["/there/aaaaaaaaaaaaaaaa/net.param","/there/aaaaaaaaaaaaaaaa/net.bin"]' in run.argv[-1]


@pytest.mark.parametrize(
    ("name", "pushed"),
    [
        ("..", "model"),
        ("a/../../../x.onnx", "model.onnx"),
        ("na\0me.tflite", "model.tflite"),
        ("\udcff.param", "model.param"),
        ("x" * 300 + ".onnx", "model.onnx"),
        ("mod\u00e8le.ort", "model.ort"),
        ("plain-name_1.0.param.bin", "plain-name_1.0.param.bin"),
    ],
)
def test_an_odd_name_of_a_graph_file_is_replaced(tmp_path: Path, name: str, pushed: str) -> None:
    device = Scripted()
    job = record(long_word("a"), 1)
    (run,) = run_scripted([job], device, lambda _: [LocalFile(name=name, path=tmp_path / "1")])
    assert run.status is RunStatus.OK
    assert device.pushed == [f"{'a' * 16}/{pushed}"]


@pytest.mark.parametrize("name", ["../../data.bin", "\udcff", "x" * 300, ""])
def test_a_companion_whose_name_cannot_be_kept_refuses_its_job_alone(
    tmp_path: Path, name: str
) -> None:
    def pair(model_sha256: str) -> Sequence[LocalFile]:
        graph = LocalFile(name="m.onnx", path=tmp_path / "1")
        odd = LocalFile(name=name, path=tmp_path / "2")
        return (graph, odd) if model_sha256.startswith("a") else (graph,)

    jobs = [record(long_word("a"), 2), record(long_word("b"), 2)]
    runs = list(run_scripted(jobs, Scripted(), pair))
    by_status = {s: [r for r in runs if r.status is s] for s in (RunStatus.OK, RunStatus.REFUSED)}
    assert [len(found) for found in by_status.values()] == [2, 1]
    assert "working folder" in str(by_status[RunStatus.REFUSED][0].reason)


def test_a_model_whose_file_is_gone_is_refused_alone(
    host: HostDevice, files: Callable[[str], Sequence[LocalFile]], tmp_path: Path
) -> None:
    gone, there = record("gone", 2), record("", 2)

    def find(model_sha256: str) -> Sequence[LocalFile]:
        if model_sha256.endswith("gone"):
            return (LocalFile(name="m", path=tmp_path / "nothing"),)
        return files(model_sha256)

    runs = launch_all([gone, there], host, find)
    found = sorted((run.status.value, run.job_sha256) for run in runs)
    assert found == [
        ("ok", there.job_sha256),
        ("ok", there.job_sha256),
        ("refused", gone.job_sha256),
    ]


def test_no_jobs_are_no_runs(files: Callable[[str], Sequence[LocalFile]]) -> None:
    assert list(run_scripted([], Scripted(), files)) == []


def test_jobs_with_different_launches_leave_the_later_blocks(
    files: Callable[[str], Sequence[LocalFile]],
) -> None:
    one, other = scripted_jobs(1)[0], scripted_jobs(3)[1]
    runs = keys(list(run_scripted([one, other], Scripted(), files)))
    assert sorted(launch for job, launch in runs if job == one.job_sha256) == [0]
    assert sorted(launch for job, launch in runs if job == other.job_sha256) == [0, 1, 2]


def test_the_time_limit_leaves_room_for_one_long_inference() -> None:
    job = dataclasses.replace(record().job, launch_maximum_s=10.0)
    assert launch_module.time_limit_s(job) == 80.0

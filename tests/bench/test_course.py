"""How long a campaign goes on: until it is precise, or its budget or its most launches are reached."""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from tests.bench.test_campaign import TRANSCRIPT, Scripted, record

from gaugenn.bench.campaign import Done, Progress, campaign, ended
from gaugenn.bench.launch import LocalFile
from gaugenn.devices import Output
from gaugenn.errors import UsageError
from gaugenn.records import JobRecord, Run


def answer(latency_s: float, wall_s: float = 1.0) -> Output:
    """What the null engine prints, with another latency."""
    import hashlib

    *phases, line = TRANSCRIPT.read_text().rstrip("\n").splitlines()
    value = json.loads(line.split(" ", 2)[2])
    value["steady_s"] = [latency_s] * 5
    text = json.dumps(value)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Output(
        exit_code=0,
        stdout="\n".join((*phases, f"gaugenn-result {digest} {text}\n")),
        stderr="",
        wall_s=wall_s,
    )


def answers(variation: float, count: int = 40) -> list[Output]:
    """Launches around 10 ms with a spread between them."""
    draw = random.Random(variation)
    return [answer(0.01 * math.exp(draw.gauss(0, variation))) for _ in range(count)]


def adaptive(letter: str, model: str = "m", minimum: int = 5, maximum: int = 30) -> JobRecord:
    """A job of a model that is to be known to 2 %; the letter sets it apart."""
    return record(model * 64, minimum, seed=ord(letter), launches_maximum=maximum, precision=0.02)


def device(spreads: Mapping[JobRecord, Sequence[Output]]) -> Scripted:
    """Answers each job with its own launches, told apart by the seed in its order."""

    class Seeded(Scripted):
        def run(self, argv: Sequence[str], **_: object) -> Output:
            seed = json.loads(argv[-1])["seed"]
            return self.answers[str(seed)].pop(0)

    return Seeded({str(r.job.seed): given for r, given in spreads.items()})


def launch_all(
    spreads: Mapping[JobRecord, Sequence[Output]], **options: object
) -> Iterator[tuple[Run, ...]]:
    opened = device(spreads)
    return campaign(
        list(spreads),
        device=opened,
        environment=opened.info(),
        programs={("null", "1"): ("python", "worker.py")},
        files=lambda _: [LocalFile(name="m", path=Path("m"))],
        **options,  # type: ignore[arg-type]
    )


def counts(runs: Sequence[tuple[Run, ...]], *records: JobRecord) -> list[int]:
    names = [run.job_sha256 for (run,) in runs]
    return [names.count(r.job_sha256) for r in records]


def test_a_steady_job_ends_at_its_minimum_and_a_noisy_one_when_it_is_precise() -> None:
    calm, noisy = adaptive("a", "1"), adaptive("b", "2")
    runs = list(launch_all({calm: answers(0.001), noisy: answers(0.03)}))
    few, many = counts(runs, calm, noisy)
    assert few == 5
    assert 5 < many < 30


def test_jobs_of_one_model_stay_together_until_the_last_is_precise() -> None:
    calm, noisy = adaptive("a"), adaptive("b")
    runs = list(launch_all({calm: answers(0.001), noisy: answers(0.03)}))
    one, other = counts(runs, calm, noisy)
    assert one == other > 5


def test_a_job_that_never_becomes_precise_ends_at_its_maximum() -> None:
    wild = adaptive("a", maximum=12)
    runs = list(launch_all({wild: answers(0.5)}))
    assert counts(runs, wild) == [12]


def test_a_job_that_was_given_up_does_not_keep_its_model_in_the_campaign() -> None:
    calm, dying = adaptive("a"), adaptive("b")
    crash = Output(exit_code=139, stdout="", stderr="", wall_s=0.1)
    runs = list(launch_all({calm: answers(0.001), dying: [crash] * 9}))
    assert counts(runs, calm, dying) == [5, 2]


def test_no_round_begins_that_would_end_beyond_the_budget() -> None:
    wild, other = adaptive("a", "1"), adaptive("b", "2")
    spreads = {wild: answers(0.5), other: answers(0.5)}
    runs = list(launch_all(spreads, budget_s=7.0))
    assert counts(runs, wild, other) == [3, 3]
    assert counts(list(launch_all({wild: answers(0.5)}, budget_s=0.1)), wild) == [1]


def test_an_interrupted_adaptive_campaign_takes_the_same_course() -> None:
    def spreads() -> dict[JobRecord, list[Output]]:
        return {
            adaptive("a"): answers(0.02),
            adaptive("b"): answers(0.03),
            adaptive("c", "n"): answers(0.01),
        }

    whole = list(launch_all(spreads(), seed=3, budget_s=90.0))
    order = [(run.job_sha256, run.launch) for (run,) in whole]
    for stop in (1, 7, len(whole) - 1):
        done: Done = {(run.job_sha256, run.launch): ended(run) for (run,) in whole[:stop]}
        left = spreads()
        for (run,) in whole[:stop]:
            next(given for r, given in left.items() if r.job_sha256 == run.job_sha256).pop(0)
        rest = list(launch_all(left, seed=3, budget_s=90.0, done=done))
        assert [(run.job_sha256, run.launch) for (run,) in rest] == order[stop:]


def test_the_control_runs_in_every_round_and_makes_none_of_its_own() -> None:
    noisy = adaptive("a")
    control = record("c" * 64, 1, seed=7, control=True)
    runs = list(launch_all({noisy: answers(0.03), control: answers(0.001)}))
    often, controls = counts(runs, noisy, control)
    assert often == controls > 5


def test_progress_grows_with_the_rounds_that_are_needed() -> None:
    noisy = adaptive("a")
    seen: list[Progress] = []
    runs = list(launch_all({noisy: answers(0.03)}, progress=seen.append))
    assert len(seen) == len(runs)
    assert [p.finished for p in seen] == list(range(len(runs)))
    assert all(p.finished < p.total for p in seen)


def test_a_job_without_its_companion_is_a_usage_error() -> None:
    lone = record("a" * 64, 1, companion=f"{'b' * 64}@null==1")
    with pytest.raises(UsageError, match="lacks its companion"):
        list(launch_all({lone: answers(0.01)}))

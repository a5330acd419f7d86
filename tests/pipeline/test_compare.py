"""Two sets of experiments against each other: what is matched, refused, paired, confirmed."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gaugenn.analysis.comparison import Design, Outcome
from gaugenn.bench.campaign import campaign
from gaugenn.bench.devices import device_programs, open_device
from gaugenn.bench.launch import LocalFile
from gaugenn.errors import StoreError, UsageError
from gaugenn.pipeline._selection import Selection, read_selection
from gaugenn.pipeline.compare import Confirmation, compare
from gaugenn.records import Environment, Job, JobRecord, OutputStatistics, Run
from gaugenn.store import Study

CALM = "simulated:launch_variation=0.01"


def record(version: str = "1", model: str = "a", launches: int = 8, **changes: object) -> JobRecord:
    fields = {
        "model_sha256": model * 64,
        "format": "onnx",
        "engine": "simulated",
        "engine_version": version,
        "device": "simulated",
        "steady_minimum_count": 30,
        "steady_minimum_s": 0.0,
        **changes,
    }
    job = Job(**fields)  # type: ignore[arg-type]
    return JobRecord(job_sha256=job.job_sha256, job=job, launches=launches)


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., Path]:
    """Makes studies of campaigns on a simulated device, with a seed of their own."""
    file = tmp_path / "m.onnx"
    file.touch()

    def make(
        name: str,
        *records: JobRecord,
        seed: int = 0,
        change: Callable[[Run], Run] = lambda run: run,
        place: Callable[[Environment], Environment] = lambda place: place,
    ) -> Path:
        study = Study.create(tmp_path / name)
        with open_device(CALM, seed=seed) as device:
            environment = place(device.info())
            runs = campaign(
                records,
                device=device,
                environment=environment,
                programs=device_programs(device, CALM, records)[0],
                files=lambda _: [LocalFile(name="m.onnx", path=file)],
                seed=seed,
            )
            made = [change(run) for launch in runs for run in launch]
        known = study.rows(Environment)
        study.write([*records, *([] if environment in known else [environment]), *made])
        return study.path

    return make


def select(path: Path, terms: str = "") -> Selection:
    return read_selection(f"{path}:{terms}" if terms else str(path))


def both(path: Path, one: str, two: str) -> tuple[Selection, Selection]:
    return select(path, one), select(path, two)


def test_versions_inside_a_study_took_turns_and_are_paired(measured: Callable[..., Path]) -> None:
    path = measured("s", record(), record("1.1"))
    (row,) = compare(*both(path, "simulated==1", "simulated==1.1")).models
    assert row.difference is not None
    assert row.difference.design is Design.PAIRED
    assert row.difference.pairs == 8
    assert row.difference.ratio == pytest.approx(1.1, rel=0.03)
    assert row.outcome is Outcome.SLOWER
    assert (row.first.label, row.second.label) == (
        "simulated==1 device=simulated",
        "simulated==1.1 device=simulated",
    )
    assert not row.regression


def test_studies_of_different_times_are_compared_by_ranks(measured: Callable[..., Path]) -> None:
    old, new = measured("old", record()), measured("new", record(), seed=1)
    found = compare(select(old), select(new))
    (row,) = found.models
    assert row.difference is not None
    assert row.difference.design is Design.RANKS
    assert row.outcome is not Outcome.SLOWER
    assert (found.regressions, found.refused) == (0, 0)


def test_studies_without_a_common_version_compare_their_versions(
    measured: Callable[..., Path],
) -> None:
    old, new = measured("old", record()), measured("new", record("1.2"), seed=1)
    (row,) = compare(select(old), select(new)).models
    assert row.outcome is Outcome.SLOWER
    two = measured("two", record("1.3"), record("1.2"), seed=1)
    with pytest.raises(UsageError, match="several experiments that fit one"):
        compare(select(old), select(two))
    assert compare(select(old), select(two, "simulated==1.2")).models[0].outcome is Outcome.SLOWER


def test_settings_can_be_compared_and_imply_what_they_change(
    measured: Callable[..., Path],
) -> None:
    path = measured("s", record(), record(threads=2))
    (row,) = compare(*both(path, "threads=1", "threads=2")).models
    assert row.outcome is Outcome.FASTER
    assert row.differing == {}


def test_models_are_corrected_for_each_other_and_summed_up(measured: Callable[..., Path]) -> None:
    records = [record(v, m) for m in "abc" for v in ("1", "1.05")]
    path = measured("s", *records, record("1", "d"))
    found = compare(*both(path, "simulated==1", "simulated==1.05"))
    assert len(found.models) == 3
    assert found.overall is not None
    assert found.overall.n == 3
    assert found.overall.value == pytest.approx(1.05, rel=0.01)
    assert (found.only_first, found.only_second) == (1, 0)
    for row in found.models:
        assert row.difference is not None
        assert row.difference.p_value is not None
        assert row.p_value is not None
        assert row.p_value >= row.difference.p_value
    assert any(r.p_value != r.difference.p_value for r in found.models if r.difference)


def moved(place: Environment) -> Environment:
    return dataclasses.replace(place, environment_sha256="f" * 64, kernel="another")


def test_unlike_conditions_are_refused_and_named_unless_forced(
    measured: Callable[..., Path],
) -> None:
    old, new = measured("old", record()), measured("new", record("1.2"), place=moved)
    found = compare(select(old), select(new), fail_above=0.05)
    (row,) = found.models
    assert row.refused == "unlike conditions: kernel"
    assert row.difference is None
    assert (found.refused, found.regressions, found.overall) == (1, 0, None)
    (row,) = compare(select(old), select(new), force=True).models
    assert row.refused is None
    assert row.differing == {"kernel": ("simulated", "another")}
    assert row.outcome is Outcome.SLOWER


def test_invalid_runs_are_never_compared(measured: Callable[..., Path]) -> None:
    def wrong(run: Run) -> Run:
        assert run.timings is not None
        output = dataclasses.replace(run.timings.outputs[0], shape=(run.launch,), sha256="0" * 64)
        assert isinstance(output, OutputStatistics)
        return dataclasses.replace(run, timings=dataclasses.replace(run.timings, outputs=(output,)))

    old, new = measured("old", record()), measured("new", record(), change=wrong)
    (row,) = compare(select(old), select(new), force=True).models
    assert str(row.refused).endswith("is invalid: wrong_output")


def test_a_regression_stands_where_nobody_repeats_it(measured: Callable[..., Path]) -> None:
    path = measured("s", record(), record("1.2"))
    sides = both(path, "simulated==1", "simulated==1.2")
    for repeat in (None, lambda _: False):
        found = compare(*sides, fail_above=0.05, repeat=repeat)
        assert found.models[0].confirmation is Confirmation.NOT_REPEATED
        assert found.regressions == 1
    assert compare(*sides, fail_above=0.5).regressions == 0
    assert compare(*sides[::-1], fail_above=0.05).regressions == 0


@contextmanager
def relaunched(path: Path, measured: Callable[..., Path], slow: float) -> Iterator[object]:
    """A repeat that makes eight launches more, of which the second side is slower by this factor."""

    def repeat(wanted: Sequence[tuple[Selection, JobRecord]]) -> bool:
        assert [w[1].job.engine_version for w in wanted] == ["1", "1.2"]

        def later(run: Run) -> Run:
            assert run.timings is not None
            factor = slow / 1.2 if run.job_sha256 == wanted[1][1].job_sha256 else 1.0
            steady = tuple(factor * s for s in run.timings.steady_s)
            timings = dataclasses.replace(run.timings, steady_s=steady)
            return dataclasses.replace(run, launch=run.launch + 8, timings=timings)

        measured(path.name, *(w[1] for w in wanted), seed=9, change=later)
        return True

    yield repeat


@pytest.mark.parametrize(
    ("slow", "confirmation", "regressions"),
    [(1.2, Confirmation.CONFIRMED, 1), (1.0, Confirmation.NOT_CONFIRMED, 0)],
)
def test_new_launches_alone_confirm_a_regression(
    slow: float, confirmation: Confirmation, regressions: int, measured: Callable[..., Path]
) -> None:
    path = measured("s", record(), record("1.2"))
    with relaunched(path, measured, slow) as repeat:
        found = compare(
            *both(path, "simulated==1", "simulated==1.2"),
            fail_above=0.05,
            repeat=repeat,  # type: ignore[arg-type]
        )
    assert found.models[0].regression
    assert found.models[0].confirmation is confirmation
    assert found.regressions == regressions
    assert found.undecided == 0


def test_what_cannot_be_excluded_is_undecided(measured: Callable[..., Path]) -> None:
    few = measured("few", record(launches=2), record("1.04", launches=2))
    many = measured("many", record(), record("1.04"))
    found = compare(*both(few, "simulated==1", "simulated==1.04"), fail_above=0.5)
    assert (found.regressions, found.undecided) == (0, 1)
    found = compare(*both(many, "simulated==1", "simulated==1.04"), fail_above=0.5)
    assert (found.regressions, found.undecided) == (0, 0)
    assert compare(*both(few, "simulated==1", "simulated==1.04")).undecided == 0


def test_the_same_experiments_twice_are_no_comparison(measured: Callable[..., Path]) -> None:
    path = measured("s", record())
    with pytest.raises(UsageError, match="the same experiments"):
        compare(select(path), select(path))


def test_nothing_in_common_is_an_error(measured: Callable[..., Path], tmp_path: Path) -> None:
    one, two = measured("one", record()), measured("two", record(model="b"))
    with pytest.raises(UsageError, match="in common"):
        compare(select(one), select(two))
    with pytest.raises(UsageError, match="no experiment with a launch"):
        compare(select(one), select(two, "litert"))
    with pytest.raises(StoreError):
        compare(select(one), select(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="threshold"):
        compare(select(one), select(two), threshold=-1)


@pytest.mark.parametrize(
    ("text", "study", "settings"),
    [
        ("s", "s", {}),
        ("a/b:litert", "a/b", {"engine": "litert"}),
        ("s:litert==2.3.0", "s", {"engine": "litert", "version": "2.3.0"}),
        (
            "s:litert,threads=2,precision=int8",
            "s",
            {"engine": "litert", "threads": "2", "precision": "int8"},
        ),
        (":onnxruntime", "other", {"engine": "onnxruntime"}),
    ],
)
def test_selections_are_read(text: str, study: str, settings: dict[str, str]) -> None:
    found = read_selection(text, Path("other"))
    assert (found.study, found.settings) == (Path(study), settings)


def test_selections_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no setting 'colour'"):
        read_selection("s:colour=red")
    with pytest.raises(UsageError, match="names no study"):
        read_selection(":litert")
    folder = tmp_path / "odd:name"
    folder.mkdir()
    assert read_selection(str(folder)).study == folder


def test_a_model_is_selected_by_the_beginning_of_its_digest(measured: Callable[..., Path]) -> None:
    path = measured("s", *(record(v, m) for m in "ab" for v in ("1", "1.1")))
    found = compare(*both(path, "simulated==1,model=bb", "simulated==1.1"))
    assert [row.model_sha256 for row in found.models] == ["b" * 64]

"""Two sets of experiments against each other, model by model: like with like, launches in turns paired.

A regression is confirmed by launches that were made for that purpose: where the experiments can be
measured again, both sides are launched anew, taking turns, and the new launches alone decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from gaugenn.analysis.comparison import (
    THRESHOLD,
    Difference,
    Outcome,
    compare_groups,
    compare_launches,
    differing,
    holm,
    over_models,
)
from gaugenn.analysis.statistics import Estimate
from gaugenn.analysis.verdict import Validity
from gaugenn.errors import UsageError
from gaugenn.pipeline._conditions import IMPLIED, conditions
from gaugenn.pipeline._selection import SETTINGS, Selection
from gaugenn.pipeline.experiments import MeasuredExperiment, experiments
from gaugenn.records import JobRecord
from gaugenn.store import Study


class Confirmation(StrEnum):
    """What became of a suspected regression."""

    CONFIRMED = "confirmed"
    """New launches alone say the same."""
    NOT_CONFIRMED = "not confirmed"
    """New launches do not."""
    NOT_REPEATED = "not repeated"
    """Nobody wanted new launches, or they cannot be made; the first finding stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One experiment of a comparison.

    Attributes:
        label: engine, version and what else tells it apart.
        job_sha256: its job.
        launches: good ones.
        validity: of its runs.
        reasons: of its verdict.
    """

    label: str
    job_sha256: str
    launches: int
    validity: Validity
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelComparison:
    """One model's two experiments.

    Attributes:
        model_sha256: the model.
        model: its name.
        first: what is compared against.
        second: what is compared.
        differing: conditions that they do not share, with both values.
        refused: why they were not compared; None where they were.
        difference: the second over the first; None where they were not compared.
        p_value: of the difference, corrected for the other models.
        outcome: what follows at the threshold.
        regression: whether it counts as one at the limit that was asked for, at first sight.
        confirmation: what became of that; None where there was none.
    """

    model_sha256: str
    model: str
    first: Side
    second: Side
    differing: dict[str, tuple[str, str]]
    refused: str | None = None
    difference: Difference | None = None
    p_value: float | None = None
    outcome: Outcome | None = None
    regression: bool = False
    confirmation: Confirmation | None = None

    @property
    def is_regression(self) -> bool:
        """Whether it is one after all."""
        return self.regression and self.confirmation is not Confirmation.NOT_CONFIRMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All models' comparisons.

    Attributes:
        first: what is compared against, as the user wrote it.
        second: what is compared.
        threshold: relative difference that matters.
        fail_above: relative slow-down that is a regression; None where nobody asked.
        models: one row a model and pair of experiments.
        overall: geometric mean of the ratios with its interval over models; None without any.
        only_first: models that only the first side has.
        only_second: models that only the second side has.
    """

    first: str
    second: str
    threshold: float
    fail_above: float | None
    models: tuple[ModelComparison, ...]
    overall: Estimate | None
    only_first: int
    only_second: int

    @property
    def regressions(self) -> int:
        """Regressions that stand."""
        return sum(row.is_regression for row in self.models)

    @property
    def refused(self) -> int:
        """Pairs that were not compared."""
        return sum(row.refused is not None for row in self.models)

    @property
    def undecided(self) -> int:
        """Pairs of which it cannot be excluded that they are regressions."""
        if self.fail_above is None:
            return 0
        limit = 1 + self.fail_above
        return sum(
            not row.is_regression
            and row.difference is not None
            and row.confirmation is not Confirmation.NOT_CONFIRMED
            and (row.difference.high is None or row.difference.high > limit)
            for row in self.models
        )


Repeat = Callable[[Sequence[tuple[Selection, JobRecord]]], bool]
"""Launches experiments anew, taking turns; says whether that was possible."""


def compare(
    first: Selection,
    second: Selection,
    *,
    threshold: float = THRESHOLD,
    fail_above: float | None = None,
    force: bool = False,
    repeat: Repeat | None = None,
) -> Comparison:
    """Compares two selections.

    Args:
        first: what is compared against.
        second: what is compared.
        threshold: relative difference that matters.
        fail_above: relative slow-down that is a regression.
        force: compare also under unlike conditions; they are named in the row.
        repeat: launches the experiments of suspected regressions anew; None leaves them as they are.

    Raises:
        UsageError: a limit out of range, nothing selected, nothing in common, or several experiments
            that fit one.
        StoreError: a folder is no study.
    """
    for name, value in (("threshold", threshold), ("limit", fail_above)):
        if value is not None and not 0 <= value < 10:
            raise UsageError(f"a {name} is a share from 0 to below 10, not {value}")
    one, two = _selected(first), _selected(second)
    pairs, compared = _matched(first, one, second, two)
    rows = [_row(a, b, compared, force) for a, b in pairs]
    rows = _judged(rows, threshold, fail_above)
    suspects = [n for n, row in enumerate(rows) if row.regression]
    if suspects:
        rows = _confirmed(rows, suspects, pairs, first, second, fail_above or 0.0, repeat)
    ratios = [row.difference.ratio for row in rows if row.difference is not None]
    models = [{e.record.job.model_sha256 for e in side.values()} for side in (one, two)]
    return Comparison(
        first=first.text,
        second=second.text,
        threshold=threshold,
        fail_above=fail_above,
        models=tuple(rows),
        overall=over_models(ratios) if ratios else None,
        only_first=len(models[0] - models[1]),
        only_second=len(models[1] - models[0]),
    )


def compare_pair(
    one: MeasuredExperiment, two: MeasuredExperiment, threshold: float = THRESHOLD
) -> ModelComparison:
    """Compares two experiments that a user chose; what their settings differ in is what is compared.

    Two models are compared only where nothing else differs: of two networks in two libraries nobody
    could say what the ratio is of.

    Args:
        one: what is compared against.
        two: what is compared; its outcome is not corrected for other comparisons.
        threshold: relative difference that matters.
    """
    jobs = one.record.job, two.record.job
    compared = frozenset(name for name, read in SETTINGS.items() if read(jobs[0]) != read(jobs[1]))
    row = _row(one, two, compared, force=False)
    if "model" in compared and len(compared) > 1 and row.refused is None:
        others = ", ".join(sorted(compared - {"model"}))
        row = replace(row, difference=None, refused=f"another model, and another {others}")
    return _judged([row], threshold, None)[0]


def _selected(selection: Selection) -> dict[str, MeasuredExperiment]:
    """The experiments of a selection by their job's digest."""
    found = {
        e.record.job_sha256: e
        for e in experiments(Study(selection.study))
        if selection.holds(e.record.job)
    }
    if not found:
        raise UsageError(f"{selection.text}: there is no experiment with a launch")
    return found


def _matched(
    first: Selection,
    one: dict[str, MeasuredExperiment],
    second: Selection,
    two: dict[str, MeasuredExperiment],
) -> tuple[list[tuple[MeasuredExperiment, MeasuredExperiment]], frozenset[str]]:
    """Pairs of experiments that differ in nothing but what is compared, and what that is.

    Where two studies have no version of an engine in common, versions are what is compared.
    """
    compared = frozenset(first.settings.keys() | second.settings.keys()) - {"model"}
    if "engine" in compared:
        compared |= {"version"}
    for free in (compared, compared | {"version"}):
        sides = [_by_key(side, free) for side in (one, two)]
        common = sorted(sides[0].keys() & sides[1].keys())
        if common:
            pairs = [(_only(sides[0][key], first), _only(sides[1][key], second)) for key in common]
            if all(a.record.job_sha256 != b.record.job_sha256 for a, b in pairs) or (
                first.study != second.study
            ):
                return pairs, free
            raise UsageError(
                f"{first.text} and {second.text} are the same experiments; select what to compare, "
                f"as in {first.study}:threads=1 {second.study}:threads=2"
            )
    raise UsageError(
        f"{first.text} and {second.text} have no experiment on the same model in common"
    )


def _by_key(
    side: dict[str, MeasuredExperiment], free: frozenset[str]
) -> dict[tuple[str, ...], list[MeasuredExperiment]]:
    found: dict[tuple[str, ...], list[MeasuredExperiment]] = {}
    for experiment in side.values():
        key = tuple(
            read(experiment.record.job) for name, read in SETTINGS.items() if name not in free
        )
        found.setdefault(key, []).append(experiment)
    return found


def _only(experiments: list[MeasuredExperiment], selection: Selection) -> MeasuredExperiment:
    """The one experiment; of several with other counts or seeds, that with the most launches."""
    kinds = {tuple(read(e.record.job) for read in SETTINGS.values()) for e in experiments}
    if len(kinds) > 1:
        labels = ", ".join(sorted(e.label for e in experiments))
        raise UsageError(
            f"{selection.text} holds several experiments that fit one of the other side: {labels}; "
            f"select one, as in {selection.study}:{experiments[0].record.job.engine}"
            f"=={experiments[0].record.job.engine_version}"
        )
    return max(experiments, key=lambda e: (len(e.runs), e.record.job_sha256))


def _row(
    one: MeasuredExperiment, two: MeasuredExperiment, compared: frozenset[str], force: bool
) -> ModelComparison:
    excused = frozenset(implied for name in compared for implied in IMPLIED.get(name, ()))
    found = differing(_conditions(one), _conditions(two), excused)
    row = ModelComparison(
        model_sha256=one.record.job.model_sha256,
        model=one.model,
        first=_side(one),
        second=_side(two),
        differing=found,
    )
    for side in (row.first, row.second):
        if side.validity is Validity.INVALID:
            return replace(row, refused=f"{side.label} is invalid: {', '.join(side.reasons)}")
    if found and not force:
        return replace(row, refused=f"unlike conditions: {', '.join(found)}")
    return replace(row, difference=_difference(one, two))


def _side(experiment: MeasuredExperiment) -> Side:
    return Side(
        label=experiment.label,
        job_sha256=experiment.record.job_sha256,
        launches=len(experiment.runs),
        validity=experiment.verdict.validity,
        reasons=experiment.verdict.reasons,
    )


def _conditions(experiment: MeasuredExperiment) -> dict[str, str]:
    return conditions(experiment.record, experiment.runs, experiment.environments)


def _difference(one: MeasuredExperiment, two: MeasuredExperiment, since: int = 0) -> Difference:
    """Of the launches from a number on, paired where they took turns."""
    first, second = (
        {
            run.launch: (run.started_at, latency_s)
            for run, timings in side.launches
            if run.launch >= since and (latency_s := timings.latency_s) is not None
        }
        for side in (one, two)
    )
    if one.record.job.device == two.record.job.device:
        return compare_launches(first, second)
    return compare_groups(*([m for _, m in side.values()] for side in (first, second)))


def _judged(
    rows: list[ModelComparison], threshold: float, fail_above: float | None
) -> list[ModelComparison]:
    corrected = holm([None if r.difference is None else r.difference.p_value for r in rows])
    return [
        row
        if row.difference is None
        else replace(
            row,
            p_value=p_value,
            outcome=row.difference.outcome(threshold, p_value),
            regression=fail_above is not None
            and row.difference.outcome(fail_above, p_value) is Outcome.SLOWER,
        )
        for row, p_value in zip(rows, corrected, strict=True)
    ]


def _confirmed(
    rows: list[ModelComparison],
    suspects: Sequence[int],
    pairs: Sequence[tuple[MeasuredExperiment, MeasuredExperiment]],
    first: Selection,
    second: Selection,
    limit: float,
    repeat: Repeat | None,
) -> list[ModelComparison]:
    wanted = [
        (selection, experiment.record)
        for n in suspects
        for selection, experiment in zip((first, second), pairs[n], strict=True)
    ]
    if repeat is None or not repeat(wanted):
        return [
            replace(row, confirmation=Confirmation.NOT_REPEATED) if n in suspects else row
            for n, row in enumerate(rows)
        ]
    again = [_selected(selection) for selection in (first, second)]
    found = list(rows)
    for n in suspects:
        one, two = (side[e.record.job_sha256] for side, e in zip(again, pairs[n], strict=True))
        since = 1 + max(run.launch for experiment in pairs[n] for run in experiment.runs)
        if not all(any(run.launch >= since for run in side.runs) for side in (one, two)):
            found[n] = replace(rows[n], confirmation=Confirmation.NOT_REPEATED)
            continue
        slower = _difference(one, two, since).outcome(limit) is Outcome.SLOWER
        confirmation = Confirmation.CONFIRMED if slower else Confirmation.NOT_CONFIRMED
        found[n] = replace(rows[n], confirmation=confirmation)
    return found

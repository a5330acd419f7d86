"""What a study's measurements let expect of models that were not measured, as rows of its own table."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gaugenn.analysis.prediction import LEVEL, Example, Prediction, Predictor, Work, fit
from gaugenn.analysis.statistics import estimate
from gaugenn.analysis.verdict import Validity
from gaugenn.errors import UsageError
from gaugenn.pipeline.experiments import MeasuredExperiment, experiments
from gaugenn.records import Job, LayerClass, Precision, PredictedLatency, Processor
from gaugenn.store import Study

_MATCHED = 0.5
"""Share of a profile's time whose operators must be found in the graph for it to be used."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Setting:
    """A library with its settings on a device: what a predictor is for."""

    device: str
    engine: str
    engine_version: str
    processor: Processor
    precision: Precision
    threads: int
    affinity: str

    @property
    def label(self) -> str:
        """As it is shown."""
        parts = [f"{self.engine}=={self.engine_version}", f"threads={self.threads}"]
        parts += [f"affinity={self.affinity}"] if self.affinity else []
        parts += [self.processor] if self.processor is not Processor.CPU else []
        parts += [self.precision] if self.precision is not Precision.AS_STORED else []
        return " ".join([*parts, f"on {self.device}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """What came of it.

    Attributes:
        rows: of models that were not measured, by model and setting.
        checks: of measured models, each left out of what predicts it.
        refused: settings without a predictor, each with the reason.
        left_out: models that cannot be predicted, each with the reason.
        names: of models, by digest.
    """

    rows: tuple[PredictedLatency, ...]
    checks: tuple[PredictedLatency, ...]
    refused: Mapping[str, str]
    left_out: Mapping[str, str]
    names: Mapping[str, str]


def predict(
    study: Study,
    models: Sequence[str] = (),
    *,
    device: str | None = None,
    engine: str | None = None,
) -> Predictions:
    """Predicts latencies and stores them.

    Args:
        study: with measurements and read models.
        models: names or beginnings of digests; all that were read by default. Those that were measured
            with a setting have no prediction for it but a check.
        device: only there.
        engine: a library, or one with its version: `litert==2.3.0`.

    Raises:
        UsageError: no such model, or no measurement of that library or device.
        MissingToolError: scikit-learn is not installed.
    """
    known = _models(study)
    wanted = _wanted(models, known)
    groups = _groups(study, device, engine)
    if not groups:
        raise UsageError(
            "nothing was measured that a prediction could rest on"
            + (f" on {device}" if device else "")
            + (f" with {engine}" if engine else "")
            + "; measure models with: gaugenn bench STUDY"
        )
    works = _works(study)
    profiles = _profiles(study)
    now = datetime.now(UTC).isoformat()
    rows: list[PredictedLatency] = []
    checks: list[PredictedLatency] = []
    refused: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for setting, measured in sorted(groups.items()):
        examples = _examples(measured, works, known, profiles)
        try:
            predictor = fit(examples)
        except UsageError as error:
            refused[setting.label] = str(error)
            continue
        latencies = {e.model: e.latency_s for e in examples}
        for model, found in predictor.held_out.items():
            checks.append(_row(model, setting, found, predictor, latencies[model], now))
        formats = {one.record.job.format for one in measured}
        for model in wanted:
            if model in latencies or known[model].format not in formats:
                continue
            work = works.get(model)
            if work is None or not work.total_macs > 0:
                left_out[model] = "its operations are not known"
                continue
            rows.append(_row(model, setting, predictor.predict(work), predictor, None, now))
    with study.exclusive():
        study.write([*rows, *checks])
    return Predictions(
        rows=tuple(rows),
        checks=tuple(checks),
        refused=refused,
        left_out=left_out,
        names={digest: model.name for digest, model in known.items()},
    )


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    format: str
    architecture: str


def _models(study: Study) -> dict[str, _Model]:
    """Read models. Files of one reference model are one architecture, whatever their graphs are."""
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT m.model_sha256, coalesce(n.name, left(m.model_sha256, 12)), m.format,"
            "       coalesce(z.model, m.architecture_sha256, m.model_sha256)"
            " FROM (SELECT DISTINCT ON (model_sha256) * FROM models"
            "       WHERE kind = 'model' ORDER BY model_sha256) m"
            " LEFT JOIN model_names n USING (model_sha256)"
            " LEFT JOIN reference_files z ON z.model_sha256 = m.model_sha256"
            " ORDER BY m.model_sha256"
        ).fetchall()
    return {digest: _Model(name, form, network) for digest, name, form, network in rows}


def _wanted(models: Sequence[str], known: Mapping[str, _Model]) -> list[str]:
    if not models:
        return list(known)
    found: list[str] = []
    for text in models:
        hits = [
            digest
            for digest, model in known.items()
            if text in {model.name, model.architecture}
            or (len(text) >= 4 and digest.startswith(text))
        ]
        if not hits:
            raise UsageError(f"the study has no model {text!r} that was read; see: gaugenn query")
        found += [hit for hit in hits if hit not in found]
    return found


def _groups(
    study: Study, device: str | None, engine: str | None
) -> dict[Setting, list[MeasuredExperiment]]:
    """Experiments by setting: not invalid, one sample in the model's own size, one a model."""
    name, _, version = (engine or "").partition("==")
    groups: dict[Setting, dict[str, MeasuredExperiment]] = defaultdict(dict)
    for one in experiments(study):
        job = one.record.job
        if (
            one.verdict.validity is Validity.INVALID
            or not one.runs
            or job.batch != 1
            or job.input_shapes
            or job.rate_per_s is not None
            or job.companion
            or (device is not None and job.device != device)
            or (name and job.engine != name)
            or (version and job.engine_version != version)
        ):
            continue
        group = groups[_setting(job)]
        known = group.get(job.model_sha256)
        if known is None or _preferred(known) < _preferred(one):
            group[job.model_sha256] = one
    return {setting: list(found.values()) for setting, found in groups.items()}


def _setting(job: Job) -> Setting:
    return Setting(
        device=job.device,
        engine=job.engine,
        engine_version=job.engine_version,
        processor=job.processor,
        precision=job.precision,
        threads=job.threads,
        affinity=job.affinity,
    )


def _preferred(one: MeasuredExperiment) -> tuple[bool, int, str]:
    return one.verdict.validity is Validity.VALID, len(one.runs), one.record.job_sha256


def _works(study: Study) -> dict[str, Work]:
    """What each model does, from its layers."""
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT model_sha256, layer_class, coalesce(sum(macs), 0), count(*),"
            "       sum(weights_bytes) + coalesce(sum(output_bytes), 0)"
            " FROM (SELECT DISTINCT ON (model_sha256, graph, position) * FROM layers"
            "       ORDER BY model_sha256, graph, position)"
            " GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    kinds: dict[str, list[tuple[LayerClass, float, float, float]]] = defaultdict(list)
    for model, kind, macs, nodes, moved in rows:
        kinds[model].append((LayerClass(kind), float(macs), float(nodes), float(moved)))
    return {model: _work(found) for model, found in kinds.items()}


def _work(kinds: Iterable[tuple[LayerClass, float, float, float]]) -> Work:
    found = list(kinds)
    return Work(
        macs={kind: macs for kind, macs, _, _ in found if macs},
        nodes={kind: nodes for kind, _, nodes, _ in found},
        bytes_=sum(moved for *_, moved in found),
    )


def _profiles(study: Study) -> dict[str, tuple[tuple[Work, float], ...]]:
    """Time of each kind of layer in the profile of a job, with the work of these layers.

    A library's operator is a kind by the name that it has in the model's own file. Profiles of
    libraries
    that call their operators otherwise are left out.
    """
    with study.connect() as connection:
        rows = connection.execute(
            "WITH kinds AS ("
            "  SELECT DISTINCT ON (model_sha256, source_operator) model_sha256, source_operator,"
            "         layer_class FROM layers ORDER BY model_sha256, source_operator, position"
            "), sizes AS ("
            "  SELECT model_sha256, layer_class, coalesce(sum(macs), 0) AS macs, count(*) AS nodes,"
            "         sum(weights_bytes) + coalesce(sum(output_bytes), 0) AS moved"
            "  FROM layers GROUP BY ALL"
            ") SELECT t.job_sha256, k.layer_class, sum(t.seconds), any_value(s.macs),"
            "         any_value(s.nodes), any_value(s.moved)"
            " FROM (SELECT job_sha256, operator, list_aggregate(durations_s, 'median') AS seconds"
            "       FROM operator_timings) t"
            " JOIN jobs j ON j.job_sha256 = t.job_sha256"
            " LEFT JOIN kinds k ON k.model_sha256 = j.job.model_sha256"
            "                  AND k.source_operator = t.operator"
            " LEFT JOIN sizes s ON s.model_sha256 = j.job.model_sha256"
            "                  AND s.layer_class = k.layer_class"
            " GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    totals: dict[str, float] = defaultdict(float)
    parts: dict[str, list[tuple[Work, float]]] = defaultdict(list)
    for job, kind, seconds, macs, nodes, moved in rows:
        if not seconds or seconds <= 0:
            continue
        totals[job] += seconds
        if kind is not None:
            work = _work([(LayerClass(kind), float(macs), float(nodes), float(moved))])
            parts[job].append((work, float(seconds)))
    return {
        job: tuple(found)
        for job, found in parts.items()
        if sum(seconds for _, seconds in found) >= _MATCHED * totals[job]
    }


def _examples(
    measured: Iterable[MeasuredExperiment],
    works: Mapping[str, Work],
    known: Mapping[str, _Model],
    profiles: Mapping[str, tuple[tuple[Work, float], ...]],
) -> list[Example]:
    found = []
    for one in measured:
        model = one.record.job.model_sha256
        work = works.get(model)
        if model in known and work is not None and work.total_macs > 0:
            latencies = [t.latency_s for _, t in one.launches if t.latency_s]
            if latencies:
                found.append(
                    Example(
                        model=model,
                        architecture=known[model].architecture,
                        work=work,
                        latency_s=estimate(latencies).value,
                        operators=profiles.get(one.record.job_sha256, ()),
                    )
                )
    return found


def _row(
    model: str,
    setting: Setting,
    found: Prediction,
    predictor: Predictor,
    measured_s: float | None,
    now: str,
) -> PredictedLatency:
    return PredictedLatency(
        model_sha256=model,
        engine=setting.engine,
        engine_version=setting.engine_version,
        device=setting.device,
        processor=setting.processor,
        precision=setting.precision,
        threads=setting.threads,
        affinity=setting.affinity,
        latency_s=found.latency_s,
        low_s=found.low_s,
        high_s=found.high_s,
        level=LEVEL,
        measured_s=measured_s,
        outside=found.outside,
        law=predictor.law,
        error_factor=predictor.accuracy.factor,
        error_low=predictor.accuracy.low,
        error_high=predictor.accuracy.high,
        baseline_factor=predictor.baseline.factor,
        examples=predictor.examples,
        architectures=predictor.architectures,
        predicted_at=now,
    )

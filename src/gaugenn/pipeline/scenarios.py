"""What a study's models take out of a battery in everyday use."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from gaugenn.analysis.energy_results import inference_j
from gaugenn.analysis.launch_energy import PhaseEnergy, phase_energies
from gaugenn.analysis.scenarios import Battery, Discharge, Scenario, discharge, over_launches
from gaugenn.analysis.scenarios import input_length_s as input_length
from gaugenn.analysis.verdict import Validity, verdicts
from gaugenn.pipeline.request import model_names
from gaugenn.records import Environment, JobRecord, ModelRecord, Run, TraceRecord
from gaugenn.store import Study, read_trace


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRow:
    """A model on an engine, in a scenario that is meant for models of its task.

    Attributes:
        model: its name.
        engine: engine and version.
        device: where it ran.
        rail: meter and rail; "" where energy was not measured.
        launches: that the energy is from.
        found: what it takes; None where its number of inferences is not known.
        scenario: which.
    """

    model: str
    engine: str
    device: str
    rail: str
    launches: int
    scenario: Scenario
    found: Discharge | None


def scenario_rows(
    study: Study,
    known: Sequence[Scenario],
    battery: Battery,
    *,
    every: bool = False,
    input_length_s: float | None = None,
) -> list[ScenarioRow]:
    """Every result of a study that is not invalid, in every scenario that is meant for it.

    Args:
        study: with launches, and traces where energy was measured.
        known: the scenarios.
        battery: what is drained.
        every: also scenarios that are not meant for a model's task.
        input_length_s: time that an input of sound covers, where its shape does not say.
    """
    names = model_names(study)
    models = {m.model_sha256: m for m in study.rows(ModelRecord)}
    of_job: dict[str, dict[str, list[PhaseEnergy]]] = defaultdict(lambda: defaultdict(list))
    for phase in phase_energies(
        study.rows(Run), study.rows(TraceRecord), partial(read_trace, study.blobs)
    ):
        if phase.phase == "steady" and phase.reason is None and phase.inferences:
            of_job[phase.job_sha256][f"{phase.source}: {phase.rail}"].append(phase)
    with study.connect() as connection:
        results = connection.execute(
            "SELECT job_sha256, model_sha256, engine || ' ' || engine_version, device, batch,"
            " medians_s FROM results WHERE launches_ok > 0 ORDER BY model_sha256, engine, job_sha256"
        ).fetchall()
    judged = verdicts(
        study.rows(JobRecord), study.rows(Run), study.rows(Environment), models.values()
    )
    rows = []
    for job, model, engine, device, batch, medians_s in results:
        if job in judged and judged[job].validity is Validity.INVALID:
            continue
        record = models.get(model)
        latency_s = over_launches([value / batch for value in medians_s])
        length_s = (
            None
            if record is None
            else input_length(record.modality, [t.shape for t in record.inputs], input_length_s)
        )
        for scenario in known:
            if record is None or not (every or record.task in scenario.tasks):
                continue
            for rail, phases in (of_job.get(job) or {"": []}).items():
                found = discharge(
                    scenario,
                    battery,
                    latency_s=latency_s,
                    inference_j=inference_j(phases, batch, net=False),
                    net_inference_j=inference_j(phases, batch, net=True),
                    input_length_s=length_s,
                )
                rows.append(
                    ScenarioRow(
                        model=names.get(model, model[:12]),
                        engine=engine,
                        device=device,
                        rail=rail,
                        launches=len(phases),
                        scenario=scenario,
                        found=found,
                    )
                )
    return rows

"""What phases' energies say of a job over its launches, and whether two meters agree on a launch."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from gaugenn.analysis.energy import Integral, Quantity, cross_check, efficiency_mflop_per_j
from gaugenn.analysis.launch_energy import PhaseEnergy
from gaugenn.analysis.statistics import estimate
from gaugenn.records import JobRecord, ModelRecord

TOLERANCE = 0.05
"""Share by which two meters of a whole device may differ."""
COARSE_TOLERANCE = 0.15
"""The same where one of them is the device's own gauge or rails."""
_COARSE = frozenset({"fuel_gauge", "odpm"})
_PARTS = frozenset({"odpm", "rapl", "hwmon"})
"""Meters whose rails are parts of what a device draws."""
_SUMMED = frozenset({"odpm"})
"""Meters whose rails do not overlap; of others the rail that draws most stands for the meter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceEnergy:
    """Energy of one inference of a job on one rail, over its launches.

    Attributes:
        job_sha256: which.
        source: the meter.
        rail: what it measured.
        launches: that the values are from.
        gross_j: all that was drawn; one input, whatever the batch.
        net_j: above idle; None where some launch does not tell it.
        power_w: average over the steady phase.
        mflop_per_j: operations for the gross energy; None where they were not counted.
    """

    job_sha256: str
    source: str
    rail: str
    launches: int
    gross_j: Quantity
    net_j: Quantity | None
    power_w: Quantity
    mflop_per_j: Quantity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterCheck:
    """Two meters on one phase of a launch.

    Attributes:
        job_sha256: the launch's job.
        launch: its number.
        phase: which.
        first: a meter.
        second: another.
        ratio: the first's energy over the second's; None where they cannot be compared.
        agrees: whether that is within what is allowed.
        reason: why they cannot be compared, or `meters_disagree`; None where they agree.
    """

    job_sha256: str
    launch: int
    phase: str
    first: str
    second: str
    ratio: float | None
    agrees: bool
    reason: str | None


def inference_energies(
    phases: Iterable[PhaseEnergy], jobs: Iterable[JobRecord], models: Iterable[ModelRecord]
) -> list[InferenceEnergy]:
    """Every job's energy of an inference on every rail, out of its launches' steady phases."""
    records = {record.job_sha256: record for record in jobs}
    flops = {m.model_sha256: m.flops for m in models if m.flops and not m.uncounted_nodes}
    groups: dict[tuple[str, str, str], list[PhaseEnergy]] = defaultdict(list)
    for phase in phases:
        if phase.phase == "steady" and phase.reason is None and phase.inferences:
            groups[phase.job_sha256, phase.source, phase.rail].append(phase)
    found = []
    for (job, source, rail), group in sorted(groups.items()):
        record = records.get(job)
        if record is None:
            continue
        gross_j = inference_j(group, record.job.batch, net=False)
        if gross_j is None:
            continue
        powers_w = [phase.energy.integral.power_w for phase in group if phase.energy is not None]
        power = estimate(powers_w)
        counted = flops.get(record.job.model_sha256)
        found.append(
            InferenceEnergy(
                job_sha256=job,
                source=source,
                rail=rail,
                launches=len(group),
                gross_j=gross_j,
                net_j=inference_j(group, record.job.batch, net=True),
                power_w=Quantity(value=power.value, low=power.low, high=power.high),
                mflop_per_j=None if counted is None else _efficiency(counted, gross_j),
            )
        )
    return found


def inference_j(phases: Sequence[PhaseEnergy], batch: int, *, net: bool) -> Quantity | None:
    """Energy of one input over launches; net only where each has it, lest easy ones stand for all."""
    values = []
    for phase in phases:
        quantity = None
        if phase.energy is not None:
            quantity = phase.energy.net_j if net else phase.energy.gross_j
        if quantity is None or quantity.value <= 0:
            return None
        values.append(quantity.value / phase.inferences / batch)
    if not values:
        return None
    found = estimate(values)
    return Quantity(value=found.value, low=found.low, high=found.high)


def _efficiency(flops: float, inference: Quantity) -> Quantity:
    """The more energy, the fewer operations for it: the ends change places."""
    low, high = inference.high, inference.low
    return Quantity(
        value=efficiency_mflop_per_j(flops, inference.value),
        low=None if low is None else efficiency_mflop_per_j(flops, low),
        high=None if high is None else efficiency_mflop_per_j(flops, high),
    )


def meter_checks(phases: Iterable[PhaseEnergy]) -> list[MeterCheck]:
    """Every two meters on one phase, compared; rails of parts against a whole, not among themselves."""
    groups: dict[tuple[str, int, str], dict[str, list[Integral]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for phase in phases:
        if phase.energy is not None:
            key = (phase.job_sha256, phase.launch, phase.phase)
            groups[key][phase.source].append(phase.energy.integral)
    found = []
    for (job, launch, name), meters in sorted(groups.items()):
        # What is part of another stands first.
        ordered = sorted(meters, key=lambda source: (_kind(source) not in _PARTS, source))
        for first, second in combinations(ordered, 2):
            if _kind(second) in _PARTS:
                continue
            kinds = {_kind(first), _kind(second)}
            checked = cross_check(
                _whole(first, meters),
                _whole(second, meters),
                tolerance=COARSE_TOLERANCE if kinds & _COARSE else TOLERANCE,
                part_of=_kind(first) in _PARTS,
            )
            found.append(
                MeterCheck(
                    job_sha256=job,
                    launch=launch,
                    phase=name,
                    first=first,
                    second=second,
                    ratio=checked.ratio,
                    agrees=checked.agrees,
                    reason=checked.reason,
                )
            )
    return found


def _kind(source: str) -> str:
    return source.partition(" ")[0]


def _whole(source: str, meters: Mapping[str, Sequence[Integral]]) -> Integral:
    rails = meters[source]
    most = max(rails, key=lambda rail: rail.energy_j)
    if _kind(source) not in _SUMMED:
        return most
    reasons = [rail.reason for rail in rails if rail.reason is not None]
    return Integral(
        energy_j=sum(rail.energy_j for rail in rails),
        duration_s=most.duration_s,
        gap_s=max(rail.gap_s for rail in rails),
        gaps=max(rail.gaps for rail in rails),
        samples=min(rail.samples for rail in rails),
        edge_j=sum(rail.edge_j for rail in rails),
        reason=reasons[0] if reasons else None,
    )

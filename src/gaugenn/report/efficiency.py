"""Work for a joule."""

from collections.abc import Sequence

from gaugenn.analysis.energy import efficiency_mflop_per_j
from gaugenn.report._energy_spread import ENERGIES, NO_ENERGY, EnergySpread
from gaugenn.report._frame import Frame


class Efficiency(EnergySpread):
    """Operations of an inference over its energy."""

    order = 439
    title = "Efficiency"
    question = "How many operations does a joule buy?"
    query = f"SELECT * FROM ({ENERGIES}) WHERE macs > 0 ORDER BY library, meter, macs, job_sha256"  # noqa: S608
    empty = f"No energy of a model of known cost was measured. {NO_ENERGY}"
    quantity = "mflop_per_j"
    axis = "efficiency (MFLOP/J)"
    heading = "MFLOP/J"
    units = ((1.0, ""),)

    def samples(self, frame: Frame) -> Sequence[Sequence[float]]:
        """Efficiency of each launch, in MFLOP/J."""
        return [
            [efficiency_mflop_per_j(2 * (macs or 0.0), joules) for joules in row]
            for macs, row in zip(frame.reals("macs"), frame.real_lists("sample_j"), strict=True)
        ]

    def explained(self) -> str:
        """What the quantity is."""
        return (
            "Efficiency in MFLOP/J (the same as MFLOP/s for each watt): two operations for "
            "each MAC of a "
            "sample over its energy; more is better. MACs are a lower bound where a node's cost is "
            "unknown."
        )

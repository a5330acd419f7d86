"""Work for a joule."""

from gaugenn.report._energy_spread import ENERGIES, NO_ENERGY, EnergySpread


class Efficiency(EnergySpread):
    """Operations of an inference over its energy."""

    order = 439
    title = "Efficiency"
    question = "How many operations does a joule buy?"
    query = f"""
        SELECT * FROM ({ENERGIES}) WHERE mflop_per_j IS NOT NULL
        ORDER BY library, meter, macs, job_sha256
    """  # noqa: S608 - our own text
    empty = f"No energy of a model of known cost was measured. {NO_ENERGY}"
    quantity = "efficiency_mflop_per_j"
    columns = ("mflop_per_j", "mflop_per_j_low", "mflop_per_j_high")
    axis = "efficiency (MFLOP/J)"
    heading = "MFLOP/J"
    units = ((1.0, ""),)

    def explained(self) -> str:
        """What the quantity is."""
        return (
            "Efficiency in MFLOP/J (the same as MFLOP/s for each watt): two operations for "
            "each MAC of a "
            "sample over its energy; more is better. Models with a node of unknown cost are left out."
        )

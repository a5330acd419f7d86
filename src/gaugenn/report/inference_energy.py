"""Energy of one inference."""

from gaugenn.report._energy_spread import EnergySpread

_JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"))


class InferenceEnergyFigure(EnergySpread):
    """Energy of the steady phase over its inferences."""

    order = 437
    title = "Energy of an inference"
    question = "How much energy does one inference take?"
    quantity = "energy_mj"
    columns = ("gross_j", "gross_low_j", "gross_high_j")
    factor = 1e3
    axis = "energy of one sample (mJ)"
    heading = "Energy"
    units = _JOULES
    scale = 1e-3

    def explained(self) -> str:
        """What the quantity is."""
        return (
            "Energy of one sample in mJ: that of the steady phase over its samples; less is better."
        )

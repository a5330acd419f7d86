"""Energy of one inference."""

from collections.abc import Sequence

from gaugenn.report._energy_spread import EnergySpread
from gaugenn.report._frame import Frame

_JOULES = ((1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ"))


class InferenceEnergy(EnergySpread):
    """Energy of the steady phase over its inferences."""

    order = 437
    title = "Energy of an inference"
    question = "How much energy does one inference take?"
    quantity = "energy_mj"
    axis = "energy of one sample (mJ)"
    heading = "Energy"
    units = _JOULES
    scale = 1e-3

    def samples(self, frame: Frame) -> Sequence[Sequence[float]]:
        """Energy of each launch's inference, in mJ."""
        return [[1e3 * joules for joules in row] for row in frame.real_lists("sample_j")]

    def explained(self) -> str:
        """What the quantity is."""
        return (
            "Energy of one sample in mJ: that of the steady phase over its samples; less is better."
        )

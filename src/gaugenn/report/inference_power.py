"""Power while inferences run."""

from collections.abc import Sequence

from gaugenn.report._energy_spread import EnergySpread
from gaugenn.report._frame import Frame

_WATTS = ((1.0, "W"), (1e-3, "mW"))


class InferencePower(EnergySpread):
    """Average power of the steady phase."""

    order = 438
    title = "Power while inferring"
    question = "How much power does a device draw while a model runs?"
    quantity = "average_power_w"
    axis = "average power (W)"
    heading = "Power"
    units = _WATTS

    def samples(self, frame: Frame) -> Sequence[Sequence[float]]:
        """Average power of each launch's steady phase, in W."""
        return frame.real_lists("power_w")

    def explained(self) -> str:
        """What the quantity is."""
        return "Average power of the steady phase in W: its energy over its duration."

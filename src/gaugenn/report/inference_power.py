"""Power while inferences run."""

from gaugenn.report._energy_spread import EnergySpread

_WATTS = ((1.0, "W"), (1e-3, "mW"))


class InferencePower(EnergySpread):
    """Average power of the steady phase."""

    order = 438
    title = "Power while inferring"
    question = "How much power does a device draw while a model runs?"
    quantity = "average_power_w"
    columns = ("power_w", "power_low_w", "power_high_w")
    axis = "average power (W)"
    heading = "Power"
    units = _WATTS

    def explained(self) -> str:
        """What the quantity is."""
        return "Average power of the steady phase in W: its energy over its duration."

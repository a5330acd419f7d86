"""Distributions of latency, a line a device."""

from gaugenn.report._ecdf import LatencyDistribution, cells_query


class LatencyByDevice(LatencyDistribution):
    """Groups are devices."""

    order = 411
    title = "Latency on every device"
    question = "How are latencies distributed on each device?"
    query = cells_query("m.device")
    empty = (
        "No model with its settings was measured on every device of the study. "
        "Do that with: gaugenn bench STUDY --device host,adb:SERIAL"
    )
    grouping = "device"

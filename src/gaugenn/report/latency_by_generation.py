"""Distributions of latency, a line a generation of devices."""

from gaugenn.report._ecdf import LatencyDistribution, cells_query


class LatencyByGeneration(LatencyDistribution):
    """Groups are what the user calls the generations of devices."""

    order = 413
    title = "Latency by generation"
    question = "How are latencies distributed on each generation of devices?"
    query = cells_query(
        "l.value", "JOIN device_labels l ON l.device = m.device AND l.name = 'generation'"
    )
    empty = (
        "No device has a generation, or no model was measured on all of them. "
        "Say which one each has with: gaugenn label STUDY DEVICE generation=NAME"
    )
    grouping = "generation"

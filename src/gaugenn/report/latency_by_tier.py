"""Distributions of latency, a line a tier of devices."""

from gaugenn.report._ecdf import LatencyDistribution, cells_query


class LatencyByTier(LatencyDistribution):
    """Groups are what the user calls the tiers of devices."""

    order = 412
    title = "Latency by tier"
    question = "How are latencies distributed on each tier of devices?"
    query = cells_query(
        "l.value", "JOIN device_labels l ON l.device = m.device AND l.name = 'tier'"
    )
    empty = (
        "No device has a tier, or no model was measured on all of them. "
        "Say which one each has with: gaugenn label STUDY DEVICE tier=NAME"
    )
    grouping = "tier"

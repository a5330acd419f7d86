"""Special loads in a few lines: long runs, fixed rates, two models side by side."""

from collections.abc import Iterable
from pathlib import Path

from gaugenn import api
from gaugenn.cli._output import Output

MOST = 6
"""Lines of a kind; the report has them all."""


def print_loads(folder: Path, settings: api.BenchSettings, output: Output) -> None:
    """Says what the special loads that were asked for show; nothing for other campaigns."""
    asked = settings.asked()
    if any(experiment.sustain_s is not None for experiment in asked):
        _print((_sustained(row) for row in api.sustained_launches(folder)), output)
    if any(experiment.rate_per_s is not None for experiment in asked):
        _print((_rate(row) for row in api.rate_launches(folder)), output)
    if any(experiment.beside for experiment in asked):
        _print((_beside(row) for row in api.side_by_side(folder)), output)


def _print(lines: Iterable[str], output: Output) -> None:
    every = list(lines)
    for line in every[:MOST]:
        output.remark(line)
    if len(every) > MOST:
        output.remark(f"and {len(every) - MOST} more; see gaugenn report")


def _sustained(row: api.SustainedLaunch) -> str:
    found = row.found
    throttled = (
        "not throttled"
        if found.throttled_after_s is None
        else f"throttled after {found.throttled_after_s:.0f} s"
    )
    rank = (
        f", rank {row.rank.first_minute} became {row.rank.end}"
        if row.rank.first_minute != row.rank.end
        else ""
    )
    return (
        f"{row.model}, {row.engine}, {found.duration_s:.0f} s: "
        f"{_ms(found.first_minute_s)} in minute 1, "
        f"{_ms(found.steady_s)} in the last third ({found.degradation:+.1%}), {throttled}{rank}"
    )


def _rate(row: api.RateLaunch) -> str:
    found = row.found
    behind = "" if found.keeps_up else ", does not keep up"
    return (
        f"{row.model}, {row.engine} at {row.rate_per_s:g}/s: {found.missed} of {found.due} deadlines "
        f"missed, {_ms(found.response_s)} from due to over, 95th percentile "
        f"{_ms(found.response_p95_s)}{behind}"
    )


def _beside(row: api.SideBySide) -> str:
    pair = f"{row.model}, {row.engine} beside {row.beside}, {row.beside_engine}"
    found = row.slowdown
    if found is None:
        return f"{pair}: not measured alone; run it without --with to see how much it slows down"
    if found.low is None or found.high is None:
        interval = "no interval"
    else:
        interval = f"{found.low:.3f} to {found.high:.3f}"
    turns = f"{found.pairs} launches in turns" if found.pairs else "launches not in turns"
    return f"{pair}: {found.ratio:.3f} times its latency alone ({interval}; {turns})"


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.4g} ms"

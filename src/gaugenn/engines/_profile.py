"""The other things that a worker does: it takes inferences apart, or says what its library offers.

The program of a worker (see `_worker`) ends with a call of `dispatch`, so one text measures, profiles
and probes:

    python -I worker.py '{"model_paths": ...}'            measures
    python -I worker.py profile '{"model_paths": ...}'    times operators; never a latency
    python -I worker.py offers '{...}'                    processors and precisions here

Answers have the form of `_worker`: `gaugenn-result DIGEST JSON` or `gaugenn-refused DIGEST JSON`. A
profile's JSON has the fields of `records.Profile`.
"""

import importlib.metadata
import sys
from dataclasses import asdict

from gaugenn.engines._launch import main
from gaugenn.engines._worker import (
    Adapter,
    Channel,
    OperatorTime,
    Refusal,
    definite_shapes,
    make_input,
    pin,
)

PROFILE_REPEATS = 10
"""Inferences that are taken apart."""
PROFILE_WARMUPS = 3
MAXIMUM_OPERATORS = 20_000


def profile_once(adapter: Adapter, channel: Channel) -> dict[str, object]:
    """Loads, feeds and warms up like a measured launch, then takes inferences apart."""
    order = adapter.order
    pin(order.affinity)
    adapter.profiling = True
    adapter.start()
    channel.enter("load")
    adapter.load()
    specs = adapter.inputs()
    shapes = definite_shapes(specs, order)
    channel.enter("prepare")
    adapter.prepare(shapes)
    channel.enter("feed")
    adapter.feed(
        [
            make_input(spec.name, spec.dtype, shape, (order.seed, index))
            for index, (spec, shape) in enumerate(zip(specs, shapes, strict=True))
        ]
    )
    channel.enter("warmup")
    for _ in range(PROFILE_WARMUPS):
        adapter.stage()
        adapter.invoke()
    channel.enter("profile")
    runs = adapter.profile(PROFILE_REPEATS)
    channel.enter("finish")
    return {
        "engine_version": library_version(adapter),
        "observed_processor": adapter.observed_processor(),
        "observed_precision": adapter.observed_precision(),
        "operators": joined(runs),
        "notes": sorted(set(adapter.notes)),
    }


def joined(runs: list[list[OperatorTime]]) -> list[dict[str, object]]:
    """One row an operator with its duration in each inference.

    Raises:
        Refusal: inferences ran different operators, or there are none.
    """
    if not runs or not runs[0]:
        raise Refusal("the library reported no operator")
    if len(runs[0]) > MAXIMUM_OPERATORS:
        raise Refusal(f"the library reported {len(runs[0])} operators")
    first = [(item.name, item.operator) for item in runs[0]]
    if any([(item.name, item.operator) for item in run] != first for run in runs):
        raise Refusal("inferences ran different operators")
    return [
        {
            "name": item.name,
            "operator": item.operator,
            "kernel": item.kernel,
            "durations_s": [run[position].duration_s for run in runs],
        }
        for position, item in enumerate(runs[0])
    ]


def library_version(adapter: Adapter) -> str:
    """The installed version of the adapter's library."""
    if adapter.distribution is None:
        return adapter.version
    return importlib.metadata.version(adapter.distribution)


def list_offers(adapter: Adapter, channel: Channel) -> dict[str, object]:
    """What the library can use on this machine."""
    channel.enter("offers")
    adapter.start()
    offers = [asdict(offer) for offer in adapter.offers()]
    return {"engine_version": library_version(adapter), "offers": offers}


def dispatch(adapter_class: type[Adapter]) -> None:
    """Does what the command line asks for."""
    words = sys.argv[1:]
    if words[:1] == ["profile"]:
        main(adapter_class, profile_once)
    elif words[:1] == ["offers"]:
        main(adapter_class, list_offers)
    else:
        main(adapter_class)

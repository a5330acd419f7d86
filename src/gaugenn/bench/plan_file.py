"""Plan files: a campaign in TOML. Every key that is not known is an error; see `docs/bench.md`."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from gaugenn.analysis.thermal_gate import MARGIN_C
from gaugenn.bench.placement import parse_placement
from gaugenn.bench.settings import (
    SAMPLE_EVERY_S,
    BenchSettings,
    Experiment,
    parse_duration_s,
    parse_rate_per_s,
    parse_share,
)
from gaugenn.devices._settings import State
from gaugenn.errors import UsageError
from gaugenn.records import InputShape, PageCache, Precision, Processor

MAXIMUM_BYTES = 1 << 20
MAXIMUM_EXPERIMENTS = 1000
MAXIMUM_ITEMS = 10_000
MAXIMUM_LAUNCHES = 1000
MAXIMUM_KEY_PARTS = 16
"""Of a dotted key; the parser's time grows with their square, and a plan needs two."""

E = TypeVar("E", bound=StrEnum)


def read_plan(path: Path) -> BenchSettings:
    """Reads a plan file.

    Raises:
        UsageError: no such file, no TOML, an unknown key, or a value that cannot be used; the message
            says where, and what is known.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAXIMUM_BYTES:
        raise UsageError(f"{path}: a plan has at most {MAXIMUM_BYTES} bytes")
    try:
        return parse_plan(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no UTF-8 text") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def parse_plan(text: str) -> BenchSettings:
    """A campaign from a plan's text; see `read_plan`.

    Raises:
        UsageError: see `read_plan`.
    """
    for number, line in enumerate(text.splitlines(), 1):
        key, equals, _ = line.partition("=")
        if (equals or key.lstrip().startswith("[")) and key.count(".") >= MAXIMUM_KEY_PARTS:
            raise UsageError(f"line {number}: a key has at most {MAXIMUM_KEY_PARTS} parts")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Beside errors of syntax: a number with thousands of digits.
        raise UsageError(f"no TOML: {error}") from error
    _known(
        table,
        "the plan",
        (
            *("seed", "control", "prepare", "untethered", "sample_every"),
            *("thermal", "launches", "experiment"),
        ),
    )
    experiments = _value(table, "experiment", "the plan", list, [])
    if not experiments:
        raise UsageError("the plan has no [[experiment]]")
    if len(experiments) > MAXIMUM_EXPERIMENTS:
        raise UsageError(f"a plan has at most {MAXIMUM_EXPERIMENTS} experiments")
    launches = _value(table, "launches", "the plan", dict, {})
    _known(launches, "[launches]", ("count", "minimum", "maximum", "precision", "budget"))
    thermal = _value(table, "thermal", "the plan", dict, {})
    _known(thermal, "[thermal]", ("gate", "margin_c", "limit_c"))
    every_s = _parsed(table, "sample_every", "the plan", parse_duration_s)
    return BenchSettings(
        seed=_count(table, "seed", "the plan", 0) or 0,
        control=_value(table, "control", "the plan", bool, False),
        prepare=_chosen(table, "prepare", "the plan", State, (State.QUIET,))[0],
        untethered=_value(table, "untethered", "the plan", str, ""),
        sample_every_s=SAMPLE_EVERY_S if every_s is None else every_s,
        thermal_gate_s=_parsed(thermal, "gate", "[thermal]", parse_duration_s),
        thermal_margin_c=_celsius(thermal, "margin_c", MARGIN_C),
        thermal_limit_c=_celsius(thermal, "limit_c", None),
        launches=_launches(launches, "count"),
        launches_minimum=_launches(launches, "minimum"),
        launches_maximum=_launches(launches, "maximum"),
        precision=_parsed(launches, "precision", "[launches]", parse_share),
        budget_s=_parsed(launches, "budget", "[launches]", parse_duration_s),
        experiments=tuple(
            _experiment(item, f"experiment {number}") for number, item in enumerate(experiments, 1)
        ),
    )


_EXPERIMENT = (
    *("models", "engines", "devices", "processors", "precisions", "threads", "batches"),
    *("input_shapes", "preset", "page_cache", "rate", "sustain", "with", "launch_limit"),
)
"""Keys of an experiment."""


def _experiment(table: object, where: str) -> Experiment:
    if not isinstance(table, dict):
        raise UsageError(f"{where}: expected a table, [[experiment]]")
    _known(table, where, _EXPERIMENT)
    usual = Experiment()
    made = Experiment(
        models=_texts(table, "models", where, ()),
        engines=_texts(table, "engines", where, ()),
        devices=_texts(table, "devices", where, usual.devices),
        processors=_chosen(table, "processors", where, Processor, usual.processors),
        precisions=_chosen(table, "precisions", where, Precision, usual.precisions),
        threads=_threads(table, where, usual.threads),
        batches=_counts(table, "batches", where, usual.batches),
        input_shapes=_shapes(table, where),
        preset=_value(table, "preset", where, str, usual.preset),
        page_cache=_chosen(table, "page_cache", where, PageCache, (usual.page_cache,))[0],
        rate_per_s=_parsed(table, "rate", where, parse_rate_per_s),
        sustain_s=_parsed(table, "sustain", where, parse_duration_s),
        beside=_value(table, "with", where, str, ""),
        launch_limit_s=_parsed(table, "launch_limit", where, parse_duration_s),
    )
    made.durations()
    return made


def _known(table: Mapping[str, object], where: str, keys: Sequence[str]) -> None:
    unknown = sorted(table.keys() - set(keys))
    if unknown:
        listed = ", ".join(repr(key) for key in unknown)
        raise UsageError(f"{where}: unknown key {listed}; known are: {', '.join(keys)}")


V = TypeVar("V")
N = TypeVar("N", None, float)


def _value(table: Mapping[str, object], key: str, where: str, kind: type[V], usual: V) -> V:
    value = table.get(key, usual)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{where}: {key}: expected {_KINDS[kind]}, not {value!r}")
    return value


_KINDS: Mapping[type, str] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def _parsed(
    table: Mapping[str, object], key: str, where: str, parse: Callable[[str], float]
) -> float | None:
    if key not in table:
        return None
    try:
        return parse(_value(table, key, where, str, ""))
    except UsageError as error:
        raise UsageError(f"{where}: {key}: {error}") from error


def _count(
    table: Mapping[str, object], key: str, where: str, lowest: int = 1, highest: int = 2**63 - 1
) -> int | None:
    if key not in table:
        return None
    return _in_range(_value(table, key, where, int, 0), key, where, lowest, highest)


def _celsius(table: Mapping[str, object], key: str, usual: N) -> float | N:
    if key not in table:
        return usual
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"[thermal]: {key}: expected degrees Celsius, not {value!r}")
    return float(value)


def _launches(table: Mapping[str, object], key: str) -> int | None:
    return _count(table, key, "[launches]", highest=MAXIMUM_LAUNCHES)


def _in_range(value: int, key: str, where: str, lowest: int, highest: int) -> int:
    if not lowest <= value <= highest:
        raise UsageError(f"{where}: {key}: {value} is not from {lowest} to {highest}")
    return value


def _items(table: Mapping[str, object], key: str, where: str) -> list[object]:
    value = table[key]
    items = value if isinstance(value, list) else [value]
    if not 1 <= len(items) <= MAXIMUM_ITEMS:
        raise UsageError(f"{where}: {key}: expected 1 to {MAXIMUM_ITEMS} values, not {len(items)}")
    return items


def _texts(
    table: Mapping[str, object], key: str, where: str, usual: tuple[str, ...]
) -> tuple[str, ...]:
    if key not in table:
        return usual
    return tuple(_value({key: item}, key, where, str, "") for item in _items(table, key, where))


def _counts(
    table: Mapping[str, object], key: str, where: str, usual: tuple[int, ...]
) -> tuple[int, ...]:
    if key not in table:
        return usual
    numbers = (_value({key: item}, key, where, int, 0) for item in _items(table, key, where))
    return tuple(_in_range(number, key, where, 1, 1 << 20) for number in numbers)


def _chosen(
    table: Mapping[str, object], key: str, where: str, kind: type[E], usual: tuple[E, ...]
) -> tuple[E, ...]:
    chosen = []
    for name in _texts(table, key, where, tuple(usual)):
        if name not in list(kind):
            raise UsageError(f"{where}: {key}: {name!r} is not one of {', '.join(kind)}")
        chosen.append(kind(name))
    return tuple(chosen)


def _threads(table: Mapping[str, object], where: str, usual: tuple[str, ...]) -> tuple[str, ...]:
    if "threads" not in table:
        return usual
    found = []
    for item in _items(table, "threads", where):
        text = str(item) if isinstance(item, int) and not isinstance(item, bool) else item
        text = _value({"threads": text}, "threads", where, str, "")
        try:
            parse_placement(text)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
        found.append(text)
    return tuple(found)


def _shapes(table: Mapping[str, object], where: str) -> tuple[InputShape, ...]:
    shapes = _value(table, "input_shapes", where, dict, {})
    return tuple(
        InputShape(name=name, shape=_counts(shapes, name, f"{where}: input_shapes", ()))
        for name in shapes
    )

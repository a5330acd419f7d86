"""What engines that are Python wheels have in common: the worker's text, command line and answer."""

import dataclasses
import hashlib
import inspect
import json
import math
import types
import typing
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import ClassVar

from gaugenn.engines import Engine, _worker
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import Job, Timings

MAXIMUM_DEPTH = 8


class WheelEngine(Engine):
    """An engine whose file holds an `Adapter` for the worker beside the engine itself."""

    adapter: ClassVar[type[_worker.Adapter]]

    def worker(self) -> str:
        """The worker's program text: a file of its own, for any Python with numpy and the wheel."""
        return "\n\n".join(
            (
                inspect.getsource(_worker),
                inspect.getsource(self.adapter),
                f"main({self.adapter.__name__})\n",
            )
        )

    def command(self, job: Job, program: Sequence[str], model_paths: Sequence[str]) -> list[str]:
        """The worker with the job as JSON; see `Engine.command`."""
        order = _worker.Order(
            model_paths=tuple(model_paths),
            input_shapes=tuple((i.name, i.shape) for i in job.input_shapes),
            processor=job.processor,
            precision=job.precision,
            threads=job.threads,
            affinity=job.affinity,
            batch=job.batch,
            warmup_minimum_count=job.warmup_minimum_count,
            warmup_minimum_s=job.warmup_minimum_s,
            steady_minimum_count=job.steady_minimum_count,
            steady_minimum_s=job.steady_minimum_s,
            launch_maximum_s=job.launch_maximum_s,
            seed=job.seed,
        )
        return [*program, json.dumps(asdict(order), separators=(",", ":"))]

    def parse(self, stdout: str, stderr: str) -> Timings:
        """The worker's last line; see `Engine.parse`."""
        word, value = _answer(stdout)
        if word == "refused":
            phase, reason = value.get("phase"), value.get("reason")
            raise EngineError(f"{phase}: {reason}{self.explanation(stderr)}")
        timings = _typed(Timings, value, "the worker's result", 0)
        if not isinstance(timings, Timings):
            raise FormatError("the worker's result is no timings")
        return timings

    def explanation(self, stderr: str) -> str:
        """What the library printed about a refusal that its answer does not say, or ""."""
        del stderr
        return ""

    def last_phase(self, stdout: str) -> str | None:
        """The last phase that the worker entered."""
        phases = [line for line in stdout.splitlines() if line.startswith("gaugenn-phase ")]
        return phases[-1].split()[1] if phases and len(phases[-1].split()) == 2 else None


def _answer(stdout: str) -> tuple[str, dict[str, object]]:
    for line in reversed(stdout.splitlines()):
        word, _, rest = line.partition(" ")
        if word not in ("gaugenn-result", "gaugenn-refused"):
            continue
        digest, _, text = rest.partition(" ")
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise FormatError("the worker's answer does not have the digest it states")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"the worker's answer is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise FormatError("the worker's answer is no JSON object")
        return word.removeprefix("gaugenn-"), value
    raise FormatError("the worker ended without an answer")


def _typed(hint: object, value: object, where: str, depth: int) -> object:
    """A JSON value as the type a record's field asks for.

    Raises:
        FormatError: the value has another type, a field is missing or unknown, or a number is not
            finite.
    """
    if depth > MAXIMUM_DEPTH:
        raise FormatError(f"{where}: nested too deeply")
    if isinstance(hint, types.UnionType):
        if value is None and types.NoneType in typing.get_args(hint):
            return None
        (inner,) = (option for option in typing.get_args(hint) if option is not types.NoneType)
        return _typed(inner, value, where, depth + 1)
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return tuple(_typed(inner, item, where, depth + 1) for item in value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _record(hint, value, where, depth)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise FormatError(f"{where}: {value} is not finite")
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    if isinstance(hint, type) and issubclass(hint, StrEnum) and isinstance(value, str):
        try:
            return hint(value)
        except ValueError as error:
            raise FormatError(f"{where}: {error}") from error
    raise FormatError(f"{where}: expected {hint}, found {type(value).__name__}")


def _record(hint: type, value: dict[str, object], where: str, depth: int) -> object:
    hints = typing.get_type_hints(hint)
    if hints.keys() != value.keys():
        odd = ", ".join(sorted(hints.keys() ^ value.keys()))
        raise FormatError(f"{where}: missing or unknown fields: {odd}")
    return hint(**{k: _typed(hints[k], value[k], f"{where}: {k}", depth + 1) for k in hints})

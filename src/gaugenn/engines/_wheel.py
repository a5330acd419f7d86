"""What engines that are Python wheels have in common: the worker's text, command line and answer."""

import ast
import hashlib
import inspect
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict
from types import ModuleType
from typing import ClassVar

from gaugenn.engines import Engine, _launch, _profile, _worker
from gaugenn.errors import EngineError, FormatError
from gaugenn.records import EngineOffers, Job, Profile, Timings, from_plain


class WheelEngine(Engine):
    """An engine whose file holds an `Adapter` for the worker beside the engine itself."""

    adapter: ClassVar[type[_worker.Adapter]]

    def worker(self) -> str:
        """The worker's program text: a file of its own, for any Python with numpy and the wheel."""
        with _PARSING:
            return _program(self.adapter)

    def command(self, job: Job, program: Sequence[str], model_paths: Sequence[str]) -> list[str]:
        """The worker with the job as JSON; see `Engine.command`."""
        return [*program, _order(job, model_paths)]

    def parse(self, stdout: str, stderr: str) -> Timings:
        """The worker's last line; see `Engine.parse`."""
        return from_plain(Timings, self._result(stdout, stderr), "the worker's result")

    def profile_command(
        self, job: Job, program: Sequence[str], model_paths: Sequence[str]
    ) -> list[str]:
        """The worker in the mode that takes inferences apart; see `Engine.profile_command`."""
        if self.profile_method is None:
            return super().profile_command(job, program, model_paths)
        return [*program, "profile", _order(job, model_paths)]

    def parse_profile(self, stdout: str, stderr: str) -> Profile:
        """The worker's last line; see `Engine.parse_profile`."""
        return from_plain(Profile, self._result(stdout, stderr), "the worker's profile")

    def offers_command(self, program: Sequence[str]) -> list[str]:
        """The worker in the mode that only starts the library; see `Engine.offers_command`."""
        nothing = Job(
            model_sha256="",
            format="",
            engine=self.name,
            engine_version=self.default_version,
            device="host",
        )
        return [*program, "offers", _order(nothing, ())]

    def parse_offers(self, stdout: str, stderr: str) -> EngineOffers:
        """The worker's last line; see `Engine.parse_offers`."""
        return from_plain(EngineOffers, self._result(stdout, stderr), "the worker's offers")

    def _result(self, stdout: str, stderr: str) -> dict[str, object]:
        word, value = _answer(stdout)
        if word == "refused":
            phase, reason = value.get("phase"), value.get("reason")
            raise EngineError(f"{phase}: {reason}{self.explanation(stderr)}")
        return value

    def explanation(self, stderr: str) -> str:
        """What the library printed about a refusal that its answer does not say, or ""."""
        del stderr
        return ""

    def last_phase(self, stdout: str) -> str | None:
        """The last phase that the worker entered."""
        phases = [line for line in stdout.splitlines() if line.startswith("gaugenn-phase ")]
        return phases[-1].split()[1] if phases and len(phases[-1].split()) == 2 else None


_PARSING = threading.Lock()
"""Python 3.11's parser fails now and then where threads parse at once, and devices have one each.

Source: https://github.com/python/cpython/issues/106905
"""


def _program(adapter: type[_worker.Adapter]) -> str:
    classes = [c for c in reversed(adapter.__mro__) if issubclass(c, _worker.Adapter)]
    return "\n\n".join(
        (
            inspect.getsource(_worker),
            _part(_launch),
            _part(_profile),
            *(inspect.getsource(c) for c in classes if c is not _worker.Adapter),
            f"dispatch({adapter.__name__})\n",
        )
    )


def _part(module: ModuleType) -> str:
    """A module's text without what it takes from gaugenn, which stands before it in the program."""
    text = inspect.getsource(module)
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("gaugenn"):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(lines)


def _order(job: Job, model_paths: Sequence[str]) -> str:
    order = _worker.Order(
        model_paths=tuple(model_paths),
        input_shapes=tuple((i.name, i.shape) for i in job.input_shapes),
        input_dtypes=tuple((i.name, i.dtype) for i in job.input_shapes if i.dtype),
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
        warmup_maximum_s=job.warmup_maximum_s,
        steady_maximum_s=job.steady_maximum_s,
        maximum_samples=job.maximum_samples,
        page_cache=job.page_cache,
        rate_per_s=job.rate_per_s,
    )
    return json.dumps(asdict(order), separators=(",", ":"))


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

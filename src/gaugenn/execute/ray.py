"""Worker processes of a Ray cluster.

Ray places the work, notices machines that die and starts their work again. It is imported only when a
pool is opened; `pip install gaugenn[ray]` brings it.
"""

import importlib.util
import logging
import math
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from gaugenn.errors import LimitError, MissingToolError, TransientError, UsageError
from gaugenn.execute import Executor, Outcome

if TYPE_CHECKING:
    import ray

T = TypeVar("T")
R = TypeVar("R")

TRIES = 3
"""How often an item is tried whose worker dies."""

_POLL_S = 1.0
_CONNECT_S = 10.0


class RayPool(Executor):
    """A pool on the cluster of an address.

    Args:
        address: of a running cluster: `auto` for the one of this machine, `HOST:6379`, or
            `ray://HOST:10001`; `local` starts one here for as long as the pool lives.
        workers: items at a time; as many as the cluster has CPUs by default.
        item_limit_s: an item that takes longer is ended.

    Raises:
        MissingToolError: Ray is not installed.
        TransientError: the cluster cannot be reached.
    """

    def __init__(
        self, address: str = "auto", workers: int | None = None, item_limit_s: float = 3600.0
    ) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingToolError("--ray", "Ray", "pip install 'gaugenn[ray]'")
        # Nothing is reported to Ray's makers.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        self._ray = ray
        _require_listener(address)
        self._limit_s = item_limit_s
        try:
            ray.init(
                address=address,
                num_cpus=workers if address == "local" else None,
                include_dashboard=False if address == "local" else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise TransientError(
                f"no Ray cluster at {address}: {error}; start one with: ray start --head; one that"
                " asks for a token wants it in RAY_AUTH_TOKEN"
            ) from error
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        self._count = workers or max(1, int(resources.get("CPU", 1)))

    def require(self, resources: Mapping[str, str]) -> None:
        """Sees that some machine of the cluster announces each resource.

        Args:
            resources: what each is for, by its name.

        Raises:
            UsageError: which is announced by none.
        """
        there: dict[str, float] = self._ray.cluster_resources()  # type: ignore[no-untyped-call]
        lacking = [what for name, what in resources.items() if name not in there]
        if lacking:
            raise UsageError(
                f"no machine of the cluster announces {', '.join(lacking)}; on its machine: "
                'ray start --resources="$(gaugenn devices --ray)"'
            )

    def map(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        resources: Callable[[T], Mapping[str, float]] | None = None,
    ) -> Iterator[Outcome[T, R]]:
        """See `Executor.map`. An item whose worker dies is tried again, `TRIES` times in all.

        Args:
            function: see `Executor.map`.
            items: see `Executor.map`.
            resources: what a machine must have besides, by the item. Such items have no time limit.
        """
        remote = self._ray.remote(max_retries=TRIES - 1, num_cpus=1)(function)
        source = iter(items)
        busy: dict[ray.ObjectRef[R], tuple[T, float]] = {}
        exhausted = False
        try:
            while busy or not exhausted:
                while not exhausted and len(busy) < 2 * self._count:
                    try:
                        item = next(source)
                    except StopIteration:
                        exhausted = True
                        break
                    if resources is None:
                        busy[remote.remote(item)] = item, time.monotonic()
                    else:
                        # A phone's campaign keeps no core busy and may take days.
                        there = remote.options(num_cpus=0, resources=dict(resources(item)))
                        busy[there.remote(item)] = item, math.inf
                done, _ = self._ray.wait(list(busy), timeout=_POLL_S) if busy else ([], [])
                for reference in done:
                    item, _since = busy.pop(reference)
                    yield self._outcome(reference, item)
                for reference in self._late(busy):
                    self._ray.cancel(reference, force=True)
                    item, _since = busy.pop(reference)
                    error = LimitError(f"took longer than {self._limit_s:g} s and was ended")
                    yield Outcome(item=item, value=None, error=error)
        finally:
            for reference in busy:
                self._ray.cancel(reference, force=True)

    def close(self) -> None:
        """Leaves the cluster; one that was started for this pool ends."""
        self._ray.shutdown()

    def _late(self, busy: "dict[ray.ObjectRef[R], tuple[T, float]]") -> "list[ray.ObjectRef[R]]":
        # An item may wait for a place as long as another runs, so it has twice the limit.
        late = time.monotonic() - 2 * self._limit_s
        return [reference for reference, (_, since) in busy.items() if since < late]

    def _outcome(self, reference: "ray.ObjectRef[R]", item: T) -> "Outcome[T, R]":
        errors = self._ray.exceptions
        try:
            return Outcome(item=item, value=self._ray.get(reference), error=None)
        except errors.RayTaskError as error:
            cause = error.cause
            raised = cause if isinstance(cause, Exception) else RuntimeError(str(error))
            return Outcome(item=item, value=None, error=raised)
        except errors.RayError as error:
            text = f"its worker died {TRIES} times: {type(error).__name__}"
            return Outcome(item=item, value=None, error=LimitError(text))


def _require_listener(address: str) -> None:
    """Looks whether anything listens: Ray itself would go on trying for many minutes.

    Raises:
        TransientError: nothing does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise TransientError(
            f"no Ray cluster at {address}: {error}; start one with: ray start --head"
        ) from error

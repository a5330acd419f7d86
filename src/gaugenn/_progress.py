"""Live progress on a terminal; plain lines where there is none."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as Bar
from rich.text import Text

from gaugenn._terminal import printable

_TITLES = {
    "crawl": "Fetching packages",
    "scan": "Scanning packages",
    "analyse": "Reading models",
    "bench": "Running models",
}
_UNITS = {"crawl": "apps", "scan": "apps", "analyse": "models", "bench": "runs"}
_SUBJECT_CHARACTERS = 48


class _Rate(ProgressColumn):
    """Items a second, over the last half minute."""

    def render(self, task: Bar) -> Text:
        """See `ProgressColumn`."""
        speed = task.speed
        if not speed:
            return Text("")
        unit = task.fields["unit"]
        number = f"{speed:.3g}" if speed < 100 else f"{speed:.0f}"
        return Text(f"{number} {unit}/s", style="progress.data.speed")


class LiveProgress:
    """A `Watcher` that draws one bar a stage. A context manager: leaving restores the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[subject]}", style="dim"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """See `Watcher`."""
        title = _TITLES.get(stage, stage)
        self._tasks[stage] = self._progress.add_task(
            title, total=total, completed=done, subject="", unit=_UNITS.get(stage, "items")
        )
        if not self._console.is_terminal:
            before = f", {done} done before" if done else ""
            self._console.print(f"{title}: {total - done} to do{before}", highlight=False)

    def step(self, stage: str, subject: str, remark: str = "") -> None:
        """See `Watcher`."""
        shown = (
            subject if len(subject) <= _SUBJECT_CHARACTERS else "…" + subject[-_SUBJECT_CHARACTERS:]
        )
        text = escape(printable(f"{shown}  {remark}".strip()))
        task = self._tasks[stage]
        self._progress.update(task, advance=1, subject=text)
        # A campaign goes on beyond its minimum until it is precise enough.
        known = next(t for t in self._progress.tasks if t.id == task)
        if known.total is not None and known.completed > known.total:
            self._progress.update(task, total=known.completed)

    def end(self, stage: str) -> None:
        """See `Watcher`."""
        self._progress.update(self._tasks[stage], subject="")

"""Live progress on a terminal; plain lines where there is none."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from gaugenn._terminal import printable

_TITLES = {
    "crawl": "Fetching packages",
    "scan": "Scanning packages",
    "analyse": "Reading models",
    "bench": "Running models",
}
_SUBJECT_CHARACTERS = 48


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
        self._tasks[stage] = self._progress.add_task(title, total=total, completed=done, subject="")
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

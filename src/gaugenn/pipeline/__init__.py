"""Joins the plugins to the store. Every step can be repeated and does only what is not there yet.

::

    crawl     source -> packages in a folder, AppRef, Download and Crawl rows (one after the other)
    discover  paths -> files that may be packages or models
    scan      package -> App, AppFile, ModelFile, Evidence rows and blobs     (one worker an app)
    analyse   distinct model -> ModelRecord and LayerRecord rows              (one worker a model)
    measure   distinct model x engine -> Job and Run rows                     (one launch at a time)
    elsewhere the same on devices that hang on machines of a cluster
"""

from typing import Protocol


class Watcher(Protocol):
    """Is told how the work goes on. All methods return at once and must not raise."""

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """A stage (`crawl`, `scan`, `analyse`, `bench`) starts, with so many items, some done."""

    def step(self, stage: str, subject: str, remark: str = "") -> None:
        """An item of the stage is done; the remark says what came out."""

    def end(self, stage: str) -> None:
        """The stage is done."""


class Silent:
    """A watcher that says nothing."""

    def begin(self, stage: str, total: int, done: int = 0) -> None:
        """See `Watcher`."""

    def step(self, stage: str, subject: str, remark: str = "") -> None:
        """See `Watcher`."""

    def end(self, stage: str) -> None:
        """See `Watcher`."""

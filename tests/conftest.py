"""What holds for all tests."""

import os


def pytest_unconfigure() -> None:
    """Keeps the run's summary the last thing printed.

    DuckDB's bindings list what they find alive when the interpreter ends; the operating system takes
    it back anyway, and nobody would read it as anything but an error.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

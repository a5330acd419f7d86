"""What holds for all tests."""

import atexit
import os


def _keep_the_summary_last() -> None:
    """DuckDB's bindings list what they find alive when the interpreter ends.

    The operating system takes it back anyway, and after a run's summary it reads like an error.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


atexit.register(_keep_the_summary_last)

"""Errors as rows."""

from gaugenn.errors import GaugennError, TransientError
from gaugenn.records import Failure


def as_failure(stage: str, subject: str, error: Exception) -> Failure:
    """An error as a row."""
    return Failure(
        stage=stage,
        subject=subject,
        error=type(error).__name__,
        message=str(error) or repr(error),
        transient=isinstance(error, OSError | TransientError)
        or not isinstance(error, GaugennError),
    )

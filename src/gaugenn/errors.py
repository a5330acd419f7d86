"""The error tree.

::

    GaugennError
    ├── StableError            the same input will fail again
    │   ├── UsageError         an argument cannot be used (exit code 2)
    │   ├── FormatError        bytes that are not the model they claim to be
    │   │   └── UnsupportedFormatError   recognised, but this version or part cannot be read
    │   ├── PackageError       an app package that cannot be opened
    │   ├── LimitError         a safety limit on size, depth, count or ratio was reached
    │   ├── StoreError         a study folder that cannot be used (newer schema, not a study)
    │   ├── SourceError            an app source refused, or sent what it did not sign or list
    │   ├── EngineError        an inference library refused or broke on a model
    │   └── MissingToolError   an external tool is not installed; the message says how to install it
    └── TransientError         may pass when tried again
        ├── DeviceError        link lost, device gone, command died
        └── StorageFullError   the disk has no room; free some and run the same command again

A message says where, what is wrong, what was expected, and what to do. `except Exception` stands only
at the two doors that turn an error into a row or an exit code: the pipeline's item loop and the CLI.
"""

import errno


class GaugennError(Exception):
    """Any error that gaugenn raises on purpose."""


class StableError(GaugennError):
    """The same input will fail again."""


class UsageError(StableError):
    """An argument cannot be used."""


class FormatError(StableError):
    """Bytes that are not the model they claim to be: truncated, out of bounds, contradictory."""


class UnsupportedFormatError(FormatError):
    """A format that is recognised, in a version or part that cannot be read."""


class PackageError(StableError):
    """An app package that cannot be opened."""


class LimitError(StableError):
    """A safety limit on size, depth, count or ratio was reached."""


class StoreError(StableError):
    """A folder that is not a study, or a study written by a newer version."""


class SourceError(StableError):
    """A source of packages refused a request, or sent something that it did not sign or list."""


class EngineError(StableError):
    """An inference library refused a model or broke on it."""


class MissingToolError(StableError):
    """An external tool is missing.

    Args:
        user: what needs the tool, as the start of a sentence.
        tool: what is missing.
        install: the one command that installs it.
    """

    def __init__(self, user: str, tool: str, install: str) -> None:
        super().__init__(f"{user} needs {tool}; install it with: {install}")
        self.tool = tool
        self.install = install


class TransientError(GaugennError):
    """May pass when tried again."""


class DeviceError(TransientError):
    """The link to a device was lost, or a command on it died."""


class StorageFullError(TransientError):
    """The disk has no room left."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_storage_full(error: OSError) -> bool:
    """Whether the operating system refused a write for want of room (disk, quota or file limit)."""
    return error.errno in _FULL

"""Names of files for packages, made here and never taken from a source."""

import re

PACKAGE_SUFFIXES = (".apk", ".xapk", ".apks", ".apkm", ".aab", ".obb", ".ipa")
"""Of files that are packages, whatever is in them."""

_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
_LONGEST = 120


def is_package_name(text: str) -> bool:
    """Whether the text is an application identifier, fit to be an argument of a command.

    **Source:** https://developer.android.com/build/configure-app-module#set-application-id
    """
    return len(text) <= 255 and _PACKAGE.fullmatch(text) is not None


def plain(text: str) -> str:
    """The text as a part of a file name: letters, digits, dot, dash, underscore; bounded."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:_LONGEST].strip("._-") or "app"


def file_name(package: str | None, version_code: int | None, sha256: str, suffix: str) -> str:
    """`org.example-12-0123456789ab.apk`: readable, and different for different contents."""
    version = "" if version_code is None else f"-{version_code}"
    return f"{plain(package or 'app')}{version}-{sha256[:12]}{suffix}"

"""What a published study must not tell: folders and names of this machine, devices, credentials.

Text of packages and models stays as it is: it is what was found. Text that gaugenn wrote down itself
(paths, commands, messages, names of devices) is searched for what belongs to this machine.
"""

import getpass
import json
import platform
import posixpath
import re
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from gaugenn.store import Study

_PUBLIC_FOLDERS = frozenset(
    {
        *("apex", "bin", "boot", "data", "dev", "etc", "lib", "lib32", "lib64", "proc", "run"),
        *("sbin", "sdcard", "sys", "system", "usr", "vendor"),
    }
)
"""Top folders that every Linux or Android system has and whose contents name nobody."""
_COMMON_FOLDERS = frozenset({"home", "Users", "root", "mnt", "media", "srv", "tmp", "Volumes"})
_NOBODY = frozenset({"root", "user", "admin", "build", "runner", "localhost", "docker"})
_SHORTEST_NAME = 4
"""Shorter names are not searched for inside text, where they would be found by chance."""
_KNOWN_DEVICES = ("host", "simulated")

_HOME = re.compile(r"(?<![\w.~/-])/(?:home|Users)/[^/\s:'\"<>|,;()\[\]]+(?![^\s:'\"<>|,;()\[\]])")
"""A home folder itself, whose last part is a person's name."""
_USER_INFO = re.compile(r"(?<=://)[^/\s@?#]+@")
_SECRET = re.compile(
    r"(?i)\b(api[_-]?key|key|access[_-]?token|token|secret|password|passwd|auth|signature)"
    r"(\s*[=:]\s*)(?!removed\b)[^\s&'\",;]+"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+(?!removed\b)[A-Za-z0-9._~+/=-]{8,}")
REMOVED = "removed"
"""What stands for a credential."""
LOCAL = "local"
"""What stands for a folder of this machine that no table names as such."""


class Redaction:
    """Replaces private text, the same text by the same label everywhere.

    Args:
        folders: folders of this machine, each of which becomes a label of its own.
        devices: names of devices (serial numbers, users and addresses).
        names: of people and machines.
    """

    def __init__(
        self, folders: Collection[str], devices: Iterable[str], names: Iterable[str] = ()
    ) -> None:
        labels: dict[str, str] = {}
        for number, folder in enumerate(sorted(set(folders)), start=1):
            labels[folder] = f"folder-{number}"
        for number, device in enumerate(sorted(set(devices)), start=1):
            labels[device] = f"device-{number}"
        for name in sorted(set(names)):
            labels.setdefault(name, REMOVED)
        # Orders to workers are JSON: there they are written with escapes.
        for text, label in list(labels.items()):
            for written in _escaped(text):
                labels.setdefault(written, label)
        self._labels = labels
        self._folders = _any_of({*folders, *(w for f in folders for w in _escaped(f))})
        self._known = _any_of(labels)
        try:
            here = {path.name for path in Path("/").iterdir() if path.is_dir()}
        except OSError:
            here = set()
        tops = sorted((here | _COMMON_FOLDERS) - _PUBLIC_FOLDERS)
        listed = "|".join(re.escape(top) for top in tops)
        self._paths = re.compile(rf"(?<![\w.~/-])/(?:{listed})/(?:[^/\s:'\"<>|,;()\[\]]+/)*")
        self._cache: dict[str, str] = {}

    @classmethod
    def of(cls, study: Study) -> "Redaction":
        """What a study and this machine name."""
        with study.connect() as connection:
            paths = connection.execute(
                "SELECT path FROM apps UNION SELECT path FROM all_downloads "
                "UNION SELECT subject FROM all_failures WHERE starts_with(subject, '/')"
            ).fetchall()
            addresses = connection.execute(
                "SELECT address FROM all_crawls UNION SELECT address FROM listings"
            ).fetchall()
            devices = connection.execute(
                "SELECT DISTINCT job.device FROM all_jobs UNION SELECT DISTINCT device "
                "FROM environments"
            ).fetchall()
        folders = {posixpath.dirname(str(path)) for (path,) in paths}
        folders |= {str(address) for (address,) in addresses if str(address).startswith(("/", "."))}
        folders = {f for f in folders if f.startswith(("/", "~")) or ".." in f.split("/")} - {"/"}
        folders |= {str(study.path.resolve()), str(Path.home()), tempfile.gettempdir()} - {"/"}
        return cls(
            folders,
            {str(name) for (name,) in devices if name and name not in _KNOWN_DEVICES},
            {name for name in (getpass.getuser(), platform.node()) if name not in _NOBODY},
        )

    def text(self, text: str) -> str:
        """Text without anything private."""
        found = self._cache.get(text)
        if found is None:
            found = self._cache[text] = self._cleaned(text)
        return found

    def folders(self, text: str) -> str:
        """Text without folders that are known to be private, for what packages say."""
        return self._folders.sub(lambda m: self._labels[m[0]], text)

    def leaks(self, text: str) -> bool:
        """Whether text still holds something private."""
        return self._cleaned(text) != text

    def _cleaned(self, text: str) -> str:
        # A short name of a device is one only where it stands alone.
        text = self._labels.get(text) or self._known.sub(lambda m: self._labels[m[0]], text)
        text = _USER_INFO.sub("", text)
        text = _SECRET.sub(rf"\1\2{REMOVED}", _BEARER.sub(rf"\1 {REMOVED}", text))
        return self._paths.sub(f"{LOCAL}/", _HOME.sub(LOCAL, text))


def _escaped(text: str) -> set[str]:
    """How JSON writes a text, with and without letters beyond ASCII."""
    return {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}


def _any_of(texts: Collection[str]) -> re.Pattern[str]:
    """Finds any of the texts as a whole word, the longest first; nothing where there is none."""
    inside = (text for text in texts if len(text) >= _SHORTEST_NAME)
    longest_first = sorted(inside, key=lambda text: (-len(text), text))
    found = "|".join(rf"(?<![A-Za-z0-9]){re.escape(t)}(?![A-Za-z0-9])" for t in longest_first)
    return re.compile(found or r"(?!)")

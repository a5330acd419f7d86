"""Google Play through `apkeep`, an external program that the user installs and gives an account."""

import configparser
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gaugenn.content import open_file
from gaugenn.errors import MissingToolError, SourceError, TransientError, UsageError
from gaugenn.records import AppRef
from gaugenn.sources import _metadata
from gaugenn.sources._contract import AppQuery, AppSource, Known, Origin, SourceOptions
from gaugenn.sources._names import PACKAGE_SUFFIXES, file_name, is_package_name, plain

SETTINGS_VARIABLE = "GAUGENN_APKEEP_INI"
"""Environment variable with the path of apkeep's own file of accounts, where it is not in its place."""
INSTALL = "cargo install apkeep"

_STORES = ("google-play", "apk-pure")
_ARRIVING = ".gaugenn-arriving-"
_TIMEOUT_S = 3600
_PROFILE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LOCALE = re.compile(r"[a-z]{2,3}(_[A-Z]{2})?")


class PlaySource(AppSource):
    """Gets apps by their package names.

    Which apps: those in `SourceOptions.metadata`, a file of a store's charts, by category and rank; or
    the package names in the query, joined by commas. The store itself cannot be searched with apkeep.
    """

    title = "Google Play"
    spec = "https://github.com/EFForg/apkeep/blob/master/USAGE-google-play.md"
    default_address = "google-play"

    def __init__(self, address: str, options: SourceOptions) -> None:
        """See `AppSource`. The address is the store in apkeep's words."""
        super().__init__(address, options)
        if address not in _STORES:
            raise UsageError(f"{address!r}: the play source knows {', '.join(_STORES)}")
        if options.device_profile and not _PROFILE.fullmatch(options.device_profile):
            raise UsageError(f"{options.device_profile!r} is no device of apkeep's")
        if options.locale and not _LOCALE.fullmatch(options.locale):
            raise UsageError(f"{options.locale!r}: give a locale like en_GB")

    def open(self, known: Known) -> Origin:  # noqa: ARG002
        """Looks for apkeep."""
        _apkeep()
        return Origin(device_profile=self.options.device_profile)

    def search(self, query: AppQuery) -> Iterator[AppRef]:
        """The apps of the charts, or those named, each once."""
        seen: set[str] = set()
        for fields in self._wanted(query):
            package = str(fields.get("package", ""))
            if not is_package_name(package):
                raise UsageError(f"{package[:80]!r} is no package name")
            country = (self.options.locale or "").partition("_")[2] or None
            told: _metadata.Fields = {
                "country": country,
                "device_profile": self.options.device_profile,
                **fields,
            }
            ref = self._listed(reference=package, location=package, **told)
            if package not in seen and (self.options.metadata is None or query.wants(ref)):
                seen.add(package)
                yield ref

    def fetch(self, ref: AppRef, into: Path) -> Path:
        """Runs apkeep in a folder of its own and takes the packages that it left there."""
        for left in into.glob(f"{_ARRIVING}*"):
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=into, prefix=_ARRIVING) as temporary:
            folder = Path(temporary)
            said = self._run(ref.reference, folder)
            found = sorted(
                path
                for path in folder.rglob("*")
                if path.is_file()
                and not path.is_symlink()
                and path.suffix.lower() in PACKAGE_SUFFIXES
            )
            if not found:
                raise TransientError(f"apkeep brought no package of {ref.reference}: {said}")
            digests = [open_file(path).sha256() for path in found]
            if len(found) == 1:
                suffix = found[0].suffix.lower()
                to = into / file_name(ref.package, ref.version_code, digests[0], suffix)
                found[0].replace(to)
                return to
            to = into / file_name(ref.package, ref.version_code, digests[0], "")
            to.mkdir(exist_ok=True)
            for path, sha256 in zip(found, digests, strict=True):
                path.replace(to / file_name(plain(path.stem), None, sha256, path.suffix.lower()))
            return to

    def _wanted(self, query: AppQuery) -> Iterator[_metadata.Fields]:
        if self.options.metadata is not None:
            yield from (fields for _, fields in _metadata.rows(self.options.metadata))
        elif query.text:
            for part in query.text.split(","):
                yield {"package": part.strip()}
        else:
            raise UsageError(
                "say which apps: a file of charts with --metadata, or package names with --query"
            )

    def _run(self, package: str, folder: Path) -> str:
        """Runs apkeep; gives its last line, for a message, without anything out of its accounts."""
        choices = []
        if self.address == "google-play":
            given = (("device", self.options.device_profile), ("locale", self.options.locale))
            choices = [*(f"{key}={value}" for key, value in given if value), "split_apk=true"]
        argv = [_apkeep(), "-a", package, "-d", self.address, "-r", "1"]
        argv += ["-o", ",".join(choices)] if choices else []
        settings = os.environ.get(SETTINGS_VARIABLE)
        argv += ["-i", settings] if settings else []
        try:
            done = subprocess.run(
                [*argv, str(folder)],
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                check=False,
                timeout=_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            raise TransientError(f"apkeep did not end in {_TIMEOUT_S} s on {package}") from None
        except OSError as error:
            raise SourceError(f"apkeep cannot be run: {error.strerror}") from error
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ["it said nothing"]
        return f"exit code {done.returncode}, {_without_accounts(last[0], settings)[:200]}"


def _apkeep() -> str:
    found = shutil.which("apkeep")
    if found is None:
        raise MissingToolError("the source play", "apkeep (MIT licence)", INSTALL)
    return found


def _without_accounts(text: str, settings: str | None) -> str:
    """The text with every value of apkeep's settings blanked."""
    path = Path(settings) if settings else Path.home() / ".config/apkeep/apkeep.ini"
    parser = configparser.RawConfigParser()
    try:
        parser.read(path)
    except (configparser.Error, OSError, UnicodeDecodeError):
        return "(its account settings cannot be read, so what it said is not shown)"
    for section in parser.sections():
        for _, value in parser.items(section):
            if value:
                text = text.replace(value, "***")
    return text

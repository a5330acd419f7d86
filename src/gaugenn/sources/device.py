"""Packages that are installed on an Android device, with all parts of split ones."""

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gaugenn import adb
from gaugenn.content import open_file
from gaugenn.errors import DeviceError, SourceError, UsageError
from gaugenn.records import AppRef
from gaugenn.sources._contract import AppQuery, AppSource, Known, Origin, SourceOptions
from gaugenn.sources._names import file_name, is_package_name, plain

_LINE = re.compile(
    r"package:(?P<path>/\S*)=(?P<package>[A-Za-z0-9_.]+)(?: versionCode:(?P<code>\d{1,18}))?"
    r"(?:  installer=(?P<installer>[A-Za-z0-9_.]+))?"
)
_PROPERTIES = ("ro.product.manufacturer", "ro.product.model", "ro.build.version.release")
_SHA256 = re.compile(r"([0-9a-f]{64}) [ *](.*)")
_LARGEST_PARTS = 1000


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of an installed app."""

    remote: str
    sha256: str


class DeviceSource(AppSource):
    """Lists the apps that users installed, not those of the system. The address is a serial.

    Every file is compared with the digest that the device itself computes.
    """

    title = "Android device"
    spec = "https://developer.android.com/tools/adb#pm"
    default_address = ""

    def __init__(self, address: str, options: SourceOptions) -> None:
        """See `AppSource`. An empty address stands for the one device that is connected."""
        if not address:
            found = adb.serials()
            if len(found) != 1:
                listed = ", ".join(found) or "none"
                raise UsageError(f"name the device by its serial; connected: {listed}")
            (address,) = found
        super().__init__(adb.checked_serial(address), options)
        self._profile = ""

    def open(self, known: Known) -> Origin:  # noqa: ARG002
        """Asks the device what it is."""
        commands = " && ".join(f"getprop {name}" for name in _PROPERTIES)
        lines = self._shell(commands).splitlines()
        maker, model, release = (*lines, "", "", "")[:3]
        self._profile = f"{maker} {model}, Android {release}"
        return Origin(device_profile=self._profile)

    def search(self, query: AppQuery) -> Iterator[AppRef]:
        """The installed apps, as the device lists them."""
        if query.top is not None or query.categories:
            raise UsageError("a device has neither charts nor categories")
        # **Source:** PackageManagerShellCommand.runListPackages of the Android Open Source Project:
        # -f path, -i installer, -3 no system apps.
        listed = self._shell("pm list packages -f -i -3 --show-versioncode")
        for line in listed.splitlines():
            found = _LINE.fullmatch(line.rstrip())
            if found is None or not is_package_name(found["package"]):
                continue
            code, installer = found["code"], found["installer"]
            ref = self._listed(
                reference=found["package"] + (f"@{code}" if code else ""),
                location=found["path"],
                package=found["package"],
                version_code=int(code) if code else None,
                markets=(installer,) if installer and installer != "null" else (),
                device_profile=self._profile or None,
            )
            if query.wants(ref):
                yield ref

    def fetch(self, ref: AppRef, into: Path) -> Path:
        """Copies every part of an app. One part gives a file, several a folder."""
        if ref.package is None or not is_package_name(ref.package):
            raise SourceError(f"{ref.reference!r} is no package name")
        parts = self._parts(ref.package)
        if len(parts) == 1:
            to = into / file_name(ref.package, ref.version_code, parts[0].sha256, ".apk")
            self._copy(parts[0], to)
            return to
        folder = into / file_name(ref.package, ref.version_code, parts[0].sha256, "")
        folder.mkdir(exist_ok=True)
        for part in parts:
            stem = plain(part.remote.rpartition("/")[2].removesuffix(".apk"))
            self._copy(part, folder / file_name(stem, None, part.sha256, ".apk"))
        return folder

    def _shell(self, command: str) -> str:
        done = adb.shell(self.address, command)
        if done.exit_code is None:
            raise DeviceError(f"device {self.address}: {command[:60]!r} did not end")
        if done.exit_code != 0:
            name = command.partition(" ")[0]
            raise SourceError(f"device {self.address}: {name} ended with {done.exit_code}")
        return done.stdout.replace("\r\n", "\n")

    def _parts(self, package: str) -> list[_Part]:
        listed = self._shell(f"pm path {shlex.quote(package)}").splitlines()
        paths = [line.removeprefix("package:") for line in listed if line.startswith("package:/")]
        if not paths or len(paths) > _LARGEST_PARTS:
            raise SourceError(f"{package} has {len(paths)} files on device {self.address}")
        quoted = " ".join(map(shlex.quote, paths))
        sums = self._shell(f"sha256sum {quoted}").splitlines()
        found = [match for line in sums if (match := _SHA256.fullmatch(line))]
        if [match[2] for match in found] != paths:
            raise SourceError(f"device {self.address} gives no digests of the files of {package}")
        return [_Part(match[2], match[1]) for match in found]

    def _copy(self, part: _Part, to: Path) -> None:
        if to.is_file() and open_file(to).sha256() == part.sha256:
            return
        arriving = to.with_name(to.name + ".part")
        if arriving.is_dir():
            shutil.rmtree(arriving)
        adb.pull(self.address, part.remote, arriving)
        if open_file(arriving).sha256() != part.sha256:
            arriving.unlink()
            raise DeviceError(f"device {self.address}: {part.remote} arrived changed")
        arriving.replace(to)

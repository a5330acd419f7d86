"""What is here, what is missing, and the command that brings it."""

import importlib.util
import shutil
import sys
from dataclasses import dataclass

from gaugenn import adb, plugins
from gaugenn._cache import cache_folder
from gaugenn.devices import ssh
from gaugenn.devices._usb import UHUBCTL_INSTALL
from gaugenn.devices.host import HostDevice
from gaugenn.engines import Engine, _binaries
from gaugenn.engines._environments import find
from gaugenn.engines._native import SUPPLIED, NativeEngine
from gaugenn.errors import GaugennError
from gaugenn.formats import readers
from gaugenn.power import open_meter
from gaugenn.records import BuildStatus
from gaugenn.records._environment import KEYS
from gaugenn.sources import play
from gaugenn.zoo import _environment
from gaugenn.zoo._build import records
from gaugenn.zoo._catalogue import models

ROOM_WANTED_BYTES = 2 << 30
"""Free disk that the default engines and a small study need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that gaugenn uses.

    Attributes:
        ok: it is here.
        name: what it is.
        found: what was found, or what is missing for want of it.
        remedy: the one command that brings it; None where it is here or no command can.
    """

    ok: bool
    name: str
    found: str
    remedy: str | None = None


def doctor() -> tuple[Check, ...]:
    """Looks at interpreter, disk, formats, engines, zoo, devices and programs."""
    return (
        *(_python(), *_disk(), _formats(), *_engines(), *_vendors(), _zoo()),
        *(
            _host(),
            _conditions(),
            _simulated(),
            *_meters(),
            _ray(),
            _yaml(),
            _explorer(),
            _predict(),
            *_programs(),
        ),
    )


def _python() -> Check:
    has_venv = importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")
    version = ".".join(str(part) for part in sys.version_info[:3])
    if has_venv:
        return Check(ok=True, name="Python", found=f"{version}, with venv")
    lacking = f"{version}, without venv: engines cannot be installed"
    return Check(ok=False, name="Python", found=lacking, remedy="apt-get install python3-venv")


def _disk() -> tuple[Check, ...]:
    folder = cache_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{folder}: {free / 1e9:.1f} GB free"
    return (Check(ok=free >= ROOM_WANTED_BYTES, name="cache", found=found),)


def _formats() -> Check:
    return Check(ok=True, name="formats", found=", ".join(sorted(readers())))


def _engines() -> tuple[Check, ...]:
    loaded = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
    checks = []
    for name, kind in loaded.items():
        engine = kind()
        if not engine.by_default:
            continue
        there = find(engine, engine.default_version) is not None
        label = f"{name}=={engine.default_version}"
        checks.append(
            Check(
                ok=there,
                name=f"engine {name}",
                found=label if there else f"{label} is not installed: no {name} runs",
                remedy=None if there else f"gaugenn engines install {name}",
            )
        )
    return tuple(checks)


def _zoo() -> Check:
    """Reference models can be built only with the exporters; what is built needs none of them."""
    accepted = sum(record.status is BuildStatus.ACCEPTED for record, _ in records())
    built = f"{accepted} builds of {len(models())} reference models"
    if _environment.find() is not None:
        return Check(ok=True, name="zoo", found=f"exporters are installed; {built}")
    lacking = f"no exporters ({_environment.SIZE_GB:.1f} GB): none can be built; {built}"
    return Check(ok=False, name="zoo", found=lacking, remedy="gaugenn zoo install")


def _vendors() -> tuple[Check, ...]:
    """Vendors' own programs: which are there for which ABI."""
    root = _binaries.folder()
    if root is None:
        found = f"{_binaries.VARIABLE} is not set: no vendors' own programs (docs/native.md)"
        return (Check(ok=False, name="programs", found=found),)
    checks = []
    for name, kind in plugins.load_all("gaugenn.engines", Engine).items():  # type: ignore[type-abstract]
        if not issubclass(kind, NativeEngine):
            continue
        engine = kind()
        there = list(_binaries.found(engine))
        halves = [f"{b.abi} lacks {', '.join(b.missing)}" for b in there if b.missing]
        listed = [b.abi if b.version == SUPPLIED else f"{b.abi} {b.version}" for b in there]
        found = "; ".join(
            [", ".join(listed), *halves] if there else [f"no {engine.binary} in {root}"]
        )
        ok = bool(there) and not halves
        checks.append(Check(ok=ok, name=f"program {name}", found=found))
    return tuple(checks)


def _host() -> Check:
    info = HostDevice().info()
    memory = "" if info.memory_bytes is None else f", {info.memory_bytes / 2**30:.0f} GiB"
    found = f"{info.processor_model}, {info.logical_cores} cores{memory}, {info.operating_system}"
    return Check(ok=True, name="device host", found=found)


def _programs() -> tuple[Check, ...]:
    """Programs that sources of packages and devices run."""
    wanted = (
        ("adb", "Android devices cannot be reached", adb.INSTALL),
        ("ssh", "boards cannot be reached", ssh.INSTALL),
        ("uhubctl", "USB power of phones cannot be cut with a hub", UHUBCTL_INSTALL),
        ("apkeep", "packages of Google Play cannot be fetched", play.INSTALL),
    )
    return tuple(
        Check(
            ok=(there := shutil.which(program)) is not None,
            name=program,
            found=there or f"not installed: {lacking}",
            remedy=None if there else install,
        )
        for program, lacking, install in wanted
    )


def _simulated() -> Check:
    found = "runs --engine simulated in virtual time, with known truth"
    return Check(ok=True, name="device simulated", found=found)


def _conditions() -> Check:
    """Which keys of the environment registry the host tells, and which it does not."""
    host = HostDevice()
    told = {reading.key for reading in (*host.info().readings, *host.conditions())}
    untold = [key for key in KEYS if key not in told]
    lacking = f"; it does not tell {', '.join(untold)}" if untold else ""
    found = f"{len(told)} of {len(KEYS)} keys travel with each number{lacking}"
    return Check(ok=True, name="conditions", found=found)


def _meters() -> tuple[Check, ...]:
    """Meters of this machine, and the package that a Monsoon needs."""
    checks = []
    for name in ("rapl", "hwmon"):
        try:
            with open_meter(name) as meter:
                found = ", ".join(meter.rails)
            checks.append(Check(ok=True, name=f"meter {name}", found=found))
        except GaugennError as error:
            checks.append(Check(ok=False, name=f"meter {name}", found=str(error)))
    there = importlib.util.find_spec("Monsoon") is not None
    checks.append(
        Check(
            ok=there,
            name="meter monsoon",
            found="its package is here" if there else "not installed: a Monsoon cannot be used",
            remedy=None if there else "pip install 'gaugenn[monsoon]'",
        )
    )
    return tuple(checks)


def _yaml() -> Check:
    if importlib.util.find_spec("yaml") is not None:
        return Check(ok=True, name="yaml", found="perf.yaml files can be imported")
    lacking = "not installed: perf.yaml files cannot be imported"
    return Check(ok=False, name="yaml", found=lacking, remedy="pip install 'gaugenn[yaml]'")


def _explorer() -> Check:
    wanted = ("starlette", "uvicorn", "netron")
    missing = [name for name in wanted if importlib.util.find_spec(name) is None]
    if not missing:
        return Check(ok=True, name="explorer", found="gaugenn serve shows studies in a browser")
    return Check(
        ok=False,
        name="explorer",
        found=f"{', '.join(missing)} not installed: gaugenn serve cannot show studies",
        remedy="pip install 'gaugenn[explorer]'",
    )


def _predict() -> Check:
    if importlib.util.find_spec("sklearn") is not None:
        return Check(ok=True, name="scikit-learn", found="latencies can be predicted")
    lacking = "not installed: latencies cannot be predicted"
    return Check(
        ok=False, name="scikit-learn", found=lacking, remedy="pip install 'gaugenn[predict]'"
    )


def _ray() -> Check:
    if importlib.util.find_spec("ray") is not None:
        return Check(ok=True, name="ray", found="scans and campaigns can run on a Ray cluster")
    return Check(
        ok=False,
        name="ray",
        found="not installed: scans and campaigns run on this machine only",
        remedy="pip install 'gaugenn[ray]'",
    )

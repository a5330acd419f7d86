"""What devices there are, what each is, and what could run on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gaugenn import plugins
from gaugenn.bench.devices import connected, open_device
from gaugenn.bench.provision import engines_on
from gaugenn.devices import Device
from gaugenn.devices._keeping import Keeping, boards_met
from gaugenn.devices._remote import RemoteDevice
from gaugenn.devices._settings import restore_open
from gaugenn.engines import Engine, _environments
from gaugenn.errors import DeviceError, GaugennError
from gaugenn.records import Environment, Reading
from gaugenn.records._environment import number, text


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """A device as a user may want to choose it.

    Attributes:
        name: for `--device`.
        kind: `host`, `adb`, `ssh` or `simulated`.
        state: `ready`, or why nothing can be measured on it now.
        model: maker and model, where it tells.
        soc: the chip, or the processor's name.
        clusters: CPUs that are alike, as `4x1.80 GHz + 4x2.80 GHz`.
        memory_bytes: of the whole device.
        operating_system: with its version.
        battery_level: 0 to 1.
        battery_state: `charging` and others.
        temperature_c: of the hottest sensor that tells.
        engines: libraries that can run there, as `name==version` where one is installed, else `name`.
        restored: settings that were set back, which a campaign that was killed had left changed.
    """

    name: str
    kind: str
    state: str = "ready"
    model: str = ""
    soc: str = ""
    clusters: str = ""
    memory_bytes: int | None = None
    operating_system: str = ""
    battery_level: float | None = None
    battery_state: str | None = None
    temperature_c: float | None = None
    engines: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()


def devices(names: Sequence[str] = ()) -> tuple[DeviceInfo, ...]:
    """The named devices; without a name this machine, what adb knows, and boards that were used before.

    A setting that a killed campaign left changed is set back, unless the device is in use.

    Raises:
        UsageError: there is no such device.
    """
    found = []
    for name in names or ("host", *connected(), *boards_met()):
        device = open_device(name)
        if isinstance(device, RemoteDevice):
            found.append(_remote(device))
        else:
            found.append(_local(device, name))
    return tuple(found)


def resource(name: str) -> str:
    """The name under which a machine announces a device to Ray."""
    return f"gaugenn:{name}"


def resources(names: Sequence[str] = ()) -> tuple[str, ...]:
    """The named devices as resources of this machine; without a name those that hang on it.

    A name is not looked up, so that what is switched off now can be announced, too.
    """
    return tuple(resource(name) for name in names or (*connected(), *boards_met()))


def release(name: str) -> bool:
    """Ends the quarantine of a device, which has to be connected.

    Returns:
        Whether it was in quarantine.

    Raises:
        UsageError: there is no such device.
        DeviceError: it cannot be reached.
    """
    device = open_device(name)
    if not isinstance(device, RemoteDevice):
        return False
    try:
        device.connect()
        return Keeping(device.identity()).release()
    finally:
        device.disconnect()


def _local(device: Device, name: str) -> DeviceInfo:
    info = device.info()
    known = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
    by_default = [n for n, engine in known.items() if engine.by_default]
    there = [i for i in _environments.installed() if i.engine in known]
    return replace(
        _described(info, device.conditions()),
        name=name,
        engines=("simulated",)
        if info.device_kind == "simulated"
        else _engines(by_default, [f"{i.engine}=={i.version}" for i in there]),
    )


def _remote(device: RemoteDevice) -> DeviceInfo:
    known = DeviceInfo(name=device.name, kind=device.kind)
    try:
        device.connect()
    except GaugennError as error:
        device.disconnect()
        return replace(known, state=str(error))
    try:
        keeping = Keeping(device.identity())
        known = replace(known, restored=_set_back(device, keeping))
        info, facts = device.info(), device.facts()
        maker, model = (facts.get(f"ro.product.{n}", "") for n in ("manufacturer", "model"))
        told = _described(info, device.conditions())
        quarantine = keeping.quarantine()
        state = keeping.holder() or known.state
        if quarantine is not None:
            state = f"in quarantine since {quarantine.since}: {quarantine.reason}"
        device.cache = device.shell(device.cache_script()).stdout.strip()
        there = engines_on(device)
        python = "python" in facts and "pip" in facts
        wheels = plugins.load_all("gaugenn.engines", Engine)  # type: ignore[type-abstract]
        could = [n for n, e in wheels.items() if e.by_default and python]
        return replace(
            told,
            name=device.name,
            state=state,
            model=f"{maker} {model}".strip() or facts.get("board", ""),
            engines=_engines(could, [e for e in there if e.partition("==")[0] in wheels]),
            restored=known.restored,
        )
    except DeviceError as error:
        return replace(known, state=str(error))
    finally:
        device.disconnect()


def _set_back(device: RemoteDevice, keeping: Keeping) -> tuple[str, ...]:
    if not keeping.journal.exists():
        return ()
    try:
        keeping.take(device.name)
    except DeviceError:
        return ()  # whoever has it sets it back
    try:
        return restore_open(device, keeping)
    finally:
        keeping.give_back()


def _described(info: Environment, conditions: Sequence[Reading]) -> DeviceInfo:
    heat = [r.number for r in conditions if r.key == "temperature_c" and r.number is not None]
    return DeviceInfo(
        name=info.device,
        kind=info.device_kind,
        soc=info.processor_model,
        clusters=clusters(info),
        memory_bytes=info.memory_bytes,
        operating_system=info.operating_system,
        battery_level=number(conditions, "battery_level"),
        battery_state=text(conditions, "battery_state"),
        temperature_c=max(heat) if heat else None,
    )


def clusters(info: Environment) -> str:
    """CPUs that have the same capacity and highest frequency, the smallest first."""
    groups: dict[tuple[float, float], int] = {}
    for cpu in range(info.logical_cores):
        capacity = number(info.readings, "core_capacity", f"cpu{cpu}") or 0.0
        frequency = number(info.readings, "core_maximum_frequency_hz", f"cpu{cpu}") or 0.0
        groups[capacity, frequency] = groups.get((capacity, frequency), 0) + 1
    return " + ".join(
        f"{count}x{frequency / 1e9:.2f} GHz" if frequency else f"{count} cores"
        for (_, frequency), count in sorted(groups.items())
    )


def _engines(could: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
    missing = [name for name in could if not any(e.startswith(f"{name}==") for e in there)]
    return tuple(sorted([*there, *missing]))

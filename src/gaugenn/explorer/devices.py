"""Devices: what was measured on, and one device with its environments and experiments."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaugenn.explorer import _experiments
from gaugenn.explorer._contract import Pages, address
from gaugenn.explorer._database import Reader
from gaugenn.report import _text
from gaugenn.report._frame import Frame
from gaugenn.report._table import Table, digests, links, names, numbers

_MOST = 500
_KNOWN = """
    SELECT device, sha256(device) AS key, count(*) AS experiments,
           count(DISTINCT model_sha256) AS models, sum(launches_ok)::BIGINT AS launches_ok
    FROM page_experiments GROUP BY device
"""


class Devices(Pages):
    """`/devices` and `/devices/SHA256-OF-ITS-NAME`; a name may hold any sign."""

    menu = "Devices"
    order = 4
    path = "/devices"

    def routes(self) -> list[Route]:
        """The list, and one device."""
        return [Route("/devices", self._list), Route("/devices/{key}", self._one)]

    def _list(self, request: Request) -> Response:
        del request
        with self.database.read() as reader:
            frame = reader.frame(
                f"""SELECT k.*, e.processor_model, e.operating_system, e.device_kind,
                           e.environments
                    FROM ({_KNOWN}) k LEFT JOIN (
                        SELECT device, any_value(processor_model) AS processor_model,
                               any_value(operating_system) AS operating_system,
                               any_value(device_kind) AS device_kind,
                               count(DISTINCT environment_sha256) AS environments
                        FROM page_environments GROUP BY device) e USING (device)
                    ORDER BY experiments DESC, device""",  # noqa: S608
                limit=_MOST,
            )
        return self.page("devices.html.j2", "Devices", table=_table(frame))

    def _one(self, request: Request) -> Response:
        key = request.path_params["key"]
        with self.database.read() as reader:
            found = reader.frame(f"SELECT * FROM ({_KNOWN}) WHERE key = ?", [key])  # noqa: S608
            if not len(found):
                raise HTTPException(404, "Nothing was measured on that device.")
            measured = _experiments.load(reader, "sha256(r.device) = ?", [key])
            return self.page(
                "device.html.j2",
                found.labels("device")[0] or "A device without a name",
                facts=[
                    ("Experiments", _text.count(found.integers("experiments")[0])),
                    ("Models", _text.count(found.integers("models")[0])),
                    ("Good launches", _text.count(found.integers("launches_ok")[0])),
                ],
                environments=environments(reader, "sha256(e.device) = ?", key),
                readings=_readings(reader, key),
                experiments=_experiments.table(measured),
                experiments_more=_experiments.more(measured),
            )


def _table(frame: Frame) -> Table | None:
    if not len(frame):
        return None
    shown = [name or "(no name)" for name in frame.labels("device")]
    return Table(
        columns=(
            links(names("Device", shown), [address("devices", k) for k in frame.labels("key")]),
            names("Kind", frame.texts("device_kind")),
            names("Processor", frame.texts("processor_model")),
            names("System", frame.texts("operating_system")),
            numbers("Environments", frame.integers("environments")),
            numbers("Models", frame.integers("models")),
            numbers("Experiments", frame.integers("experiments")),
            numbers("Good launches", frame.integers("launches_ok")),
        )
    )


def environments(reader: Reader, condition: str, value: object) -> Table | None:
    """What launches ran on; None where that is not known.

    Args:
        reader: the study.
        condition: SQL over `environments` as `e`, with one question mark.
        value: for the question mark.
    """
    frame = reader.frame(
        f"""SELECT DISTINCT ON (e.environment_sha256) e.* FROM page_environments e
            WHERE {condition} ORDER BY e.environment_sha256""",  # noqa: S608
        [value],
        _MOST,
    )
    if not len(frame):
        return None
    return Table(
        columns=(
            names("Processor", frame.texts("processor_model")),
            names("Architecture", frame.texts("architecture")),
            numbers("Cores", frame.integers("logical_cores")),
            numbers("Memory", frame.integers("memory_bytes"), _text.size),
            numbers("Top frequency", frame.integers("maximum_frequency_hz"), _hertz),
            names("Governor", frame.texts("governor")),
            names("System", frame.texts("operating_system")),
            names("Kernel", frame.texts("kernel")),
            names("gaugenn", frame.texts("gaugenn_version")),
            digests("Environment", frame.texts("environment_sha256")),
        )
    )


def _readings(reader: Reader, key: str) -> Table | None:
    frame = reader.frame(
        """SELECT DISTINCT r.key AS key, r.instance AS instance,
                  coalesce(r.text, format('{:g}', r.number)) AS value
           FROM (SELECT unnest(readings) AS r FROM page_environments WHERE sha256(device) = ?)
           ORDER BY ALL""",
        [key],
        _MOST,
    )
    if not len(frame):
        return None
    return Table(
        columns=(
            names("Key", frame.texts("key")),
            names("Of", frame.texts("instance")),
            names("Value", frame.texts("value")),
        )
    )


def _hertz(value: float | None) -> str:
    return _text.metric(value, "Hz")

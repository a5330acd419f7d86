"""Experiments: a list to search and to choose from for a comparison, and one with its launches."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaugenn.analysis.verdict import RULES
from gaugenn.explorer import _experiments
from gaugenn.explorer._contract import Pages, address
from gaugenn.explorer._database import Reader
from gaugenn.explorer._listing import Listing, find, of_value
from gaugenn.explorer._rendering import Charts
from gaugenn.explorer.devices import environments
from gaugenn.report import _text
from gaugenn.report._frame import Frame
from gaugenn.report._table import Table, digests, names, numbers

_MOST = 500

_LIST = Listing(
    table="page_experiments",
    key="job_sha256",
    filters=(
        of_value("engine", "Library", "engine", "page_experiments"),
        of_value("device", "Device", "device", "page_experiments"),
        of_value("format", "Format", "format", "page_experiments"),
        of_value("processor", "Processor", "processor", "page_experiments"),
        of_value("precision", "Precision", "precision", "page_experiments"),
        of_value("verdict", "Verdict", "validity", "page_experiments"),
        of_value("imported", "Imported from", "imported", "page_experiments"),
    ),
    sorts={
        "model": "lower(model)",
        "setting": "setting",
        "latency_s": "latency_s",
        "launches_ok": "launches_ok",
        "validity": "validity",
        "device": "device",
    },
    usual="model",
)
_MEANING = {rule.reason: rule.meaning for rule in RULES}


class Experiments(Pages):
    """`/experiments` and `/experiments/SHA256`."""

    menu = "Experiments"
    order = 3
    path = "/experiments"

    def routes(self) -> list[Route]:
        """The list, and one experiment."""
        return [Route("/experiments", self._list), Route("/experiments/{digest}", self._one)]

    def _list(self, request: Request) -> Response:
        with self.database.read() as reader:
            found = find(reader, _LIST, request.query_params)
        return self.page(
            "experiments.html.j2",
            "Experiments",
            found=found,
            table=_experiments.table(found.frame),
            ids=found.frame.labels("job_sha256"),
            keys=_experiments.SORT_KEYS,
        )

    def _one(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        with self.database.read() as reader:
            found = _experiments.load(reader, "r.job_sha256 = ?", [digest])
            if not len(found):
                raise HTTPException(404, "The study has no experiment with that digest.")
            found = _experiments.with_latency(found)
            launches = reader.frame(
                """SELECT launch, status, reason, started_at, wall_s, environment_sha256, log_tail,
                          coalesce(list_aggregate(timings.steady_s, 'median'),
                                   timings.aggregate.value_s) AS median_s,
                          len(timings.steady_s) AS samples, timings.first_s AS first_s,
                          timings.load_s AS load_s, timings.prepare_s AS prepare_s,
                          timings.peak_memory_bytes AS peak_memory_bytes
                   FROM runs WHERE job_sha256 = ? ORDER BY launch, started_at""",
                [digest],
                _MOST,
            )
            reasons = found.text_lists("reasons")[0]
            return self.page(
                "experiment.html.j2",
                f"{found.labels('model')[0]}: {found.labels('setting')[0]}",
                facts=_facts(found),
                reasons=[(r, _MEANING.get(r, "")) for r in reasons],
                notes=found.text_lists("notes")[0],
                launches=_launches(launches),
                logs=_logs(launches),
                environments=_environments(reader, digest),
                charts=_charts(launches),
            )


def _facts(found: Frame) -> list[tuple[str, str] | tuple[str, str, str]]:
    def text(column: str) -> str:
        return found.labels(column)[0] or _text.NOTHING

    latency, low, high = (
        None if (value := found.reals(f"latency_ms{end}")[0]) is None else value / 1e3
        for end in ("", "_low", "_high")
    )
    number = int(found.reals("latency_ms_n")[0] or 0)
    shapes: list[list[dict[str, object]] | None] = found.rows.column("input_shapes").to_pylist()
    return [
        ("Latency [95 % interval]", _text.interval(latency, low, high, number, _text.SECONDS)),
        ("Verdict", found.labels("validity")[0] or "not run"),
        ("Model", text("model"), address("models", text("model_sha256"))),
        ("Format", text("format")),
        ("Library", f"{text('engine')} {text('engine_version')}"),
        ("Device", text("device"), address("devices", text("device_key"))),
        ("Processor", text("processor")),
        ("Precision asked for", text("precision")),
        ("Precision seen", ", ".join(found.text_lists("observed_precisions")[0]) or _text.NOTHING),
        ("Threads", _text.count(found.integers("threads")[0])),
        ("Cores it is bound to", text("affinity")),
        ("Batch", _text.count(found.integers("batch")[0])),
        ("Input sizes", "; ".join(_shape(one) for one in shapes[0] or ()) or _text.NOTHING),
        ("Page cache", text("page_cache")),
        ("Rate, per second", _rate(found.reals("rate_per_s")[0])),
        ("Beside it", text("companion")),
        (
            "Launches: good, tried, planned",
            ", ".join(
                _text.count(found.integers(f"launches_{kind}")[0])
                for kind in ("ok", "tried", "planned")
            ),
        ),
        ("Steady samples", _text.count(found.integers("samples")[0])),
        ("Load, median", _text.seconds(found.reals("load_s")[0])),
        ("Prepare, median", _text.seconds(found.reals("prepare_s")[0])),
        ("First inference, median", _text.seconds(found.reals("first_s")[0])),
        ("Imported from", text("imported")),
        ("Experiment", text("job_sha256")),
    ]


def _shape(shape: dict[str, object]) -> str:
    sizes = shape["shape"]
    return f"{shape['name']} {'x'.join(map(str, sizes if isinstance(sizes, list) else []))}"


def _rate(value: float | None) -> str:
    return "back to back" if value is None else f"{value:g}"


def _launches(frame: Frame) -> Table | None:
    if not len(frame):
        return None
    return Table(
        columns=(
            numbers("Launch", frame.integers("launch")),
            names("Ended", frame.texts("status")),
            numbers("Latency, median", frame.reals("median_s"), _text.seconds),
            numbers("Samples", frame.integers("samples")),
            numbers("Load", frame.reals("load_s"), _text.seconds),
            numbers("Prepare", frame.reals("prepare_s"), _text.seconds),
            numbers("First inference", frame.reals("first_s"), _text.seconds),
            numbers("Peak memory", frame.integers("peak_memory_bytes"), _text.size),
            names("Reason", frame.texts("reason"), 80),
            names("Started (UTC)", frame.texts("started_at")),
            numbers("Took", frame.reals("wall_s"), _text.seconds),
            digests("Environment", frame.texts("environment_sha256")),
        )
    )


def _logs(frame: Frame) -> list[tuple[int, str]]:
    """What failed launches printed, in lines again: rows show the end of a line by a mark."""
    rows = zip(
        frame.integers("launch"), frame.labels("status"), frame.labels("log_tail"), strict=True
    )
    return [
        (launch or 0, log.replace("\\n", "\n"))
        for launch, status, log in rows
        if status != "ok" and log
    ]


def _environments(reader: Reader, digest: str) -> Table | None:
    condition = "e.environment_sha256 IN (SELECT environment_sha256 FROM runs WHERE job_sha256 = ?)"
    return environments(reader, condition, digest)


def _charts(frame: Frame) -> Charts:
    """The median of each good launch."""
    rows = [
        {"launch": launch, "latency": 1e3 * median}
        for launch, median in zip(frame.integers("launch"), frame.reals("median_s"), strict=True)
        if median is not None
    ]
    if len(rows) < 2:
        return {}
    return {
        "launches": {
            "data": {"values": rows},
            "width": "container",
            "autosize": {"type": "fit-x", "contains": "padding"},
            "description": "Median latency of each good launch, in milliseconds",
            "height": 200,
            "mark": "point",
            "encoding": {
                "x": {
                    "field": "launch",
                    "type": "quantitative",
                    "title": "launch",
                    "axis": {"format": "d", "tickMinStep": 1},
                },
                "y": {
                    "field": "latency",
                    "type": "quantitative",
                    "title": "latency (ms)",
                    "scale": {"zero": False},
                },
                "tooltip": [
                    {"field": "launch"},
                    {"field": "latency", "format": ".4~r", "title": "latency, ms"},
                ],
            },
        }
    }

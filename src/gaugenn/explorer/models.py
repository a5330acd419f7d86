"""Models: a list to search, and one model with its costs, its relatives and how it runs."""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaugenn.explorer import _experiments
from gaugenn.explorer._contract import Pages, address
from gaugenn.explorer._database import Reader
from gaugenn.explorer._lineage import Relative, relatives
from gaugenn.explorer._listing import Listing, find, of_list, of_value
from gaugenn.explorer._rendering import Charts
from gaugenn.report import _text
from gaugenn.report._charts import STEP
from gaugenn.report._frame import Frame
from gaugenn.report._table import Column, Table, digests, links, lists, names, numbers

_MOST = 200
"""Rows of a table about one model."""
_LAYERS = 100
"""Nodes in the table of layers."""
_DRAWN = 2_000
"""Nodes that the chart of layers draws."""

_LIST = Listing(
    table="page_models",
    key="model_sha256",
    filters=(
        of_value("format", "Format", "format", "page_models"),
        of_value("task", "Task", "task", "page_models"),
        of_value("precision", "Weights", "weights_dtype", "page_models"),
        of_value("quantization", "Quantisation", "quantization", "page_models"),
        of_list("category", "App category", "categories", "page_models"),
        of_list("engine", "Ran with", "engines", "page_models"),
        of_list("snapshot", "Snapshot", "snapshots", "page_models"),
        of_value("kind", "Kind", "kind", "page_models"),
    ),
    sorts={
        "name": "lower(name)",
        "format": "format",
        "task": "task",
        "parameters": "parameters",
        "macs": "macs",
        "size": "size_bytes",
        "apps": "apps",
        "experiments": "experiments",
    },
    usual="-apps",
)


class Models(Pages):
    """`/models` and `/models/SHA256`."""

    menu = "Models"
    order = 2
    path = "/models"

    def routes(self) -> list[Route]:
        """The list, and one model."""
        return [Route("/models", self._list), Route("/models/{digest}", self._one)]

    def _list(self, request: Request) -> Response:
        with self.database.read() as reader:
            found = find(reader, _LIST, request.query_params)
        return self.page(
            "models.html.j2",
            "Models",
            found=found,
            table=table(found.frame),
            ids=found.frame.labels("model_sha256"),
            keys=(
                *("name", "format", "task", None, "parameters", "macs", "size", "apps"),
                *("experiments", None),
            ),
        )

    def _one(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        with self.database.read() as reader:
            found = reader.frame("SELECT * FROM page_models WHERE model_sha256 = ?", [digest])
            if not len(found):
                raise HTTPException(404, "The study has no model with that digest.")
            record = reader.frame("SELECT * FROM page_read WHERE model_sha256 = ?", [digest])
            layers = reader.frame(
                """SELECT DISTINCT ON (graph, position) * FROM layers WHERE model_sha256 = ?
                   ORDER BY graph, position""",
                [digest],
                _DRAWN,
            )
            measured = _experiments.load(reader, "r.model_sha256 = ?", [digest])
            return self.page(
                "model.html.j2",
                found.labels("name")[0],
                digest=digest,
                facts=_facts(found, record),
                evidence=record.text_lists("task_evidence")[0] if len(record) else [],
                notes=record.text_lists("notes")[0] if len(record) else [],
                files=_files(reader, digest),
                tensors=_tensors(reader, digest),
                layers=_layers(layers),
                layers_total=layers.total,
                layers_shown=min(layers.total, _LAYERS),
                layers_drawn=min(layers.total, _DRAWN),
                charts={} if not layers.total else _charts(layers),
                lineage=_lineage(reader, digest),
                shippers=_shippers(reader, digest),
                experiments=_experiments.table(measured),
                experiments_more=_experiments.more(measured),
            )


def _models(digests_: Sequence[str]) -> list[str | None]:
    return [address("models", digest) for digest in digests_]


def table(frame: Frame) -> Table | None:
    """One row a model; None where there is none."""
    if not len(frame):
        return None
    models = _models(frame.labels("model_sha256"))
    return Table(
        columns=(
            links(names("Model", frame.texts("name")), models),
            names("Format", frame.texts("format")),
            names("Task", frame.texts("task")),
            names("Weights", frame.texts("weights_dtype")),
            numbers("Parameters", frame.integers("parameters"), _text.metric),
            numbers("MACs", frame.integers("macs"), _text.metric),
            numbers("Size", frame.integers("size_bytes"), _text.size),
            numbers("Apps", frame.integers("apps")),
            numbers("Experiments", frame.integers("experiments")),
            lists("Ran with", frame.text_lists("engines")),
        )
    )


def _facts(found: Frame, record: Frame) -> list[tuple[str, str]]:
    def text(frame: Frame, column: str) -> str:
        return (frame.labels(column)[0] if len(frame) else "") or _text.NOTHING

    facts = [
        (
            "Format",
            " ".join(filter(None, (found.texts("format")[0], text(record, "format_version")))),
        ),
        ("Kind", text(found, "kind")),
        ("Task", text(found, "task")),
        ("Modality", text(found, "modality")),
        ("Family", text(found, "family")),
        ("Parameters", _text.metric(found.integers("parameters")[0])),
        ("MACs (1 MAC = 2 FLOPs)", _text.metric(found.integers("macs")[0])),
        ("Nodes", _text.count(found.integers("nodes")[0])),
        ("Nodes without known cost", _text.count(found.integers("uncounted_nodes")[0])),
        ("Size", _text.size(found.integers("size_bytes")[0])),
        ("Weights", text(found, "weights_dtype")),
        ("Quantisation", text(found, "quantization")),
        ("Producer", text(record, "producer")),
        ("Apps", _text.count(found.integers("apps")[0])),
        ("SHA-256", text(found, "model_sha256")),
        ("Architecture", text(found, "architecture_sha256")),
        ("Digest of weights", text(found, "weights_sha256")),
    ]
    if len(record) and record.texts("error")[0]:
        facts.append(("Why it was not read", record.labels("error")[0]))
    return facts


def _files(reader: Reader, digest: str) -> Table | None:
    frame = reader.frame(
        """SELECT * FROM page_model_files WHERE model_sha256 = ? ORDER BY name""",
        [digest],
        _MOST,
    )
    if not len(frame):
        return None
    return Table(
        columns=(
            names("File", frame.texts("name")),
            names("Format", frame.texts("format")),
            numbers("Size", frame.integers("size_bytes"), _text.size),
            digests("SHA-256", frame.texts("sha256")),
        )
    )


def _tensors(reader: Reader, digest: str) -> Table | None:
    frame = reader.frame(
        """SELECT side, t.name AS name, t.dtype AS dtype,
                  CASE WHEN t.shape IS NULL THEN 'unknown rank'
                       ELSE array_to_string(t.shape, ' x ') END AS shape
           FROM (SELECT 'input' AS side, unnest(inputs) AS t FROM page_read WHERE model_sha256 = ?
                 UNION ALL
                 SELECT 'output', unnest(outputs) FROM page_read WHERE model_sha256 = ?)""",
        [digest, digest],
        _MOST,
    )
    if not len(frame):
        return None
    return Table(
        columns=(
            names("Tensor", frame.texts("name")),
            names("Is an", frame.texts("side")),
            names("Type", frame.texts("dtype")),
            names("Shape", frame.texts("shape")),
        )
    )


def _layers(layers: Frame) -> Table | None:
    if not layers.total:
        return None
    frame = layers.first(_LAYERS)
    shapes: list[list[object] | None] = frame.rows.column("output_shape").to_pylist()
    return Table(
        columns=(
            numbers("Node", frame.integers("position")),
            names("Name", frame.texts("name"), 40),
            names("Operator", frame.texts("operator")),
            names("In the file", frame.texts("source_operator")),
            names("Class", frame.texts("layer_class")),
            numbers("MACs", frame.integers("macs"), _text.metric),
            numbers("Parameters", frame.integers("parameters"), _text.metric),
            numbers("Weights", frame.integers("weights_bytes"), _text.size),
            names("Output", ["x".join(map(str, shape or ())) for shape in shapes]),
        )
    )


def _charts(layers: Frame) -> Charts:
    """MACs of every node, and of every class of nodes."""
    rows = [
        {"node": node, "name": name, "operator": operator, "class": kind, "MACs": macs or 0}
        for node, name, operator, kind, macs in zip(
            range(len(layers)),
            layers.labels("name"),
            layers.labels("operator"),
            layers.labels("layer_class"),
            layers.integers("macs"),
            strict=True,
        )
    ]
    kinds = {str(row["class"]) for row in rows}
    colour = {"field": "class", "type": "nominal", "title": "class"}
    common = {
        "data": {"values": rows},
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
    return {
        "layers": {
            **common,
            "description": "MACs of each node, in the order of the file",
            "height": 220,
            "mark": {"type": "bar", "cornerRadiusEnd": 0, "width": {"band": 0.9}},
            "encoding": {
                "x": {
                    "field": "node",
                    "type": "ordinal",
                    "title": "node",
                    "axis": {"labelOverlap": "greedy", "labelAngle": 0, "ticks": False},
                },
                "y": {
                    "field": "MACs",
                    "type": "quantitative",
                    "title": "MACs",
                    "axis": {"format": "~s"},
                },
                "color": colour,
                "tooltip": [
                    {"field": "node"},
                    {"field": "name"},
                    {"field": "operator"},
                    {"field": "class"},
                    {"field": "MACs", "type": "quantitative", "format": ",d"},
                ],
            },
        },
        "classes": {
            **common,
            "description": "MACs of each class of nodes",
            "height": STEP * len(kinds) + STEP / 2,
            "mark": "bar",
            "encoding": {
                "y": {"field": "class", "type": "nominal", "title": None, "sort": "-x"},
                "x": {
                    "aggregate": "sum",
                    "field": "MACs",
                    "type": "quantitative",
                    "title": "MACs",
                    "axis": {"format": "~s"},
                },
                "tooltip": [
                    {"field": "class"},
                    {"aggregate": "sum", "field": "MACs", "format": ",d", "title": "MACs"},
                    {"aggregate": "count", "title": "nodes"},
                ],
            },
        },
    }


def _lineage(reader: Reader, digest: str) -> list[tuple[str, str, Table | None, str, str]]:
    """Each kind of relatives: anchor, title, table, what it says, what its absence says."""
    found = relatives(reader, digest)

    def shared(some: Sequence[Relative]) -> Table | None:
        return _relatives(
            reader,
            [one.model_sha256 for one in some],
            numbers("Layers in common", [one.shared_layers for one in some]),
            numbers("Shared, %", [100 * one.share for one in some], _percent),
        )

    return [
        (
            "duplicates",
            "Exact copies in other files",
            _relatives(reader, found.duplicates),
            "The same network with the same weights in another file.",
            "No other file holds this network with these weights.",
        ),
        (
            "architecture",
            "Same architecture",
            _relatives(reader, found.architecture),
            "The same graph with other weights, or quantised in another way.",
            "No other model has this architecture.",
        ),
        (
            "fine-tuned",
            "Fine-tuned relatives",
            shared(found.fine_tuned),
            "Models with trained layers in common: one was trained from the other.",
            "No other model shares enough layers.",
        ),
        (
            "copies",
            "Copies in other formats",
            shared(found.copies),
            "The same values of weights in another format or width of floats.",
            "No other format holds these values.",
        ),
    ]


def _relatives(reader: Reader, models: Sequence[str], *more: Column) -> Table | None:
    if not models:
        return None
    models = models[:_MOST]
    frame = reader.frame(
        """SELECT m.* FROM (SELECT unnest(?) AS model_sha256, generate_subscripts(?, 1) AS place) o
           JOIN page_models m USING (model_sha256) ORDER BY o.place""",
        [list(models), list(models)],
    )
    return Table(
        columns=(
            links(names("Model", frame.texts("name")), _models(frame.labels("model_sha256"))),
            names("Format", frame.texts("format")),
            names("Weights", frame.texts("weights_dtype")),
            names("Quantisation", frame.texts("quantization")),
            numbers("Apps", frame.integers("apps")),
            *(Column(title=c.title, style=c.style, cells=c.cells[: len(models)]) for c in more),
            digests("SHA-256", frame.texts("model_sha256")),
        )
    )


def _percent(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.1f}"


def _shippers(reader: Reader, digest: str) -> Table | None:
    frame = reader.frame(
        """SELECT a.*, p.member FROM page_places p JOIN page_apps a USING (app_sha256)
           WHERE p.model_sha256 = ? ORDER BY a.package, a.version_code, p.member""",
        [digest],
        _MOST,
    )
    if not len(frame):
        return None
    shown = [
        label or package or path
        for label, package, path in zip(
            frame.texts("label"), frame.texts("package"), frame.texts("path"), strict=True
        )
    ]
    apps: list[str | None] = [address("apps", app) for app in frame.labels("app_sha256")]
    return Table(
        columns=(
            links(names("App", shown), apps),
            names("Package", frame.texts("package")),
            names("Version", frame.texts("version_name")),
            names("Category", frame.texts("category")),
            names("File", frame.texts("member"), 60),
            lists("Snapshots", frame.text_lists("snapshots")),
        )
    )

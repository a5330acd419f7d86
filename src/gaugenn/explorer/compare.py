"""Models or experiments side by side; experiments with ratio and interval where comparable."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaugenn.explorer import _experiments
from gaugenn.explorer._contract import Pages, address
from gaugenn.explorer._database import Reader
from gaugenn.explorer.models import table as model_table
from gaugenn.pipeline.compare import ModelComparison, compare_pair
from gaugenn.pipeline.experiments import experiments_of
from gaugenn.report import _text
from gaugenn.report._frame import Frame
from gaugenn.report._table import Table, links, lists, names, numbers

MOST = 8
"""Models or experiments in a comparison."""


class Compare(Pages):
    """`/compare?model=...&model=...` and `/compare?experiment=...&experiment=...`."""

    menu = "Compare"
    order = 5
    path = "/compare"

    def routes(self) -> list[Route]:
        """One page."""
        return [Route("/compare", self._show)]

    def _show(self, request: Request) -> Response:
        models = list(dict.fromkeys(request.query_params.getlist("model")))
        jobs = list(dict.fromkeys(request.query_params.getlist("experiment")))
        if len(models) > MOST or len(jobs) > MOST:
            raise HTTPException(400, f"At most {MOST} can be compared at once.")
        with self.database.read() as reader:
            some = bool(models or jobs)
            experiments, ratios = _experiments_of(reader, jobs) if jobs else (None, None)
            return self.page(
                "compare.html.j2",
                "Compare",
                asked=some,
                few=some and max(len(models), len(jobs)) < 2,
                models=_models(reader, models) if models else None,
                layers=_layers(reader, models) if models else None,
                runs=_runs(reader, models) if models else None,
                experiments=experiments,
                ratios=ratios,
            )


def _chosen(reader: Reader, query: str, digests: list[str], what: str) -> Frame:
    frame = reader.frame(query, [digests])
    if len(frame) != len(digests):
        raise HTTPException(404, f"The study does not have all these {what}.")
    return frame


def _models(reader: Reader, digests: list[str]) -> Table | None:
    frame = _chosen(
        reader,
        "SELECT * FROM page_models WHERE list_contains(?, model_sha256) ORDER BY name, model_sha256",
        digests,
        "models",
    )
    return model_table(frame)


def _layers(reader: Reader, digests: list[str]) -> Table | None:
    """MACs by class of layers, a column a model."""
    frame = reader.frame(
        """SELECT l.model_sha256, any_value(m.name) AS name, l.layer_class,
                  sum(l.macs)::BIGINT AS macs, count(*) AS nodes
           FROM layers l JOIN page_models m USING (model_sha256)
           WHERE list_contains(?, l.model_sha256) GROUP BY ALL""",
        [digests],
    )
    if not len(frame):
        return None
    found = {
        (model, kind): (macs, nodes)
        for model, kind, macs, nodes in zip(
            frame.labels("model_sha256"),
            frame.labels("layer_class"),
            frame.integers("macs"),
            frame.integers("nodes"),
            strict=True,
        )
    }
    called = dict(zip(frame.labels("model_sha256"), frame.labels("name"), strict=True))
    kinds = sorted({kind for _, kind in found})
    ordered = sorted(called, key=lambda model: (called[model], model))
    return Table(
        columns=(
            names("Class of layers", kinds),
            *(
                numbers(
                    f"{_text.clip(called[model], 28)} {model[:6]}, MACs",
                    [found.get((model, kind), (None, 0))[0] for kind in kinds],
                    _text.metric,
                )
                for model in ordered
            ),
        )
    )


def _runs(reader: Reader, digests: list[str]) -> Table | None:
    frame = _experiments.load(reader, "list_contains(?, r.model_sha256)", [digests])
    return _experiments.table(frame)


def _experiments_of(reader: Reader, jobs: list[str]) -> tuple[Table | None, Table | None]:
    """The experiments, and each over the first that the user marked."""
    frame = _chosen(
        reader,
        """SELECT * FROM page_experiments WHERE list_contains(?, job_sha256)
           ORDER BY latency_s NULLS LAST, job_sha256""",
        jobs,
        "experiments",
    )
    models = sorted(set(frame.labels("model_sha256")))
    called = dict(zip(frame.labels("model_sha256"), frame.labels("model"), strict=True))
    found = experiments_of(reader.connection, models, called)
    measured = {experiment.record.job_sha256: experiment for experiment in found}
    known = [measured[job] for job in jobs if job in measured]
    rows = [(compare_pair(known[0], other), other.model) for other in known[1:]] if known else []
    return _experiments.table(frame), _ratios(rows) if rows else None


def _ratios(pairs: list[tuple[ModelComparison, str]]) -> Table:
    """A row each comparison; with it the name of the second's model, which may be another."""
    visible = _text.visible
    rows = [row for row, _ in pairs]
    differences = [row.difference for row in rows]
    return Table(
        columns=(
            links(
                names("Experiment", [visible(row.second.label) for row in rows], 60),
                [address("experiments", row.second.job_sha256) for row in rows],
            ),
            names("Model", [visible(model) for _, model in pairs]),
            names("Over", [visible(f"{row.model} {row.first.label}") for row in rows], 60),
            numbers(
                "Ratio of latencies", [None if d is None else d.ratio for d in differences], _ratio
            ),
            names("95 % interval", [_interval(row) for row in rows]),
            names("Outcome", [row.outcome or "not compared" for row in rows]),
            names("Why not", [None if r.refused is None else visible(r.refused) for r in rows], 80),
            names("Design", [None if d is None else d.design.value for d in differences]),
            lists(
                "Conditions that differ",
                [[visible(f"{k}: {a} / {b}") for k, (a, b) in r.differing.items()] for r in rows],
            ),
        )
    )


def _ratio(value: float | None) -> str:
    return _text.NOTHING if value is None else f"{value:.3f}"


def _interval(row: ModelComparison) -> str | None:
    found = row.difference
    if found is None or found.low is None or found.high is None:
        return None
    return f"[{found.low:.3f}, {found.high:.3f}]"

"""A study for notebooks: frames of its tables, and objects that show themselves.

::

    import gaugenn

    study = gaugenn.Study.open("mystudy")
    study.models()                      # a pandas frame
    study.figure("latency")             # draws itself
    study.compare("litert", "ncnn")     # ratios with intervals, as a frame
"""

import html
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.csv

from gaugenn.api._compare import compare
from gaugenn.api._export import frame
from gaugenn.api._report import figures, query, report
from gaugenn.api._study import PathLike
from gaugenn.errors import MissingToolError, UsageError
from gaugenn.store import Study as StoredStudy

if TYPE_CHECKING:
    from pandas import DataFrame
    from polars import DataFrame as PolarsFrame

    from gaugenn.report import Summary

# The report's libraries take half a second to import, so only what needs them does.

SHOWN_ROWS = 20
"""Rows of a table that a figure shows of itself."""


class Figure:
    """A figure of a study's report.

    Attributes:
        name: as `gaugenn report --figure` takes it.
        question: that it answers.
    """

    def __init__(self, study: Path, name: str, question: str) -> None:
        self.name = name
        self.question = question
        self._study = StoredStudy(study)

    def rows(self) -> "DataFrame":
        """All of its rows, with what is derived from them.

        Raises:
            MissingToolError: pandas is not installed.
        """
        return _pandas(pyarrow.csv.read_csv(io.BytesIO(self._rendered("csv"))))

    def svg(self) -> str:
        """The chart as SVG.

        Raises:
            UsageError: it has no chart, or nothing to draw.
        """
        return self._rendered("svg").decode()

    def png(self) -> bytes:
        """The chart as PNG; raises as `svg` does."""
        return self._rendered("png")

    def vega(self) -> dict[str, object]:
        """The chart as Vega-Lite with its data; raises as `svg` does."""
        found: dict[str, object] = json.loads(self._rendered("vega"))
        return found

    def __repr__(self) -> str:
        """Its name and question."""
        return f"<figure {self.name}: {self.question}>"

    def _repr_html_(self) -> str:
        """The chart, or where there is none the first rows."""
        head = f"<p><b>{html.escape(self.question)}</b></p>"
        try:
            return head + self.svg()
        except UsageError as error:
            table = pyarrow.csv.read_csv(io.BytesIO(self._rendered("csv")))
            if not table.num_rows:
                return head + f"<p>{html.escape(str(error))}</p>"
            return head + _table(table)

    def _rendered(self, form: str) -> bytes:
        from gaugenn.report import ExportFormat, render_figure

        return render_figure(self._study, self.name, ExportFormat(form))


class Study:
    """A study, to be looked at."""

    def __init__(self, folder: PathLike) -> None:
        """Opens a study; see `open`."""
        self.path = Path(folder)
        StoredStudy(self.path)

    @classmethod
    def open(cls, folder: PathLike) -> Self:
        """Opens a study.

        Raises:
            StoreError: the folder is no study.
        """
        return cls(folder)

    def arrow(self, name: str) -> pa.Table:
        """A table or view as an Arrow table; docs/study.md lists them.

        Raises:
            UsageError: no such table or view.
        """
        return frame(self.path, name)

    def polars(self, name: str) -> "PolarsFrame":
        """A table or view as a Polars frame.

        Raises:
            UsageError: no such table or view.
            MissingToolError: Polars is not installed.
        """
        return frame(self.path, name, "polars")

    def pandas(self, name: str) -> "DataFrame":
        """A table or view as a pandas frame.

        Raises:
            UsageError: no such table or view.
            MissingToolError: pandas is not installed.
        """
        return frame(self.path, name, "pandas")

    def query(self, sql: str) -> "DataFrame":
        """What a statement in DuckDB's SQL gives.

        Raises:
            UsageError: it cannot be run.
            MissingToolError: pandas is not installed.
        """
        return _pandas(query(self.path, sql))

    def apps(self) -> "DataFrame":
        """Scanned packages: the newest row of each path."""
        return self.pandas("packages")

    def models(self) -> "DataFrame":
        """Distinct models, each with its name, its cost and how many apps ship it."""
        return self.query(
            """SELECT n.name, m.*, coalesce(i.apps, 0) AS apps, coalesce(i.places, 0) AS places
               FROM (SELECT DISTINCT ON (model_sha256) * FROM models ORDER BY model_sha256) m
               LEFT JOIN model_names n USING (model_sha256)
               LEFT JOIN (SELECT model_sha256, count(DISTINCT app_sha256) AS apps,
                                 count(*) AS places FROM instances GROUP BY model_sha256) i
                   USING (model_sha256)
               ORDER BY apps DESC, n.name, m.model_sha256"""
        )

    def instances(self) -> "DataFrame":
        """Every place of a model in a package."""
        return self.pandas("instances")

    def layers(self, model_sha256: str | None = None) -> "DataFrame":
        """Nodes with their costs, of one model (the beginning of its digest will do) or of all.

        Raises:
            UsageError: the text is no beginning of a digest.
        """
        begin = model_sha256 or ""
        if not set(begin) <= set("0123456789abcdef"):
            raise UsageError(f"{begin!r} is no beginning of a SHA-256 digest in lower-case hex")
        return self.query(
            f"""SELECT * FROM layers WHERE starts_with(model_sha256, '{begin}')
                ORDER BY model_sha256, graph, position"""  # noqa: S608 - hexadecimal digits only
        )

    def findings(self) -> "DataFrame":
        """What each package is found to use."""
        return self.pandas("findings")

    def runs(self) -> "DataFrame":
        """Every launch, raw, and every failure."""
        return self.pandas("runs")

    def launches(self) -> "DataFrame":
        """Launches that ran to their end, with their latency."""
        return self.pandas("launches")

    def samples(self) -> "DataFrame":
        """Every steady latency sample."""
        return self.pandas("samples")

    def results(self) -> "DataFrame":
        """Experiments with their latency, its interval and the verdict.

        `latency_s` is the geometric mean of the launches' medians; `low_s` and `high_s` are the ends
        of its interval of 95 %, missing with too few launches.
        """
        from gaugenn.analysis.statistics import estimate

        table = query(
            self.path,
            """SELECT coalesce(n.name, left(r.model_sha256, 12)) AS model, r.engine,
                      r.engine_version, r.device, r.processor, r.precision, r.threads, r.batch,
                      r.launches_ok, r.launches_tried, v.validity, v.reasons,
                      m.macs, r.medians_s, r.model_sha256, r.job_sha256
               FROM results r LEFT JOIN verdicts v USING (job_sha256)
               LEFT JOIN model_names n USING (model_sha256)
               LEFT JOIN (SELECT DISTINCT ON (model_sha256) model_sha256, macs FROM models
                          ORDER BY model_sha256) m USING (model_sha256)
               ORDER BY model, engine, r.job_sha256""",
        )
        every: list[list[float] | None] = table.column("medians_s").to_pylist()
        found = [estimate(values) if values and min(values) > 0 else None for values in every]
        for name, values in (
            ("latency_s", [None if e is None else e.value for e in found]),
            ("low_s", [None if e is None else e.low for e in found]),
            ("high_s", [None if e is None else e.high for e in found]),
        ):
            table = table.append_column(name, pa.array(values, pa.float64()))
        return _pandas(table.drop_columns(["medians_s"]))

    def verdicts(self) -> "DataFrame":
        """How far each experiment can be trusted, and why."""
        return self.pandas("verdicts")

    def failures(self) -> "DataFrame":
        """What could not be done, and why."""
        return self.pandas("failures")

    def compare(self, first: str, second: str) -> "DataFrame":
        """Selections of this study against each other; nothing is launched anew.

        Args:
            first: an engine, an engine and version, or a setting: `litert`, `threads=1`.
            second: the same; a ratio above 1 says that it is slower.

        Raises:
            UsageError: nothing in common.
        """
        found = compare(f"{self.path}:{first}", f"{self.path}:{second}", rerun=False)
        rows = [
            {
                "model": row.model,
                "first": row.first.label,
                "second": row.second.label,
                "ratio": None if (d := row.difference) is None else d.ratio,
                "low": None if d is None else d.low,
                "high": None if d is None else d.high,
                "outcome": None if row.outcome is None else row.outcome.value,
                "refused": row.refused,
                "model_sha256": row.model_sha256,
            }
            for row in found.models
        ]
        return _pandas(pa.Table.from_pylist(rows))

    def figures(self) -> dict[str, str]:
        """Names of the report's figures, each with the question that it answers."""
        return figures()

    def figure(self, name: str) -> Figure:
        """A figure of the report, which shows itself.

        Raises:
            UsageError: no such figure.
        """
        known = figures()
        if name not in known:
            raise UsageError(f"there is no figure {name!r}; there are: {', '.join(known)}")
        return Figure(self.path, name, known[name])

    def report(self, page: PathLike | None = None) -> Path:
        """Writes the report; see `api.report`."""
        return report(self.path, page)

    def summary(self) -> "Summary":
        """Headline numbers."""
        from gaugenn import report as reporting

        return reporting.summary(StoredStudy(self.path))

    def __repr__(self) -> str:
        """Its folder."""
        return f"Study.open({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """Headline numbers."""
        numbers = {name: value for name, value in asdict(self.summary()).items() if value}
        return _table(
            pa.table({"what": list(numbers), "number": list(numbers.values())}),
            caption=f"Study {self.path}",
            rows=len(numbers),
        )


def _pandas(table: pa.Table) -> "DataFrame":
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise MissingToolError(
            "a frame of pandas", "pandas", "pip install 'gaugenn[notebook]'"
        ) from error
    return table.to_pandas()


def _table(table: pa.Table, caption: str = "", rows: int = SHOWN_ROWS) -> str:
    """The first rows of a table as HTML, every text escaped and made visible."""
    from gaugenn.report._text import visible

    def cell(value: object) -> str:
        text = "\N{EN DASH}" if value is None else str(value)
        return f"<td>{html.escape(visible(text, 120))}</td>"

    columns: Sequence[list[object]] = [c.to_pylist() for c in table.slice(0, rows).columns]
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in zip(*columns, strict=True))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.column_names)
    more = f"<p>{rows:,} of {table.num_rows:,} rows.</p>" if table.num_rows > rows else ""
    return (
        f"<table><caption>{html.escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
    )

"""Which packages were scanned and what each holds."""

from gaugenn.report import _text
from gaugenn.report._contract import Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, lists, names, numbers


class Apps(Figure):
    """One row a distinct package."""

    section = Section.FOUND
    order = 110
    title = "Packages"
    question = "Which packages were scanned, and what machine learning does each hold?"
    query = """
        SELECT coalesce(a.label, a.package, regexp_extract(a.path, '[^/]*$')) AS app,
               a.package, coalesce(a.version_name, a.version_code::VARCHAR) AS version,
               a.kind, a.size_bytes, coalesce(m.instances, 0) AS instances,
               coalesce(m.models, 0) AS models,
               f.runtimes, f.accelerators, f.clouds, f.others,
               a.certificate_sha256, a.app_sha256, a.error
        FROM (
            SELECT DISTINCT ON (app_sha256) * FROM packages WHERE kind NOT IN ('none', 'file')
            ORDER BY app_sha256, path
        ) a
        LEFT JOIN (
            SELECT app_sha256, count(*) AS instances, count(DISTINCT model_sha256) AS models
            FROM instances GROUP BY app_sha256
        ) m USING (app_sha256)
        LEFT JOIN (
            SELECT app_sha256,
                   list_sort(list(name) FILTER (category = 'runtime')) AS runtimes,
                   list_sort(list(name) FILTER (category = 'accelerator')) AS accelerators,
                   list_sort(list(name) FILTER (category = 'cloud')) AS clouds,
                   list_sort(list(name) FILTER (category NOT IN ('runtime', 'accelerator', 'cloud')))
                       AS others
            FROM findings WHERE confirmed GROUP BY app_sha256
        ) f USING (app_sha256)
        ORDER BY instances DESC, lower(app), a.app_sha256
    """
    empty = (
        "No package was scanned; models that lie in no package are in the parts below. "
        "Scan packages with: gaugenn scan PATH... --out STUDY"
    )

    def table(self, frame: Frame) -> Table:
        """One row a package, those with most models first."""
        return Table(
            columns=(
                names("App", frame.texts("app")),
                names("Package", frame.texts("package")),
                names("Version", frame.texts("version"), 20),
                names("Kind", frame.texts("kind")),
                numbers("Size", frame.integers("size_bytes"), _text.size),
                numbers("Models", frame.integers("instances")),
                numbers("Distinct", frame.integers("models")),
                lists("Runtimes", frame.text_lists("runtimes")),
                lists("Accelerators", frame.text_lists("accelerators")),
                lists("Cloud", frame.text_lists("clouds")),
                lists("Other evidence", frame.text_lists("others")),
                digests("Certificate", frame.texts("certificate_sha256")),
                digests("SHA-256", frame.texts("app_sha256")),
                names("Remark", frame.texts("error")),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What counts as evidence, and what as a package."""
        return (
            f"n = {_text.plural(frame.total, 'distinct package')}, of which {summary.apps:,} are apps "
            f"or parts of one; {summary.apps_with_models:,} of those hold a model that was read. "
            "Models counts places, Distinct counts different files. Evidence is listed where it is "
            "confirmed: one strong token, or two different weak ones."
        )

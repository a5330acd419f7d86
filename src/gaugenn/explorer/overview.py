"""The first page: what the study holds, and where to go from there."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gaugenn.explorer._contract import Pages, address
from gaugenn.explorer._database import Reader
from gaugenn.report import _text
from gaugenn.report._table import Table, links, names, numbers

_MOST = 30


class Overview(Pages):
    """`/`."""

    menu = "Overview"
    order = 0
    path = "/"

    def routes(self) -> list[Route]:
        """One page."""
        return [Route("/", self._show)]

    def _show(self, request: Request) -> Response:
        del request
        with self.database.read() as reader:
            return self.page(
                "overview.html.j2",
                "Overview",
                tiles=reader.summary().tiles(),
                formats=_counted(
                    reader, "Format", "models", "format", "page_models", "kind = 'model'"
                ),
                tasks=_counted(reader, "Task", "models", "task", "page_models", "kind = 'model'"),
                refused=_counted(
                    reader,
                    "Kind",
                    "apps",
                    "refused",
                    "(SELECT unnest(refused_kinds) AS refused FROM page_apps)",
                    what="Packages",
                ),
                snapshots=_counted(
                    reader,
                    "Snapshot",
                    "apps",
                    "snapshot",
                    "(SELECT unnest(snapshots) AS snapshot FROM page_apps)",
                    what="Packages",
                ),
                failures=reader.summary().failures,
                failures_link=address(
                    "sql", q="SELECT stage, subject, error, message FROM failures ORDER BY ALL"
                ),
            )


def _counted(
    reader: Reader,
    title: str,
    list_: str,
    column: str,
    table: str,
    condition: str = "true",
    what: str = "Models",
) -> Table | None:
    """How many rows have each value of a column; each value leads to these rows."""
    frame = reader.frame(
        f"SELECT {column} AS value, count(*) AS number FROM {table}"  # noqa: S608
        f" WHERE {condition} AND coalesce({column}, '') != ''"
        f" GROUP BY value ORDER BY number DESC, value",
        limit=_MOST,
    )
    if not len(frame):
        return None
    values = frame.labels("value")
    addresses = [address(list_, **{column: _text.visible(value, 80)}) for value in values]
    return Table(
        columns=(
            links(names(title, values), addresses),
            numbers(what, frame.integers("number")),
        )
    )

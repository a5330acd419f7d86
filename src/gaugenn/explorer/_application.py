"""The site: every page of this folder behind the guard, and what is said when something is wrong."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gaugenn import plugins
from gaugenn.errors import GaugennError
from gaugenn.explorer._assets import Assets
from gaugenn.explorer._contract import Pages
from gaugenn.explorer._database import Database
from gaugenn.explorer._guard import Guard
from gaugenn.explorer._rendering import MenuItem, Templates
from gaugenn.report._summary import study_name
from gaugenn.report._text import visible
from gaugenn.store import Study


def _warm(database: Database) -> None:
    """Does before the first page what it would wait for; a study that cannot be read says so there."""
    import scipy.stats  # noqa: F401 - what compares experiments needs it, and it takes a second

    with suppress(GaugennError), database.read() as reader:
        reader.summary()


def application(study: Study, names: Collection[str] = (), literal: bool = False) -> Guard:
    """The explorer of a study, as an ASGI application.

    Args:
        study: to read. What is added to it later is shown, too.
        names: names of this machine that it answers to, beside those of loopback.
        literal: whether it answers to literal addresses; see `Guard`.
    """
    assets = Assets()
    templates = Templates(study_name(study), assets)
    database = Database(study)
    made = [
        kind(database, templates, assets)
        for kind in plugins.load_all("gaugenn.explorer", Pages).values()  # type: ignore[type-abstract]
    ]
    templates.menu = [
        MenuItem(title=pages.menu, address=pages.path)
        for pages in sorted(made, key=lambda pages: pages.order)
        if pages.menu
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        await run_in_threadpool(_warm, database)
        yield
        for pages in made:
            pages.close()
        database.close()

    def refused(request: Request, error: Exception) -> Response:
        del request
        status, said = 500, "Something went wrong in gaugenn; its terminal says what."
        if isinstance(error, HTTPException):
            status, said = error.status_code, error.detail
        elif isinstance(error, GaugennError):
            status, said = 503, visible(str(error), 2_000)
        return templates.page(
            "_problem.html.j2", title="Not this time", here="", said=said, status=status
        )

    site = Starlette(
        routes=[assets.route(), *(route for pages in made for route in pages.routes())],
        exception_handlers={HTTPException: refused, GaugennError: refused, 500: refused},
        lifespan=lifespan,
    )
    return Guard(site, names=names, literal=literal)  # outermost: also around what went wrong

"""The contract of a page: one public module of this folder each (see `gaugenn.plugins`)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from gaugenn.explorer._assets import Assets
from gaugenn.explorer._database import Database
from gaugenn.explorer._rendering import Charts, Templates


class Pages(ABC):
    """A page or a group of pages: its routes answer requests from the study.

    Attributes:
        menu: what the menu calls it; "" where it is not in the menu.
        order: place in the menu.
    """

    menu: ClassVar[str] = ""
    order: ClassVar[int] = 0
    path: ClassVar[str] = "/"

    def __init__(self, database: Database, templates: Templates, assets: Assets) -> None:
        self.database = database
        self.templates = templates
        self.assets = assets

    @abstractmethod
    def routes(self) -> list[Route]:
        """Addresses and what answers them; with GET only, since no page changes anything."""

    def close(self) -> None:
        """Lets go of what it holds beside the database."""

    def page(
        self,
        template: str,
        title: str,
        *,
        charts: Charts | None = None,
        status: int = 200,
        **values: object,
    ) -> Response:
        """A page of the site; see `Templates.page`."""
        return self.templates.page(
            template, title=title, here=self.path, charts=charts, status=status, **values
        )


def address(*parts: str, **query: str) -> str:
    """An address of the site; each part is one step of the path, whatever signs it has."""
    path = "/" + "/".join(quote(part, safe="") for part in parts)
    return path + ("?" + encoded(query) if query else "")


def encoded(query: Mapping[str, str]) -> str:
    """A query string, without parameters that are empty."""
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in query.items() if v)

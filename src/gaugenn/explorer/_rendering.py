"""Templates: everything is escaped, and an unknown name is an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import markupsafe
from starlette.responses import HTMLResponse

from gaugenn import __version__
from gaugenn.explorer._assets import Assets
from gaugenn.report import _text
from gaugenn.report._charts import embeddable, theme

_FOLDERS = (Path(__file__).parent, Path(_text.__file__).parent)


Charts = Mapping[str, Mapping[str, object]]
"""Vega-Lite specifications by the place that they are drawn in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuItem:
    """An entry of the site's menu."""

    title: str
    address: str


class Templates:
    """Makes pages.

    Args:
        study: the study's name, fit to be shown.
        assets: what pages load.
    """

    def __init__(self, study: str, assets: Assets) -> None:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDERS),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals |= {
            "asset": assets.address,
            "study": study,
            "version": __version__,
            "plural": _text.plural,
        }
        environment.filters |= {
            "size": _text.size,
            "metric": _text.metric,
            "seconds": _text.seconds,
            "count": _text.count,
        }
        self._environment = environment
        self.menu: Sequence[MenuItem] = ()

    def page(
        self,
        template: str,
        *,
        title: str,
        here: str,
        charts: Charts | None = None,
        status: int = 200,
        **values: object,
    ) -> HTMLResponse:
        """A page.

        Args:
            template: its file.
            title: of the page, fit to be shown.
            here: address of the menu's entry that it belongs to.
            charts: Vega-Lite by the place that it is drawn in; drawn by the report's script.
            status: of the answer.
            values: what the template needs.
        """
        themes = {"light": theme(dark=False), "dark": theme(dark=True)}
        data = embeddable({"charts": charts or {}, "themes": themes})
        text = self._environment.get_template(template).render(
            title=title,
            here=here,
            menu=self.menu,
            charts=charts or {},
            chart_data=markupsafe.Markup(data),  # noqa: S704 - JSON without a sign of HTML
            **values,
        )
        return HTMLResponse(text, status)

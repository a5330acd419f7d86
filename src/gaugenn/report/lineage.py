"""The families of models, drawn as a graph."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import altair as alt
import pyarrow as pa

from gaugenn.report import _text
from gaugenn.report._charts import sized
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._lineage import MODELS_WITH_LAYERS, MOST_MODELS, Traced, traced
from gaugenn.report._model_pairs import cut_note, models_of
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, digests, names, numbers

_RELATIONS = (
    "same network and weights",
    "fine-tuned",
    "same values, other format or precision",
    "same architecture, quantised otherwise",
    "same architecture",
)
"""Strongest first; two models are joined by the strongest that holds between them."""
_MARKS = 1_500
"""Nodes and lines that are drawn: whole families, the largest first."""
_LARGE, _SMALL = 12, 10
"""Families that have a large cell and a name, and how many of the others stand side by side."""
_LARGE_COLUMNS = 3
_LARGE_HEIGHT, _SMALL_HEIGHT = 120, 48
"""Pixels of a cell."""


class LineageGraph(Figure):
    """One row two related models."""

    section = Section.BUILT
    order = 229
    title = "Lineage of models"
    question = "Which models form a family, and by which relations?"
    query = MODELS_WITH_LAYERS
    empty = "No two models of this study are related, or no model was read yet."
    limit = MOST_MODELS

    def derive(self, frame: Frame) -> Frame:
        """Related pairs with their family, from the layers and architectures that models share."""
        found = traced(frame)
        pairs = _related(found)
        family = _families(pairs)
        rows = sorted(pairs.items(), key=lambda row: (family[row[0][0]], row[1], row[0]))
        ends = [pair for pair, _ in rows]
        texts = {"relation": [_RELATIONS[relation] for _, relation in rows]}
        values: dict[str, list[float]] = {
            "family": [family[first] for first, _ in ends],
            "cut": [float(len(frame) < frame.total) for _ in ends],
        }
        for side, which in (("first", 0), ("second", 1)):
            texts[side] = [pair[which] for pair in ends]
            texts[f"{side}_name"] = [found.names[pair[which]] for pair in ends]
            texts[f"{side}_format"] = [found.models[pair[which]].format or "" for pair in ends]
            values[f"{side}_apps"] = [found.apps[pair[which]] for pair in ends]
        return Frame.made(texts, values)

    def chart(self, frame: Frame) -> Chart:
        """A node a model, a line a relation; families side by side."""
        drawn = _drawn(frame)
        nodes = _nodes(frame, drawn)
        place = _places(frame, drawn)
        families = len(_members(frame, drawn))
        keys = sorted(nodes)
        points = pa.table(
            {
                "x": [place[key][0] for key in keys],
                "y": [place[key][1] for key in keys],
                "name": [nodes[key][0] or key[:12] for key in keys],
                "format": [nodes[key][1] for key in keys],
                "apps": pa.array([nodes[key][2] for key in keys], pa.float64()),
                "sha256": [key[:12] for key in keys],
            }
        )
        first, second = frame.labels("first"), frame.labels("second")
        lines = pa.table(
            {
                "x": [place[first[row]][0] for row in drawn],
                "y": [place[first[row]][1] for row in drawn],
                "x2": [place[second[row]][0] for row in drawn],
                "y2": [place[second[row]][1] for row in drawn],
                "relation": [frame.labels("relation")[row] for row in drawn],
            }
        )
        there = [relation for relation in _RELATIONS if relation in frame.labels("relation")]
        dashes = [[1, 0], [6, 2], [2, 2], [8, 3, 2, 3], [1, 4]]
        height = _cell(families - 1).bottom
        x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
        y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0]))
        related = (
            alt.Chart(lines)
            .mark_rule(color="#8a939e", strokeWidth=1.5)
            .encode(
                x=x,
                y=y,
                x2="x2:Q",
                y2="y2:Q",
                strokeDash=alt.StrokeDash(
                    "relation:N",
                    title="relation",
                    sort=there,
                    scale=alt.Scale(
                        domain=there, range=[dashes[_RELATIONS.index(r)] for r in there]
                    ),
                ),
                tooltip=["relation:N"],
            )
        )
        models = (
            alt.Chart(points)
            .mark_point()
            .encode(
                x=x,
                y=y,
                color=alt.Color("format:N", title="format"),
                shape=alt.Shape("format:N", title="format"),
                size=alt.Size(
                    "apps:Q", title="apps", legend=None, scale=alt.Scale(range=[40, 240])
                ),
                tooltip=["name:N", "format:N", alt.Tooltip("apps:Q", format=",d"), "sha256:N"],
            )
        )
        return sized(alt.layer(related, models, _names(frame, drawn)), height)

    def table(self, frame: Frame) -> Table:
        """One row a pair, family by family."""
        return Table(
            columns=(
                names("Model", frame.texts("first_name")),
                digests("SHA-256", frame.texts("first")),
                names("Format", frame.texts("first_format")),
                numbers("Apps", frame.reals("first_apps")),
                names("Relation", frame.texts("relation")),
                names("Related model", frame.texts("second_name")),
                digests("Related SHA-256", frame.texts("second")),
                names("Related format", frame.texts("second_format")),
                numbers("Related apps", frame.reals("second_apps")),
                numbers("Family", [1 + (f or 0) for f in frame.reals("family")]),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:
        """What a node, a line and a family are."""
        families = len(set(frame.reals("family")))
        shown = len({frame.reals("family")[row] for row in _drawn(frame)})
        left = f" Drawn are the {shown:,} largest families." if shown < families else ""
        return (
            f"{models_of(frame)}{_text.plural(summary.models, 'distinct model')}, in "
            f"{_text.plural(families, 'family', 'families')}. A node is a model, larger where more "
            "apps hold it; a line is the strongest relation between two. Of models that are all "
            "alike, each is joined to the first only. The largest families are named after their "
            "model in most apps. Directions are not drawn, since files do not tell which came "
            f"first.{left}{cut_note(frame)}"
        )


def _related(found: Traced) -> dict[tuple[str, str], int]:
    """Pairs with the place of their strongest relation in `_RELATIONS`."""
    lineage = found.lineage
    twins = {group.digest for group in lineage.twins}
    pairs: dict[tuple[str, str], int] = {}

    def join(members: Iterable[tuple[str, str]], relation: int) -> None:
        for first, second in members:
            pairs.setdefault((min(first, second), max(first, second)), relation)

    for group in lineage.duplicates:
        join(((group.models[0], model) for model in group.models[1:]), 0)
    join(((pair.first, pair.second) for pair in lineage.siblings), 1)
    join(((pair.first, pair.second) for pair in lineage.copies), 2)
    for group in lineage.architectures:
        relation = 3 if group.digest in twins else 4
        for model in group.models[1:]:
            differ = found.models[model].quantization != found.models[group.models[0]].quantization
            join([(group.models[0], model)], relation if differ else 4)
    return pairs


def _families(pairs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The number of each model's family; that with most models is 0."""
    neighbours: defaultdict[str, set[str]] = defaultdict(set)
    for first, second in pairs:
        neighbours[first].add(second)
        neighbours[second].add(first)
    seen: set[str] = set()
    families: list[list[str]] = []
    for model in sorted(neighbours):
        if model in seen:
            continue
        family, waiting = [], [model]
        seen.add(model)
        while waiting:
            at = waiting.pop()
            family.append(at)
            fresh = neighbours[at] - seen
            seen |= fresh
            waiting += sorted(fresh)
        families.append(sorted(family))
    families.sort(key=lambda family: (-len(family), family))
    return {model: number for number, family in enumerate(families) for model in family}


def _drawn(frame: Frame) -> list[int]:
    """Rows of the families that are drawn."""
    rows: defaultdict[int, list[int]] = defaultdict(list)
    for row, family in enumerate(frame.reals("family")):
        rows[int(family or 0)].append(row)
    first, second = frame.labels("first"), frame.labels("second")
    kept: list[int] = []
    marks = 0
    for family in sorted(rows):
        members = {name for row in rows[family] for name in (first[row], second[row])}
        marks += len(members) + len(rows[family])
        if marks > _MARKS and kept:
            break
        kept += rows[family][: _MARKS // 2]
    return kept


def _nodes(frame: Frame, drawn: Sequence[int]) -> dict[str, tuple[str, str, float]]:
    """Name, format and apps of each model that is drawn."""
    found: dict[str, tuple[str, str, float]] = {}
    for side in ("first", "second"):
        keys, called = frame.labels(side), frame.labels(f"{side}_name")
        forms, apps = frame.labels(f"{side}_format"), frame.reals(f"{side}_apps")
        for row in drawn:
            found[keys[row]] = (called[row], forms[row], apps[row] or 0)
    return found


def _members(frame: Frame, drawn: Sequence[int]) -> dict[int, list[str]]:
    """Models of each family, the one with most relations first."""
    degree: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    family, first, second = frame.reals("family"), frame.labels("first"), frame.labels("second")
    for row in drawn:
        for name in (first[row], second[row]):
            degree[int(family[row] or 0)][name] += 1
    return {
        number: sorted(counts, key=lambda name: (-counts[name], name))
        for number, counts in sorted(degree.items())
    }


class _Cell(NamedTuple):
    """A family's place: across as a share of the width, down in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.y + self.height


def _cell(number: int) -> _Cell:
    """The largest families have the first, large cells."""
    if number < _LARGE:
        row, column = divmod(number, _LARGE_COLUMNS)
        width = 1 / _LARGE_COLUMNS
        return _Cell(column * width, row * _LARGE_HEIGHT, width, _LARGE_HEIGHT)
    row, column = divmod(number - _LARGE, _SMALL)
    above = _LARGE // _LARGE_COLUMNS * _LARGE_HEIGHT
    return _Cell(column / _SMALL, above + row * _SMALL_HEIGHT, 1 / _SMALL, _SMALL_HEIGHT)


def _places(frame: Frame, drawn: Sequence[int]) -> Mapping[str, tuple[float, float]]:
    """Where each node stands: a family has a cell, its centre the most related model."""
    found: dict[str, tuple[float, float]] = {}
    for number, family in enumerate(_members(frame, drawn).values()):
        cell = _cell(number)
        x, y = cell.x + 0.5 * cell.width, cell.y + (0.58 if number < _LARGE else 0.5) * cell.height
        around = family if len(family) < 4 else family[1:]
        if len(family) >= 4:
            found[family[0]] = (x, y)
        for place, name in enumerate(around):
            angle = math.pi + 2 * math.pi * place / len(around)
            found[name] = (
                x + 0.36 * cell.width * math.cos(angle),
                y + 0.27 * cell.height * math.sin(angle),
            )
    return found


def _names(frame: Frame, drawn: Sequence[int]) -> alt.Chart:
    """A name above each of the largest families."""
    nodes = _nodes(frame, drawn)
    places: dict[str, list[float]] = {"x": [], "y": []}
    called: list[str] = []
    for number, family in enumerate([*_members(frame, drawn).values()][:_LARGE]):
        cell = _cell(number)
        leader = max(family, key=lambda model: nodes[model][2])
        places["x"].append(cell.x + 0.5 * cell.width)
        places["y"].append(cell.y + 0.1 * cell.height)
        called.append(_text.clip(nodes[leader][0] or leader[:12], 18))
    rows = pa.table({"x": places["x"], "y": places["y"], "name": called})
    drawn_names: alt.Chart = (
        alt.Chart(rows).mark_text(limit=100).encode(x="x:Q", y="y:Q", text="name:N")
    )
    return drawn_names

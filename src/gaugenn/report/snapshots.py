"""What changed between the last two crawl snapshots."""

from gaugenn.analysis.snapshots import Change, Snapshot, compare
from gaugenn.report import _text
from gaugenn.report._contract import Chart, Figure, Section
from gaugenn.report._frame import Frame
from gaugenn.report._snapshots import COLUMNS, IN_SNAPSHOTS, from_rows
from gaugenn.report._stacked import note, stacked_bars
from gaugenn.report._summary import Summary
from gaugenn.report._table import Table, names, numbers

_APPS = (Change.ADDED, Change.REMOVED, Change.UPDATED, Change.MOVED, Change.KEPT, Change.UNKNOWN)
_MODELS = (Change.ADDED, Change.REMOVED, Change.UPDATED, Change.MOVED, Change.KEPT)
_READ = [name.strip() for name in COLUMNS.split(",")]


class Snapshots(Figure):
    """One row a category."""

    section = Section.FOUND
    order = 150
    title = "Changes between snapshots"
    question = "Which apps and models came, went and changed between the last two snapshots?"
    query = f"""
        SELECT snapshot, snapshot = (SELECT max_by(snapshot, started_at) FROM crawls) AS newer,
               {COLUMNS}
        FROM ({IN_SNAPSHOTS})
        WHERE snapshot IN (
            SELECT snapshot FROM crawls GROUP BY snapshot ORDER BY max(started_at) DESC LIMIT 2
        ) AND (SELECT count(DISTINCT snapshot) FROM crawls) > 1
        ORDER BY newer, app, member, app_sha256, model_sha256
    """  # noqa: S608
    empty = (
        "The study holds fewer than two snapshots. Make one with: gaugenn crawl SOURCE --out STUDY "
        "--scan, and another later; compare any two with: gaugenn diff STUDY@OLD STUDY@NEW"
    )
    limit = 1_000_000

    def derive(self, frame: Frame) -> Frame:
        """Compares the two states; the rows are categories then."""
        newer = frame.integers("newer")
        rows = list(zip(*(frame.rows.column(name).to_pylist() for name in _READ), strict=True))
        old, new = (
            from_rows(row for row, side in zip(rows, newer, strict=True) if bool(side) is wanted)
            for wanted in (False, True)
        )
        sides = dict(zip(newer, frame.labels("snapshot"), strict=True))
        return _counts(old, new, sides.get(0) or "", sides.get(1) or "")

    def chart(self, frame: Frame) -> Chart | None:
        """A bar a category: models that came to the right, those that went to the left."""
        drawn = (Change.ADDED, Change.UPDATED, Change.MOVED, Change.REMOVED)
        rows = [
            (category, str(change), -(number or 0) if change is Change.REMOVED else number or 0)
            for change in drawn
            for category, number in zip(
                frame.labels("category"), frame.reals(f"models_{change}"), strict=True
            )
        ]
        changed = [row for row in rows if row[2]]
        if not changed:
            return None
        return stacked_bars(changed, "model places", "change", [str(change) for change in drawn])

    def table(self, frame: Frame) -> Table:
        """One row a category."""
        whole = {name: [int(v or 0) for v in frame.reals(name)] for name in _columns()}
        return Table(
            columns=(
                names("Category", frame.texts("category")),
                *(numbers(f"Apps {c}", whole[f"apps_{c}"]) for c in _APPS),
                *(numbers(f"Models {c}", whole[f"models_{c}"]) for c in _MODELS),
                numbers("Distinct before", whole["old_distinct"]),
                numbers("Distinct after", whole["new_distinct"]),
            )
        )

    def caption(self, frame: Frame, summary: Summary) -> str:  # noqa: ARG002
        """What is compared with what, and what the words mean."""
        old, new = frame.labels("old")[0], frame.labels("new")[0]
        apps = int(sum(sum(v or 0 for v in frame.reals(f"apps_{c}")) for c in _APPS))
        return (
            f"n = {_text.plural(apps, 'app')}: snapshot {new} against {old}. A model is "
            "counted for each place in an app. Updated: the same place, graph, weights or name holds "
            "other bytes of the same format; moved: of another format. Unknown apps are listed, but "
            "one of the snapshots lacks their package, so that their models are not compared. Apps "
            "count in the first category that the store names. In the chart removed models are left of "
            f"zero; kept ones are not drawn.{note(frame.total)}"
        )


def _columns() -> list[str]:
    return [
        *(f"apps_{change}" for change in _APPS),
        *(f"models_{change}" for change in _MODELS),
        "old_distinct",
        "new_distinct",
    ]


def _counts(old: Snapshot, new: Snapshot, old_name: str, new_name: str) -> Frame:
    found = compare(old, new).categories
    values: dict[str, list[float]] = {
        **{f"apps_{change}": [row.apps[change] for row in found] for change in _APPS},
        **{f"models_{change}": [row.models[change] for row in found] for change in _MODELS},
        "old_distinct": [row.old_distinct for row in found],
        "new_distinct": [row.new_distinct for row in found],
    }
    texts = {
        "category": [row.category or "none stated" for row in found],
        "old": [old_name] * len(found),
        "new": [new_name] * len(found),
    }
    return Frame.made(texts, values)

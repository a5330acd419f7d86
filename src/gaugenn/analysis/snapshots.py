"""What changed between two states of the world: apps and models added, removed, updated, moved."""

import posixpath
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Change(StrEnum):
    """What became of an app or a model."""

    ADDED = "added"
    REMOVED = "removed"
    UPDATED = "updated"
    """The same app with other files; the same place of an app with another model in the format."""
    MOVED = "moved"
    """A model in the format of another framework; an app that left one format for another."""
    KEPT = "kept"
    UNKNOWN = "unknown"
    """The store lists the app, but one of the two states does not hold its package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppState:
    """An app in one state of the world.

    Attributes:
        key: what the app is recognised by: its package, else its file's name.
        title: for people.
        category: the store's first one; None where no store said.
        version_code: the newest.
        version_name: of that one.
        files: digests of its packages; empty where none was scanned.
    """

    key: str
    title: str | None
    category: str | None
    version_code: int | None
    version_name: str | None
    files: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlace:
    """A place in an app where a model lies that was read."""

    app: str
    member: str
    model_sha256: str
    format: str
    architecture_sha256: str | None = None
    weights_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A state of the world."""

    apps: tuple[AppState, ...]
    places: tuple[ModelPlace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppChange:
    """What became of an app."""

    change: Change
    app: str
    title: str | None
    category: str | None
    old_version: str | None
    new_version: str | None
    old_formats: tuple[str, ...]
    new_formats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChange:
    """What became of a model's place in an app."""

    change: Change
    app: str
    category: str | None
    old_member: str | None
    new_member: str | None
    old_model_sha256: str | None
    new_model_sha256: str | None
    old_format: str | None
    new_format: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryChange:
    """Changes of a category, in numbers.

    Attributes:
        category: its name; None for apps of which no store said one.
        apps: how many apps became what.
        models: how many places of models became what.
        old_distinct: different models before.
        new_distinct: different models after.
    """

    category: str | None
    apps: Mapping[Change, int]
    models: Mapping[Change, int]
    old_distinct: int
    new_distinct: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotDiff:
    """All changes, apps and places in the order of their names; what was kept is in them too."""

    apps: tuple[AppChange, ...]
    models: tuple[ModelChange, ...]
    categories: tuple[CategoryChange, ...]

    @property
    def total(self) -> CategoryChange:
        """All categories in one: apps and places are sums, distinct models are counted over all."""
        return _counted(None, self.apps, self.models)


def compare(old: Snapshot, new: Snapshot) -> SnapshotDiff:
    """Compares two states app by app.

    Within an app, models are matched in this order, each once: the same bytes; the same place; the
    same graph or the same weights; the same file name but for its suffix. A pair of one format is an
    update, a pair of two is a move. What finds no partner was added or removed. Where one of the
    states lists an app without its package, nothing is said about its models.
    """
    before, after = ({app.key: app for app in state.apps} for state in (old, new))
    old_places, new_places = _by_app(old.places), _by_app(new.places)
    apps, models = [], []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key), after.get(key)
        category = _category(was, now)
        ours = (old_places.get(key, []), new_places.get(key, []))
        app = _app_change(key, was, now, category, ours)
        apps.append(app)
        if app.change is not Change.UNKNOWN:
            models += _model_changes(key, category, *ours)
    names = sorted({app.category for app in apps}, key=lambda name: (name is None, name or ""))
    return SnapshotDiff(
        apps=tuple(apps),
        models=tuple(models),
        categories=tuple(
            _counted(
                name,
                [app for app in apps if app.category == name],
                [model for model in models if model.category == name],
            )
            for name in names
        ),
    )


def _by_app(places: Iterable[ModelPlace]) -> dict[str, list[ModelPlace]]:
    found: dict[str, list[ModelPlace]] = {}
    for place in places:
        found.setdefault(place.app, []).append(place)
    return found


def _category(was: AppState | None, now: AppState | None) -> str | None:
    stated = [state.category for state in (now, was) if state is not None and state.category]
    return stated[0] if stated else None


def _app_change(
    key: str,
    was: AppState | None,
    now: AppState | None,
    category: str | None,
    places: tuple[list[ModelPlace], list[ModelPlace]],
) -> AppChange:
    old, new = (tuple(sorted({place.format for place in some})) for some in places)
    if (was and not was.files) or (now and not now.files):
        change = Change.UNKNOWN
    elif was is None or now is None:
        change = Change.ADDED if was is None else Change.REMOVED
    elif set(old) - set(new) and set(new) - set(old):
        change = Change.MOVED
    else:
        change = Change.KEPT if was.files == now.files else Change.UPDATED
    titles = [state.title for state in (now, was) if state is not None and state.title]
    return AppChange(
        change=change,
        app=key,
        title=titles[0] if titles else None,
        category=category,
        old_version=_version(was),
        new_version=_version(now),
        old_formats=old,
        new_formats=new,
    )


def _version(state: AppState | None) -> str | None:
    if state is None:
        return None
    code = state.version_code
    return state.version_name or (None if code is None else str(code))


def _model_changes(
    app: str, category: str | None, old: list[ModelPlace], new: list[ModelPlace]
) -> list[ModelChange]:
    left = sorted(old, key=lambda place: (place.member, place.model_sha256))
    right = sorted(new, key=lambda place: (place.member, place.model_sha256))
    pairs: list[tuple[ModelPlace | None, ModelPlace | None]] = []
    for same in _MATCHES:
        waiting: dict[object, deque[int]] = {}
        for position, place in enumerate(right):
            waiting.setdefault(same(place), deque()).append(position)
        waiting.pop(None, None)
        unmatched, taken = [], set()
        for place in left:
            partners = waiting.get(same(place))
            if partners:
                partner = partners.popleft()
                taken.add(partner)
                pairs.append((place, right[partner]))
            else:
                unmatched.append(place)
        left = unmatched
        right = [place for position, place in enumerate(right) if position not in taken]
    pairs += [(place, None) for place in left] + [(None, place) for place in right]
    changes = [_model_change(app, category, was, now) for was, now in pairs]
    return sorted(changes, key=lambda c: (c.new_member or c.old_member or "", c.change))


_MATCHES: tuple[Callable[[ModelPlace], object], ...] = (
    lambda place: (place.model_sha256, place.member),
    lambda place: place.model_sha256,
    lambda place: place.member,
    lambda place: place.weights_sha256,
    lambda place: place.architecture_sha256,
    lambda place: posixpath.basename(place.member).partition(".")[0].casefold() or None,
)


def _model_change(
    app: str, category: str | None, was: ModelPlace | None, now: ModelPlace | None
) -> ModelChange:
    if was is None or now is None:
        change = Change.ADDED if was is None else Change.REMOVED
    elif was.model_sha256 == now.model_sha256:
        change = Change.KEPT
    else:
        change = Change.UPDATED if was.format == now.format else Change.MOVED
    return ModelChange(
        change=change,
        app=app,
        category=category,
        old_member=was.member if was else None,
        new_member=now.member if now else None,
        old_model_sha256=was.model_sha256 if was else None,
        new_model_sha256=now.model_sha256 if now else None,
        old_format=was.format if was else None,
        new_format=now.format if now else None,
    )


def _counted(
    category: str | None, apps: Iterable[AppChange], models: Iterable[ModelChange]
) -> CategoryChange:
    listed = list(models)
    return CategoryChange(
        category=category,
        apps=_numbers(app.change for app in apps),
        models=_numbers(model.change for model in listed),
        old_distinct=len({m.old_model_sha256 for m in listed} - {None}),
        new_distinct=len({m.new_model_sha256 for m in listed} - {None}),
    )


def _numbers(changes: Iterable[Change]) -> dict[Change, int]:
    counted = Counter(changes)
    return {change: counted[change] for change in Change}

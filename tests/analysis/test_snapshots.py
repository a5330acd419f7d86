"""Two states of the world whose difference is known."""

from gaugenn.analysis.snapshots import (
    AppState,
    Change,
    ModelPlace,
    Snapshot,
    SnapshotDiff,
    compare,
)


def _app(key: str, files: str, category: str | None = None, code: int = 1) -> AppState:
    return AppState(
        key=key,
        title=key.title(),
        category=category,
        version_code=code,
        version_name=None,
        files=frozenset(files),
    )


def _place(
    app: str, member: str, model: str, form: str = "tflite", graph: str = "", weights: str = ""
) -> ModelPlace:
    return ModelPlace(
        app=app,
        member=member,
        model_sha256=model,
        format=form,
        architecture_sha256=graph or None,
        weights_sha256=weights or None,
    )


OLD = Snapshot(
    apps=(
        _app("gone", "a", "Games"),
        _app("kept", "b", "Tools"),
        _app("updated", "c", "Tools"),
        _app("moved", "d", "Photos"),
        _app("unseen", "e", "Photos"),
    ),
    places=(
        _place("gone", "m.tflite", "g1"),
        _place("gone", "n.tflite", "g2"),
        _place("kept", "m.tflite", "k1"),
        _place("updated", "same.tflite", "u1"),
        _place("updated", "renamed-before.tflite", "u2"),
        _place("updated", "retrained.tflite", "u3"),
        _place("updated", "new-name-1.tflite", "u4", graph="G"),
        _place("updated", "dropped.tflite", "u5"),
        _place("moved", "assets/detector.tflite", "d1"),
        _place("moved", "assets/other.tflite", "d2", weights="W"),
        _place("unseen", "m.tflite", "x1"),
    ),
)
NEW = Snapshot(
    apps=(
        _app("kept", "b", "Tools"),
        _app("updated", "cC", "Tools", code=2),
        _app("moved", "D", "Photos", code=2),
        _app("unseen", "", "Photos"),
        _app("fresh", "f"),
    ),
    places=(
        _place("kept", "m.tflite", "k1"),
        _place("updated", "same.tflite", "u1"),
        _place("updated", "renamed-after.tflite", "u2"),
        _place("updated", "retrained.tflite", "U3"),
        _place("updated", "new-name-2.tflite", "U4", graph="G"),
        _place("moved", "assets/Detector.onnx", "D1", "onnx"),
        _place("moved", "x/y.param", "D2", "ncnn", weights="W"),
        _place("fresh", "a.onnx", "k1", "onnx"),
        _place("fresh", "b.onnx", "f2", "onnx"),
    ),
)


def _models(found: SnapshotDiff, app: str) -> set[tuple[str, str | None, str | None]]:
    return {(m.change, m.old_member, m.new_member) for m in found.models if m.app == app}


def test_every_app_became_what_was_planted() -> None:
    found = compare(OLD, NEW)
    assert {app.app: app.change.value for app in found.apps} == {
        "gone": "removed",
        "kept": "kept",
        "updated": "updated",
        "moved": "moved",
        "unseen": "unknown",
        "fresh": "added",
    }
    moved = next(app for app in found.apps if app.app == "moved")
    assert (moved.old_formats, moved.new_formats) == (("tflite",), ("ncnn", "onnx"))
    assert (moved.old_version, moved.new_version, moved.title) == ("1", "2", "Moved")


def test_every_model_became_what_was_planted() -> None:
    found = compare(OLD, NEW)
    assert _models(found, "updated") == {
        ("kept", "same.tflite", "same.tflite"),
        ("kept", "renamed-before.tflite", "renamed-after.tflite"),
        ("updated", "retrained.tflite", "retrained.tflite"),
        ("updated", "new-name-1.tflite", "new-name-2.tflite"),
        ("removed", "dropped.tflite", None),
    }
    assert _models(found, "moved") == {
        ("moved", "assets/detector.tflite", "assets/Detector.onnx"),
        ("moved", "assets/other.tflite", "x/y.param"),
    }
    assert _models(found, "gone") == {("removed", "m.tflite", None), ("removed", "n.tflite", None)}
    assert _models(found, "fresh") == {("added", None, "a.onnx"), ("added", None, "b.onnx")}


def test_nothing_is_said_of_models_whose_package_is_missing_on_one_side() -> None:
    assert _models(compare(OLD, NEW), "unseen") == set()
    assert _models(compare(NEW, OLD), "unseen") == set()


def test_categories_add_up_to_the_whole() -> None:
    found = compare(OLD, NEW)
    assert [row.category for row in found.categories] == ["Games", "Photos", "Tools", None]
    tools = found.categories[2]
    assert (tools.apps[Change.KEPT], tools.apps[Change.UPDATED]) == (1, 1)
    assert (tools.models[Change.KEPT], tools.models[Change.UPDATED]) == (3, 2)
    assert (tools.old_distinct, tools.new_distinct) == (6, 5)
    total = found.total
    for change in Change:
        assert total.apps[change] == sum(row.apps[change] for row in found.categories)
        assert total.models[change] == sum(row.models[change] for row in found.categories)
    assert {c.value: n for c, n in total.models.items()} == {
        "added": 2,
        "removed": 3,
        "updated": 2,
        "moved": 2,
        "kept": 3,
        "unknown": 0,
    }
    assert total.new_distinct == 8


def test_the_way_back_swaps_what_came_and_what_went() -> None:
    there, back = compare(OLD, NEW).total, compare(NEW, OLD).total
    assert back.models[Change.ADDED] == there.models[Change.REMOVED]
    assert back.apps[Change.REMOVED] == there.apps[Change.ADDED]
    for change in (Change.UPDATED, Change.MOVED, Change.KEPT):
        assert back.models[change] == there.models[change]


def test_a_state_against_itself_keeps_everything() -> None:
    total = compare(OLD, OLD).total
    assert total.apps[Change.KEPT] == len(OLD.apps)
    assert total.models[Change.KEPT] == len(OLD.places)


def test_copies_of_a_model_in_one_app_are_matched_once_each() -> None:
    app = (_app("a", "1"),)
    old = Snapshot(apps=app, places=tuple(_place("a", f"{i}.tflite", "m") for i in range(3)))
    new = Snapshot(apps=app, places=(_place("a", "9.tflite", "m"),))
    total = compare(old, new).total
    assert (total.models[Change.KEPT], total.models[Change.REMOVED]) == (1, 2)


def test_an_app_with_very_many_models_is_compared_in_good_time() -> None:
    app = (_app("a", "1"),)
    old = Snapshot(apps=app, places=tuple(_place("a", f"x{i}", f"o{i}") for i in range(30_000)))
    new = Snapshot(apps=app, places=tuple(_place("a", f"y{i}", f"n{i}") for i in range(30_000)))
    assert compare(old, new).total.models[Change.ADDED] == 30_000

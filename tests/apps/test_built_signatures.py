"""Every line again, in packages that smali, a cross compiler and aapt made, with and without it."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.apps import labelled
from tests.apps.labelled import Item
from tests.apps.workshop import Workshop

from gaugenn.apps.evidence import tokens, verdicts
from gaugenn.apps.scan import Description, describe
from gaugenn.content import open_file
from gaugenn.records import EvidenceCategory


def _smali(items: Iterable[Item]) -> str:
    """A class with a field of each type, a call of each method and a constant for each text."""
    lines = [".class public Lorg/example/Labelled;", ".super Ljava/lang/Object;"]
    body = [".method public run()V", "    .registers 2"]
    for number, (kind, text) in enumerate(items):
        if kind == "class":
            lines.append(f".field public f{number}:{text}")
        elif kind == "method":
            owner, _, name = text.partition("->")
            owner = owner if owner[-1] == ";" else f"{owner}X;"
            body.append(f"    invoke-static {{}}, {owner}->{name}()V")
        elif kind in ("host", "dex-text"):
            whole = f"https://{text}/v1" if kind == "host" else text
            escaped = "".join(
                c if c >= " " and c not in '"\\' else f"\\u{ord(c):04x}" for c in whole
            )
            body.append(f'    const-string v0, "{escaped}"')
    return "\n".join([*lines, *body, "    return-void", ".end method", ""])


def _build(workshop: Workshop, name: str, items: list[Item]) -> Description:
    """One package with everything. Frameworks belong to iOS, so they are not put in."""
    of = {kind: [text for k, text in items if k == kind] for kind, _ in items}
    stub = workshop.library("stub")
    native = workshop.library(
        f"native{name}", *of.get("string", ()), symbols=dict.fromkeys(of.get("symbol", ()))
    )
    notice = workshop.folder / f"notice{name}"
    notice.write_text("\n".join(of.get("text", ())))
    files: dict[str, Path] = {"lib/arm64-v8a/libapp.so": native, "assets/notice.txt": notice}
    files |= {f"lib/arm64-v8a/{text}": stub for text in of.get("library", ())}
    files |= dict.fromkeys(of.get("member", ()), notice)
    manifest = "".join(
        f'<uses-native-library android:name="{text}" android:required="false"/>'
        if text.endswith(".so")
        else f'<meta-data android:name="{text}" android:value="face"/>'
        for text in of.get("manifest", ())
    )
    path = workshop.build(
        name,
        smali=_smali(dict.fromkeys(items)),
        manifest=manifest,
        files=files,
        permissions=of.get("permission", ()),
    )
    return describe(open_file(path))


def _confirmed(found: Description) -> set[str]:
    return {f"{v.category}:{v.name}" for v in verdicts(found.evidence) if v.confirmed}


@pytest.mark.parametrize("category", EvidenceCategory)
def test_every_line_of_a_category_is_found_in_a_built_package(
    workshop: Workshop, category: EvidenceCategory
) -> None:
    mine = [t for t in tokens() if t.category is category and ".framework" not in t.text]
    items = [labelled.instance(token) for token in mine]
    found = _build(workshop, f"with{category}", items)
    seen = {(row.category, row.name, row.token) for row in found.evidence}
    assert [t for t in mine if (t.category, t.name, t.text) not in seen] == []
    assert _confirmed(found) == labelled.expected(items)


@pytest.mark.parametrize("category", EvidenceCategory)
def test_what_is_like_the_lines_of_a_category_is_not_taken_for_them(
    workshop: Workshop, category: EvidenceCategory
) -> None:
    items = [
        item
        for case in labelled.without_each_signature()
        if case.name.startswith((f"not {category}:", "tempting")) and "framework" not in case.name
        for item in case.items
    ]
    found = _build(workshop, f"without{category}", items)
    assert _confirmed(found) == labelled.expected(items)
    assert found.unreadable == ()

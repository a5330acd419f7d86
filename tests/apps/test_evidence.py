"""Tokens become evidence, evidence becomes verdicts, and tempting look-alikes do not."""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.apps import labelled
from tests.apps.builders import Part, build_dex, build_elf, build_macho, build_zip

from gaugenn.apps.evidence import Collector, Token, Verdict, tokens, verdicts
from gaugenn.apps.scan import describe
from gaugenn.content import from_bytes
from gaugenn.errors import FormatError
from gaugenn.records import EvidenceCategory, EvidenceSource

Make = Callable[..., bytes]
Parts = Any


def _confirmed(found: Iterable[Verdict]) -> set[str]:
    return {f"{v.category}:{v.name}" for v in found if v.confirmed}


def _judge(collector: Collector) -> set[str]:
    return _confirmed(verdicts(collector.evidence("0" * 64)))


def test_every_token_says_where_it_is_known_from_and_whether_that_was_checked() -> None:
    every = tokens()
    assert {token.category for token in every} == set(EvidenceCategory)
    assert all(token.origin.startswith("https://") for token in every)
    assert all(token.checked is None or len(token.checked) > 5 for token in every)
    keys = [(t.category, t.name, t.kind, t.text) for t in every]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("kind", ["class", "method"])
def test_class_tokens_are_type_descriptors(kind: str) -> None:
    for token in tokens():
        if token.kind == kind:
            assert token.text.startswith("L")
            assert "." not in token.text


def _confirmed_in(data: bytes) -> set[str]:
    return _confirmed(verdicts(describe(from_bytes("a.apk", data)).evidence))


@pytest.mark.parametrize("token", tokens(), ids=lambda t: f"{t.category}-{t.kind}-{t.text}")
def test_every_line_is_found_alone_where_it_belongs(token: Token) -> None:
    item = labelled.instance(token)
    rows = describe(from_bytes("a.apk", labelled.package([item]))).evidence
    assert {(r.category, r.name, r.token) for r in rows} == {
        (t.category, t.name, t.text) for t in tokens() if labelled.covers(t, item)
    }
    mine = [r for r in rows if (r.name, r.token) == (token.name, token.text)]
    source = "string" if token.kind == "host" else token.kind
    assert {(r.source.value, r.strong) for r in mine if r.category == token.category} == {
        (source, token.strong)
    }


@pytest.mark.parametrize(
    "cases",
    [labelled.with_each_signature, labelled.without_each_signature],
    ids=["with", "without"],
)
def test_packages_with_each_line_and_with_look_alikes_are_judged_right(
    cases: Callable[[], Iterator[labelled.Labelled]],
) -> None:
    wrong = [
        (case.name, found)
        for case in cases()
        if (found := _confirmed_in(case.build())) != case.expected
    ]
    assert wrong == []


def test_all_tempting_things_of_a_kind_together_prove_nothing() -> None:
    for kind in ("class", "dex-text", "method", "string", "symbol", "manifest", "member"):
        items = [item for item in labelled.TEMPTING if item[0] == kind]
        assert _confirmed_in(labelled.package(items)) == set()


def test_one_weak_token_counts_for_nothing_and_two_different_ones_count() -> None:
    def weak(text: str, member: str) -> Collector:
        collector = Collector()
        for token in tokens():
            if token.text in text.split():
                collector._add(token, EvidenceSource.LIBRARY, member)
        return collector

    one = weak("libncnn.so", "lib/a/libncnn.so")
    assert [v.confirmed for v in verdicts(one.evidence("0"))] == [False]
    twice = weak("libncnn.so", "lib/a/libncnn.so")
    twice._sightings |= weak("libncnn.so", "lib/b/libncnn.so")._sightings
    assert [v.confirmed for v in verdicts(twice.evidence("0"))] == [False]
    two = weak("libMNN.so libmnncore.so", "lib/a/x.so")
    assert [(v.name, v.confirmed) for v in verdicts(two.evidence("0"))] == [("mnn", True)]


def test_shipped_classes_are_told_from_classes_that_are_only_called(make_dex: Make) -> None:
    interpreter = "Lorg/tensorflow/lite/Interpreter;"
    called = Collector()
    called.look_at_dex("classes.dex", memoryview(make_dex([interpreter])))
    assert [row.defined for row in called.evidence("0") if row.name == "tflite"] == [False]
    shipped = Collector()
    shipped.look_at_dex("classes.dex", memoryview(make_dex([interpreter])))
    shipped.look_at_dex("classes2.dex", memoryview(make_dex([], classes=[interpreter])))
    rows = [row for row in shipped.evidence("0") if row.name == "tflite"]
    assert [(row.member, row.defined) for row in rows] == [("classes2.dex", True)]
    assert shipped.class_count == 1


def test_cloud_vision_of_firebase_is_no_vision_on_the_device(make_dex: Make) -> None:
    collector = Collector()
    cloud = "Lcom/google/firebase/ml/vision/cloud/landmark/FirebaseVisionCloudLandmarkDetector;"
    types = [cloud, "Lcom/google/firebase/ml/vision/FirebaseVision;"]
    collector.look_at_dex("classes.dex", memoryview(make_dex(types)))
    assert _judge(collector) == {"cloud:google-firebase-ml-vision"}


def test_a_stub_named_like_a_runtime_is_not_confirmed(
    make_zip: Make, part: Parts, make_elf: Make
) -> None:
    stub = part(name=b"lib/arm64-v8a/libtensorflowlite_jni.so", data=make_elf())
    found = describe(from_bytes("a.apk", make_zip([stub]))).evidence
    assert [(row.name, row.strong) for row in found] == [("tflite", False)]
    assert _confirmed(verdicts(found)) == set()


def test_constants_of_a_stripped_library_are_found(make_elf: Make) -> None:
    collector = Collector()
    data = make_elf(b"N4ncnn5LayerE\0", sections=False)
    collector.look_at_library("lib/x/libx.so", memoryview(data))
    assert _judge(collector) == {"runtime:ncnn"}


def test_pytorch_and_executorch_are_told_apart(make_dex: Make) -> None:
    collector = Collector()
    dex = make_dex(["Lorg/pytorch/executorch/Module;"])
    collector.look_at_dex("classes.dex", memoryview(dex))
    assert _judge(collector) == {"runtime:executorch"}


def test_code_that_cannot_be_read_is_reported_with_its_member(make_zip: Make, part: Parts) -> None:
    data = make_zip(
        [part(name=b"classes.dex", data=b"dex\n035\0"), part(name=b"lib/a/x.so", data=b"\x7fELF")]
    )
    unreadable = describe(from_bytes("a.apk", data)).unreadable
    assert [item.member for item in unreadable] == ["classes.dex", "lib/a/x.so"]


def test_classes_in_a_nested_package_carry_their_whole_path(
    make_zip: Make, part: Parts, make_dex: Make
) -> None:
    inner = make_zip([part(name=b"classes.dex", data=make_dex(["Lai/onnxruntime/OrtSession;"]))])
    outer = make_zip([part(name=b"assets/plugin.apk", data=inner)])
    rows = describe(from_bytes("a.apk", outer)).evidence
    assert {row.member for row in rows} == {"assets/plugin.apk!/classes.dex"}


RENAMED = [f"L{chr(97 + i % 26)}/{chr(97 + i // 26)};" for i in range(60)]
NAMED = [f"Lorg/example/feature{i}/Screen;" for i in range(60)]


def test_an_app_with_renamed_classes_says_so_and_shows_its_native_libraries() -> None:
    parts = [
        Part(name=b"classes.dex", data=build_dex([], classes=RENAMED)),
        Part(name=b"lib/arm64-v8a/libgame.so", data=build_elf(exports=["OrtGetApiBase"])),
    ]
    found = describe(from_bytes("a.apk", build_zip(parts)))
    assert found.app.notes == ("obfuscated-classes",)
    assert [(row.name, row.source) for row in found.evidence] == [
        ("onnxruntime", EvidenceSource.SYMBOL)
    ]


@pytest.mark.parametrize("classes", [NAMED, RENAMED[:40], [*NAMED, *RENAMED[:50]]])
def test_an_app_with_few_short_names_is_not_called_obfuscated(classes: list[str]) -> None:
    data = build_zip([Part(name=b"classes.dex", data=build_dex([], classes=classes))])
    assert describe(from_bytes("a.apk", data)).app.notes == ()


def test_a_packed_app_says_so() -> None:
    data = labelled.package([("library", "libjiagu.so")])
    assert describe(from_bytes("a.apk", data)).app.notes == ("packed-code",)


def test_a_library_in_thousands_of_places_is_not_thousands_of_rows() -> None:
    library = build_elf(exports=["OrtGetApiBase"])
    parts = [Part(name=b"lib/x/lib%d.so" % i, data=library) for i in range(100)]
    found = describe(from_bytes("a.apk", build_zip(parts)))
    assert len(found.evidence) == 64
    assert found.app.notes == ("limit-evidence",)


def test_an_ios_app_is_judged_by_what_it_links_its_symbols_and_constants() -> None:
    data = build_macho(
        b"\0N4ncnn5LayerE\0",
        linked=["/System/Library/Frameworks/CoreML.framework/CoreML", "/usr/lib/libz.1.dylib"],
        symbols=["OrtGetApiBase", "notOrtGetApiBase"],
    )
    fat = struct.pack(">2I", 0xCAFEBABE, 2) + struct.pack(">5I", 7, 3, 48, 4, 0)
    fat += struct.pack(">5I", 0x0100000C, 0, 52, len(data), 0) + b"junk" + data
    for whole in (data, fat):
        parts = [Part(name=b"Payload/A.app/A", data=whole)]
        names = _confirmed_in(build_zip(parts))
        assert names == {
            *("accelerator:core-ml", "runtime:coreml", "runtime:ncnn", "runtime:onnxruntime")
        }


def test_an_encrypted_ios_app_says_so() -> None:
    parts = [Part(name=b"Payload/A.app/A", data=build_macho(system=1))]
    assert describe(from_bytes("a.ipa", build_zip(parts))).app.notes == ("encrypted-code",)


@given(st.binary(max_size=400), st.integers(0, 400), st.integers(0, 400))
def test_a_damaged_executable_is_read_or_refused(noise: bytes, at: int, cut: int) -> None:
    data = build_macho(b"constants", linked=["/usr/lib/libz.dylib"], symbols=["main"])
    damaged = (data[:at] + noise + data[at:])[: len(data) - cut]
    collector = Collector()
    try:
        collector.look_at_executable("A", memoryview(damaged))
    except FormatError:
        return
    assert len(collector.evidence("0")) < 100

"""Tokens become evidence, evidence becomes verdicts, and tempting look-alikes do not."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from gaugenn.apps.evidence import Collector, Verdict, tokens, verdicts
from gaugenn.apps.manifest import Manifest, MetaData
from gaugenn.apps.scan import describe
from gaugenn.content import from_bytes
from gaugenn.records import EvidenceCategory, EvidenceSource

Make = Callable[..., bytes]
Parts = Any


def _confirmed(found: Iterable[Verdict]) -> set[str]:
    return {f"{v.category}:{v.name}" for v in found if v.confirmed}


def _judge(collector: Collector) -> set[str]:
    return _confirmed(verdicts(collector.evidence("0" * 64)))


def test_every_token_says_where_it_is_known_from_and_whether_that_was_checked() -> None:
    every = tokens()
    assert len(every) > 250
    assert {token.category for token in every} == set(EvidenceCategory)
    assert all(token.origin for token in every)
    keys = [(t.category, t.name, t.kind, t.text) for t in every]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("kind", ["class", "method"])
def test_class_tokens_are_type_descriptors(kind: str) -> None:
    for token in tokens():
        if token.kind == kind:
            assert token.text.startswith("L")
            assert "." not in token.text


def _plain(text: str) -> str:
    return text.replace("*", "x-1.y")


@pytest.mark.parametrize("token", tokens(), ids=lambda t: f"{t.category}-{t.kind}-{t.text}")
def test_every_token_is_found_where_it_belongs(
    token: Any, make_dex: Make, make_elf: Make, make_zip: Make, part: Parts
) -> None:
    text, kind = _plain(token.text), token.kind
    source = EvidenceSource.STRING
    if kind in ("class", "method", "host"):
        owner, _, name = text.partition("->")
        if kind == "class":
            source, data = (
                EvidenceSource.CLASS,
                make_dex([text if text[-1] == ";" else f"{text}X;"]),
            )
        elif kind == "method":
            source, data = EvidenceSource.METHOD, make_dex([], methods=[(f"{owner}X;", name)])
        else:
            data = make_dex([], strings=[f"https://{text}/v1"])
        member = part(name=b"classes.dex", data=data)
    elif kind in ("symbol", "string"):
        symbol = kind == "symbol"
        source = EvidenceSource.SYMBOL if symbol else EvidenceSource.STRING
        data = make_elf(exports=[text]) if symbol else make_elf(b"\0" + text.encode() + b"\0")
        member = part(name=b"lib/arm64-v8a/libx.so", data=data)
    elif kind == "library":
        source = EvidenceSource.LIBRARY
        member = part(name=b"lib/arm64-v8a/" + text.encode(), data=make_elf())
    elif kind == "member":
        source, member = EvidenceSource.MEMBER, part(name=text.encode(), data=b"x")
    else:
        collector = Collector()
        meta = MetaData(name=text, value="face")
        collector.look_at_manifest("AndroidManifest.xml", Manifest(meta_data=(meta,)))
        rows = collector.evidence("0" * 64)
        assert any(r.name == token.name and r.source is EvidenceSource.MANIFEST for r in rows)
        return
    rows = describe(from_bytes("a.zip", make_zip([member]))).evidence
    mine = [
        r for r in rows if (r.category, r.name, r.token) == (token.category, token.name, token.text)
    ]
    assert [(r.source, r.strong) for r in mine] == [(source, token.strong)]


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


TEMPTING_STRINGS = [
    "Lorg/tensorflow/lite/Interpreter;",  # a text, not a type
    "org.tensorflow.lite.Interpreter",
    "see https://api.openai.com/v1 for details",  # a host inside a sentence
    "https://example.com/?next=api.openai.com",
    "https://api.openai.com.evil.example/v1",
    "https://notapi.openai.com/v1",
    "https://openai.azure.com.example/",
    "https://rekognition.amazonaws.com.example/",
    "https://vision.googleapis.community/",
    "https://www.googleapis.com/auth/cloud-vision",
    "https://huggingface.co/some/model",  # weak, alone
    "setUseNNAPI",
]
TEMPTING_TYPES = [
    "Lcom/example/tensorflow/lite/Interpreter;",
    "Lorg/tensorflow/litex/Interpreter;",
    "Lorg/pytorch/extra/Helper;",
    "Lcom/google/android/gms/vision/barcode/BarcodeDetector;",
    "Lcom/google/zxing/BarcodeFormat;",
    "Lcom/google/cloud/storage/Storage;",
    "Lcom/amazonaws/services/s3/AmazonS3;",
    "Lcom/amazonaws/services/translateextra/Client;",
    "Lcom/tencent/ncnnyolox/MainActivity;",
    "Lcom/google/firebase/analytics/FirebaseAnalytics;",
    "Lorg/opencv/core/Mat;",
    "Lai/onnx/Runtime;",
    "Lcom/huawei/hms/ml/scan/HmsScan;",
]
TEMPTING_CONSTANTS = [
    *(
        "loss3/classifier",
        "PyTorch",
        "TensorList",
        "/mdl/",
        "build_android",
        "vad",
        ".mnn",
        "model",
    ),
    *("tracker", "libace_ncnn", "libBugly", "N10tensorflow8GraphDefE", "N2cv3dnn3NetE", "GGUF"),
]


@pytest.mark.parametrize("text", TEMPTING_STRINGS)
def test_tempting_texts_prove_nothing(make_dex: Make, text: str) -> None:
    collector = Collector()
    collector.look_at_dex("classes.dex", memoryview(make_dex([], strings=[text])))
    assert _judge(collector) == set()


@pytest.mark.parametrize("descriptor", TEMPTING_TYPES)
def test_tempting_classes_prove_nothing(make_dex: Make, descriptor: str) -> None:
    collector = Collector()
    collector.look_at_dex("classes.dex", memoryview(make_dex([], classes=[descriptor])))
    assert _judge(collector) == set()


@pytest.mark.parametrize("text", TEMPTING_CONSTANTS)
def test_tempting_constants_prove_nothing(make_elf: Make, text: str) -> None:
    collector = Collector()
    collector.look_at_library("lib/x/libace.so", memoryview(make_elf(text.encode() + b"\0")))
    assert _judge(collector) == set()


def test_all_tempting_things_of_a_kind_together_prove_nothing(
    make_dex: Make, make_elf: Make
) -> None:
    collector = Collector()
    dex = make_dex(TEMPTING_TYPES, classes=TEMPTING_TYPES, strings=TEMPTING_STRINGS)
    collector.look_at_dex("classes.dex", memoryview(dex))
    constants = "\0".join(TEMPTING_CONSTANTS).encode()
    collector.look_at_library("lib/x/libx.so", memoryview(make_elf(constants)))
    assert _judge(collector) == set()


def test_a_method_of_another_class_is_no_delegate(make_dex: Make) -> None:
    collector = Collector()
    dex = make_dex([], methods=[("Lcom/example/Options;", "setUseNNAPI")])
    collector.look_at_dex("classes.dex", memoryview(dex))
    assert _judge(collector) == set()


def test_cloud_vision_of_firebase_is_no_vision_on_the_device(make_dex: Make) -> None:
    collector = Collector()
    cloud = "Lcom/google/firebase/ml/vision/cloud/landmark/FirebaseVisionCloudLandmarkDetector;"
    types = [cloud, "Lcom/google/firebase/ml/vision/FirebaseVision;"]
    collector.look_at_dex("classes.dex", memoryview(make_dex(types)))
    assert _judge(collector) == {"cloud:google-firebase-ml-vision"}


def test_a_symbol_must_match_whole(make_elf: Make) -> None:
    collector = Collector()
    names = ["MyTF_NewTensorX", "TF_NewTensorFromBuffer", "OrtGetApiBaseX"]
    collector.look_at_library("lib/x/libx.so", memoryview(make_elf(exports=names)))
    assert _judge(collector) == set()


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

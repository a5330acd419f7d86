"""Packages made by the Android tools, signed and unsigned, and a small table of hits and misses."""

import re
import zipfile
from pathlib import Path

import pytest
from tests.apps.workshop import FRAMEWORK, Workshop, run

from gaugenn.apps.evidence import verdicts
from gaugenn.apps.scan import Description, describe
from gaugenn.content import open_file
from gaugenn.records import App, PackageKind

RUN = "run(Ljava/lang/Object;Ljava/lang/Object;)V"
OPTIONS = "Lorg/tensorflow/lite/Interpreter$Options;"
FACES = "Lcom/google/mlkit/vision/face/"
TFLITE_CODE = f"""
.class public Lorg/example/Main;
.super Ljava/lang/Object;
.method public run(Lorg/tensorflow/lite/Interpreter;Ljava/lang/Object;Ljava/lang/Object;)V
    .registers 6
    invoke-virtual {{p1, p2, p3}}, Lorg/tensorflow/lite/Interpreter;->{RUN}
    new-instance v0, {OPTIONS}
    invoke-direct {{v0}}, {OPTIONS}-><init>()V
    const/4 v1, 0x1
    invoke-virtual {{v0, v1}}, {OPTIONS}->setUseNNAPI(Z){OPTIONS}
    return-void
.end method
"""
MLKIT_CODE = f"""
.class public Lorg/example/Main;
.super Ljava/lang/Object;
.method public run()V
    .registers 2
    invoke-static {{}}, {FACES}FaceDetection;->getClient(){FACES}FaceDetector;
    return-void
.end method
"""
CLOUD_CODE = """
.class public Lorg/example/Main;
.super Ljava/lang/Object;
.field private client:Lcom/amazonaws/services/rekognition/AmazonRekognitionClient;
.method public run()Ljava/lang/String;
    .registers 2
    const-string v0, "https://api.openai.com/v1/chat/completions"
    return-object v0
.end method
"""
PLAIN_CODE = """
.class public Lorg/example/mnist/Main;
.super Ljava/lang/Object;
.field private static text:Ljava/lang/String; = "Lorg/tensorflow/lite/Interpreter; neural network model"
.field private scan:Lcom/google/zxing/Result;
.method public setUseNNAPI()V
    .registers 2
    return-void
.end method
"""


def _describe(path: Path) -> Description:
    return describe(open_file(path))


def _app(path: Path) -> App:
    return _describe(path).app


def test_a_package_from_the_tools_is_described_like_aapt_describes_it(workshop: Workshop) -> None:
    path = workshop.build("plain", smali=PLAIN_CODE)
    app = _app(path)
    badging = run("aapt", "dump", "badging", path)
    assert f"name='{app.package}' versionCode='{app.version_code}'" in badging
    assert f"versionName='{app.version_name}'" in badging
    assert f"application-label:'{app.label}'" in badging
    assert app.label == "App plain"
    assert (app.minimum_sdk, app.target_sdk) == (24, 34)
    assert app.permissions == ("android.permission.CAMERA",)
    assert app.features == ("android.hardware.camera",)
    assert (app.kind, app.split, app.notes, app.error) == (PackageKind.APK, None, (), None)
    assert _describe(path).classes == 1


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--v3-signing-enabled", "false"),
        (
            "--v2-signing-enabled",
            "false",
            "--v3-signing-enabled",
            "false",
            "--min-sdk-version",
            "21",
        ),
    ],
    ids=["v3", "v2", "v1"],
)
def test_the_certificate_is_the_one_that_apksigner_prints(
    workshop: Workshop, options: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    unsigned = workshop.build(f"signed{name}", label="Literal")
    assert _app(unsigned).certificate_sha256 is None
    signed = workshop.sign(unsigned, f"{name}.apk", *options)
    printed = run("apksigner", "verify", "--print-certs", "--max-sdk-version", "28", signed)
    match = re.search(r"certificate SHA-256 digest: ([0-9a-f]{64})", printed)
    assert match is not None
    app = _app(signed)
    assert app.certificate_sha256 == match.group(1)
    assert app.label == "Literal"


def test_a_split_package_says_which(workshop: Workshop) -> None:
    app = _app(workshop.build("splitted", attributes='split="config.arm64_v8a"'))
    assert (app.kind, app.split) == (PackageKind.SPLIT_APK, "config.arm64_v8a")


def test_a_bundle_of_the_tools_is_read_through_its_protobuf_manifest(workshop: Workshop) -> None:
    place = workshop.build(
        "bundle", manifest='<meta-data android:name="a" android:value="b"/>'
    ).parent
    link = ("aapt2", "link", "-I", FRAMEWORK, "--manifest", "AndroidManifest.xml", "--proto-format")
    run(*link, "-o", "proto.apk", "res.zip", folder=place)
    with zipfile.ZipFile(place / "proto.apk") as source:
        manifest, table = source.read("AndroidManifest.xml"), source.read("resources.pb")
    with zipfile.ZipFile(place / "a.aab", "w") as target:
        target.writestr("base/resources.pb", table)
        target.writestr("BundleConfig.pb", b"")
        target.writestr("base/manifest/AndroidManifest.xml", manifest)
        target.writestr("base/lib/arm64-v8a/libx.so", b"")
        target.writestr("pack/assets/m.tflite", b"\x1c\0\0\0TFL3")
    found = _describe(place / "a.aab")
    app = found.app
    assert (app.kind, app.package, app.version_code) == (PackageKind.AAB, "org.example.bundle", 42)
    assert (app.minimum_sdk, app.target_sdk, app.version_name) == (24, 34, "4.2")
    assert app.permissions == ("android.permission.CAMERA",)
    assert app.abis == ("arm64-v8a",)
    assert app.label == "App bundle"
    assert found.package.manifest is not None
    assert [item.name for item in found.package.manifest.meta_data] == ["a"]


def _store(workshop: Workshop) -> tuple[Path, Path]:
    base = workshop.build("store", smali=TFLITE_CODE)
    split = workshop.build(
        "storesplit",
        attributes='split="config.x86"',
        files={"lib/x86/libx.so": workshop.library("x", "nothing")},
    )
    return (workshop.sign(base, "org.example.store.apk"), workshop.sign(split, "config.x86.apk"))


def test_a_store_bundle_is_described_by_its_base_package(workshop: Workshop) -> None:
    base, split = _store(workshop)
    path = workshop.folder / "a.xapk"
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("manifest.json", b'{"xapk_version": 2}')
        target.write(split, split.name)
        target.write(base, base.name)
    app = _app(path)
    assert (app.kind, app.package, app.version_code, app.label) == (
        *(PackageKind.BUNDLE, "org.example.store", 42, "App store"),
    )
    assert app.abis == ("x86",)
    assert [(s.name, s.path, s.size_bytes) for s in app.splits] == [
        ("config.x86", "config.x86.apk", split.stat().st_size)
    ]
    assert app.certificate_sha256 == _app(base).certificate_sha256 is not None


MLKIT_DATA = '<meta-data android:name="com.google.mlkit.vision.DEPENDENCIES" android:value="face"/>'


def test_what_is_there_is_found_and_what_is_not_is_not(workshop: Workshop) -> None:
    ncnn = workshop.library("hidden", "N4ncnn5LayerE")
    weak = workshop.library("weak", "loss3/classifier PyTorch vad .mnn")
    stub = workshop.library("stub", "empty")
    opencl = '<uses-native-library android:name="libOpenCL.so" android:required="false"/>'
    packages = {
        "tflite": workshop.build("tflite", smali=TFLITE_CODE),
        "mlkit": workshop.build("mlkit", smali=MLKIT_CODE, manifest=MLKIT_DATA),
        "cloud": workshop.build("cloud", smali=CLOUD_CODE),
        "ncnn": workshop.build("ncnn", files={"lib/arm64-v8a/libgame.so": ncnn}),
        "mnist": workshop.build("mnist", smali=PLAIN_CODE, manifest=opencl),
        "weak": workshop.build(
            "weakly",
            files={
                "lib/x86/libbugly.so": weak,
                "lib/x86/libncnn.so": stub,
                "lib/x86/libtensorflowlite_jni.so": stub,
            },
        ),
    }
    expected = {
        "tflite": {"runtime:tflite", "accelerator:nnapi"},
        "mlkit": {"sdk:mlkit", "download:play-services-models"},
        "cloud": {"cloud:amazon-rekognition", "cloud:openai"},
        "ncnn": {"runtime:ncnn"},
        "mnist": set(),
        "weak": set(),
    }
    found = {
        name: {f"{v.category}:{v.name}" for v in verdicts(_describe(path).evidence) if v.confirmed}
        for name, path in packages.items()
    }
    hits = sum(len(found[name] & expected[name]) for name in expected)
    precision = hits / sum(map(len, found.values()))
    recall = hits / sum(map(len, expected.values()))
    assert found == expected
    assert (precision, recall) == (1.0, 1.0)

"""Packs the sample packages out of exported models, and writes what is in them to `expected.json`.

    python packages.py MODELS SAMPLES

MODELS is the folder that `models.py` filled; SAMPLES gets `*.apk` and `expected.json`. Needs only the
standard library, and from Debian aapt2, zipalign, apksigner, smali, keytool, a C compiler for arm64
and openssl. All but the signatures is the same at every build: the key is made anew and thrown away.
"""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
TIME = (2026, 1, 1, 0, 0, 0)
"""Every member's time: zips know no time zone, and a build's own would change each of them."""
STORED = (".tflite", ".arsc")
"""Left uncompressed, to be mapped into memory where they lie; the last one is Android's demand."""
AES_KEY = hashlib.sha256(b"gaugenn sample").hexdigest()[:32]
AES_IV = hashlib.sha256(b"gaugenn sample vector").hexdigest()[:32]

TFLITE = (
    "org/tensorflow/lite/Interpreter",
    "org/tensorflow/lite/Interpreter$Options",
    "org/tensorflow/lite/NativeInterpreterWrapper",
    "org/tensorflow/lite/Delegate",
)
TFLITE_DELEGATES = (
    "org/tensorflow/lite/nnapi/NnApiDelegate",
    "org/tensorflow/lite/gpu/GpuDelegate",
)
ONNX_RUNTIME = (
    "ai/onnxruntime/OrtEnvironment",
    "ai/onnxruntime/OrtSession",
    "ai/onnxruntime/OrtSession$SessionOptions",
)
NCNN = ("com/tencent/ncnn/Net",)
REKOGNITION = (
    "com/amazonaws/auth/AWSCredentialsProvider",
    "com/amazonaws/services/rekognition/AmazonRekognitionClient",
    "com/amazonaws/services/rekognition/model/DetectLabelsRequest",
    "com/amazonaws/services/rekognition/model/DetectLabelsResult",
)
FIREBASE_ML = (
    "com/google/firebase/ml/vision/FirebaseVision",
    "com/google/firebase/ml/vision/cloud/landmark/FirebaseVisionCloudLandmarkDetector",
)

SCENES = (
    "beach", "bridge", "city", "concert", "desert", "fireworks", "food", "forest", "garden",
    "harbour", "kitchen", "mountain", "office", "snow", "stadium", "sunset",
)  # fmt: skip
DOCUMENTS = (
    "advert", "banknote", "book", "business card", "cheque", "envelope", "form", "identity card",
    "invoice", "letter", "newspaper", "note", "receipt", "slide", "ticket", "whiteboard",
)  # fmt: skip

BROKEN = b"""<!DOCTYPE html>
<html><head><title>404 Not Found</title></head>
<body><h1>Not Found</h1>
<p>This version of the app is no longer available for download.</p></body></html>
"""
ANIMATION = {
    "v": "5.7.4", "fr": 30, "ip": 0, "op": 60, "w": 64, "h": 64, "nm": "spinner", "ddd": 0,
    "assets": [], "layers": [{"ddd": 0, "ind": 1, "ty": 4, "nm": "ring", "shapes": []}],
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A model file's place in a package.

    Attributes:
        source: name in the folder of models.
        member: name in the package; nested containers are joined by `!/`.
        kind: what a scan should find there: `model`, `weights` or `encrypted`.
        shows: why it is there.
    """

    source: str
    member: str
    shows: str
    kind: str = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A package: its manifest and code lie in `apps/NAME`.

    Attributes:
        classes: stand-ins for the libraries' classes, defined without content.
        libraries: (file name without `lib` and `.so`, what it links to).
        texts: further members.
        about: the app's one string resource.
        facts: what `expected.json` says about it.
    """

    name: str
    about: str
    classes: tuple[str, ...]
    libraries: tuple[tuple[str, tuple[str, ...]], ...] = ()
    models: tuple[Placed, ...] = ()
    texts: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)


def lines(words: tuple[str, ...]) -> bytes:
    """One word a line."""
    return ("\n".join(words) + "\n").encode()


CAMERA = App(
    name="camera",
    about="Takes pictures and says what is in them.",
    classes=TFLITE + TFLITE_DELEGATES + ONNX_RUNTIME + NCNN,
    libraries=(
        ("tensorflowlite_jni", ()),
        ("tensorflowlite_gpu_jni", ()),
        ("onnxruntime", ()),
        ("onnxruntime4j_jni", ("onnxruntime",)),
        ("ncnn", ()),
        ("camera_native", ("ncnn",)),
    ),
    models=(
        Placed(
            source="scene_classifier.tflite",
            member="assets/models/scene_classifier.tflite",
            shows="an image classifier, the base of the one in notes.apk",
        ),
        Placed(
            source="scene_classifier_int8.tflite",
            member="assets/models/scene_classifier_int8.tflite",
            shows="the same network quantised, integers throughout",
        ),
        Placed(
            source="face_landmarks.tflite",
            member="assets/models/face.tflite",
            kind="encrypted",
            shows="AES-128-CBC: named like a model, bytes like noise",
        ),
        Placed(
            source="face_landmarks.param",
            member="assets/face/landmarks.param",
            shows="an ncnn graph as text; the same network as the encrypted file",
        ),
        Placed(
            source="face_landmarks.bin",
            member="assets/face/landmarks.bin",
            kind="weights",
            shows="its weights, float16",
        ),
        Placed(
            source="keyword_spotter.tflite",
            member="assets/voice/shutter_words.tflite",
            shows="the same file as assets/hotword.tflite in notes.apk",
        ),
        Placed(
            source="sharpness.tflite",
            member="assets/cache.dat",
            shows="a model whose name does not say so",
        ),
        Placed(
            source="style_transfer.onnx",
            member="assets/packs/filters.zip!/filters/ink/style.onnx",
            shows="a model in an archive inside the package",
        ),
    ),
    texts={
        "assets/models/scene_labels.txt": lines(SCENES),
        "assets/packs/filters.zip!/filters/ink/about.txt": b"Ink: black lines on warm paper.\n",
    },
    facts={
        "package": "com.example.gaugenn.camera",
        "label": "Sample Camera",
        "version_code": 42,
        "version_name": "4.2.0",
        "minimum_sdk": 24,
        "target_sdk": 34,
        "permissions": ["android.permission.CAMERA", "android.permission.RECORD_AUDIO"],
        "features": ["android.hardware.camera"],
        "abis": ["arm64-v8a"],
        "runtimes": ["ncnn", "onnxruntime", "tflite"],
        "accelerators": ["gpu", "nnapi"],
    },
)

NOTES = App(
    name="notes",
    about="Reads what you write.",
    classes=TFLITE + ONNX_RUNTIME,
    libraries=(
        ("tensorflowlite_jni", ()),
        ("onnxruntime", ()),
        ("onnxruntime4j_jni", ("onnxruntime",)),
        ("ink", ()),
    ),
    models=(
        Placed(
            source="document_classifier.tflite",
            member="assets/models/document_classifier.tflite",
            shows="fine-tuned from the camera's scene classifier: only the last layer differs",
        ),
        Placed(
            source="keyword_spotter.tflite",
            member="assets/hotword.tflite",
            shows="the same file as assets/voice/shutter_words.tflite in camera.apk",
        ),
        Placed(
            source="next_word.onnx",
            member="res/raw/font.bin",
            shows="a GRU under a font's name, among the resources",
        ),
        Placed(
            source="sentiment.onnx",
            member="assets/nlp/sentiment.onnx",
            shows="embedding, attention and layer normalisation",
        ),
        Placed(
            source="character_reader_int8.onnx",
            member="assets/ocr/characters.onnx",
            shows="ONNX quantised by QuantizeLinear / DequantizeLinear pairs",
        ),
        Placed(
            source="stroke_reader.param.bin",
            member="assets/ink/strokes.param.bin",
            shows="an ncnn graph in binary form, an LSTM: no names, layer types as numbers",
        ),
        Placed(
            source="stroke_reader.bin",
            member="assets/ink/strokes.bin",
            kind="weights",
            shows="its weights, float32",
        ),
    ),
    texts={"assets/models/document_labels.txt": lines(DOCUMENTS)},
    facts={
        "package": "com.example.gaugenn.notes",
        "label": "Sample Notes",
        "version_code": 107,
        "version_name": "1.7",
        "minimum_sdk": 26,
        "target_sdk": 35,
        "permissions": ["android.permission.RECORD_AUDIO"],
        "features": [],
        "abis": ["arm64-v8a"],
        "runtimes": ["ncnn", "onnxruntime", "tflite"],
        "accelerators": ["nnapi"],
    },
)

CLOUD = App(
    name="cloud",
    about="Asks others what it sees.",
    classes=REKOGNITION + FIREBASE_ML,
    texts={"assets/spinner.json": json.dumps(ANIMATION).encode() + b"\n"},
    facts={
        "package": "com.example.gaugenn.cloud",
        "label": "Sample Cloud",
        "version_code": 9,
        "version_name": "0.9-beta",
        "minimum_sdk": 23,
        "target_sdk": 33,
        "permissions": ["android.permission.INTERNET", "android.permission.CAMERA"],
        "features": [],
        "abis": [],
        "runtimes": [],
        "accelerators": [],
        "cloud": [
            {
                "vendor": "Amazon",
                "service": "Rekognition",
                "class": f"L{REKOGNITION[1]};",
                "host": "rekognition.eu-west-1.amazonaws.com",
            },
            {"vendor": "Google", "service": "Firebase ML", "class": f"L{FIREBASE_ML[1]};"},
        ],
    },
)

APPS = (CAMERA, NOTES, CLOUD)


def run(*command: str | Path) -> None:
    """Runs a tool; what it says is shown only when it fails."""
    done = subprocess.run([str(c) for c in command], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def encrypt(plain: bytes) -> bytes:
    """AES-128-CBC with PKCS #7 padding, as an app would do it."""
    command = ["openssl", "enc", "-aes-128-cbc", "-K", AES_KEY, "-iv", AES_IV]
    return subprocess.run(command, check=True, input=plain, capture_output=True).stdout


def write_zip(members: dict[str, bytes]) -> bytes:
    """A zip that depends on its members alone; those whose names have `!/` go into inner zips."""
    flat: dict[str, bytes] = {}
    inner: dict[str, dict[str, bytes]] = {}
    for name, data in members.items():
        outer, nested, rest = name.partition("!/")
        if nested:
            inner.setdefault(outer, {})[rest] = data
        else:
            flat[name] = data
    flat |= {name: write_zip(content) for name, content in inner.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(flat, key=lambda n: (n != "AndroidManifest.xml", n)):
            info = zipfile.ZipInfo(name, TIME)
            info.compress_type = (
                zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
            )
            info.external_attr = 0o644 << 16
            archive.writestr(info, flat[name], compresslevel=9)
    return buffer.getvalue()


def code(app: App, work: Path) -> bytes:
    """`classes.dex`: the app's own classes, and the libraries' as stand-ins."""
    sources = work / "smali"
    shutil.copytree(HERE / "apps" / app.name / "smali", sources)
    for name in app.classes:
        file = sources / f"{name}.smali"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f".class public L{name};\n.super Ljava/lang/Object;\n", "ascii")
    run("smali", "assemble", "-j", "1", sources, "-o", work / "classes.dex")
    return (work / "classes.dex").read_bytes()


def library(name: str, links: tuple[str, ...], work: Path) -> bytes:
    """A native library for arm64 phones; nothing of a C library is in it."""
    out = work / f"lib{name}.so"
    run(
        "aarch64-linux-gnu-gcc", "-shared", "-fPIC", "-O2", "-s", "-nostdlib", "-Wall", "-Werror",
        "-Wl,--build-id=none", "-Wl,-z,max-page-size=16384", "-Wl,-z,noseparate-code",
        f"-Wl,-soname,{out.name}", HERE / "apps" / "native" / f"{name}.c",
        f"-L{work}", *(f"-l{link}" for link in links), "-o", out,
    )  # fmt: skip
    return out.read_bytes()


def resources(app: App, members: dict[str, bytes], work: Path) -> dict[str, bytes]:
    """The compiled manifest and resource table; takes the `res/` members out of `members`."""
    (work / "res").mkdir()
    for name in [n for n in members if n.startswith("res/")]:
        file = work / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(members.pop(name))
    values = work / "res" / "values" / "strings.xml"
    values.parent.mkdir()
    string = f'<string name="about">{app.about}</string>'
    values.write_text(f"<resources>{string}</resources>", "utf-8")
    run("aapt2", "compile", "--dir", work / "res", "-o", work / "res.zip")
    manifest = HERE / "apps" / app.name / "AndroidManifest.xml"
    linked = work / "linked.apk"
    out = ("-o", linked, work / "res.zip")
    run("aapt2", "link", "-I", FRAMEWORK, "--manifest", manifest, *out)
    with zipfile.ZipFile(linked) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(app: App, models: Path, key: Path, out: Path) -> None:
    """Builds, aligns and signs one package."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        members = dict(app.texts)
        for model in app.models:
            data = (models / model.source).read_bytes()
            members[model.member] = encrypt(data) if model.kind == "encrypted" else data
        members |= resources(app, members, work)
        members["classes.dex"] = code(app, work)
        for name, links in app.libraries:
            members[f"lib/arm64-v8a/lib{name}.so"] = library(name, links, work)
        (work / "plain.apk").write_bytes(write_zip(members))
        run("zipalign", "-f", "-p", "4", work / "plain.apk", work / "aligned.apk")
        run(
            "apksigner", "sign", "--ks", key, "--ks-pass", "pass:android", "--v1-signing-enabled",
            "true", "--v4-signing-enabled", "false", "--out", out, work / "aligned.apk",
        )  # fmt: skip


def make_key(path: Path) -> None:
    """A key for this build."""
    run(
        "keytool", "-genkeypair", "-keystore", path, "-storepass", "android", "-keypass", "android",
        "-alias", "sample", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000",
        "-dname", "CN=gaugenn samples",
    )  # fmt: skip


def expected(models: Path, samples: Path) -> dict[str, object]:
    """What a scan of the packages should find; digests and sizes are of the members as packed."""
    known = json.loads((models / "models.json").read_text("utf-8"))
    packages: dict[str, object] = {}
    for app in APPS:
        files = []
        for placed in app.models:
            data = (models / placed.source).read_bytes()
            stored = encrypt(data) if placed.kind == "encrypted" else data
            graph = placed.source.replace(".bin", ".param") if placed.kind == "weights" else ""
            files.append(
                {
                    "member": placed.member,
                    "kind": placed.kind,
                    "size_bytes": len(stored),
                    "sha256": hashlib.sha256(stored).hexdigest(),
                    "shows": placed.shows,
                    **known["models"][graph or placed.source],
                }
            )
        packages[f"{app.name}.apk"] = {
            "kind": "apk",
            **app.facts,
            "classes": [f"L{name};" for name in app.classes],
            "libraries": [f"lib/arm64-v8a/lib{name}.so" for name, _links in app.libraries],
            "files": files,
        }
    packages["broken.apk"] = {"kind": "none", "files": []}
    camera, notes = "camera.apk", "notes.apk"

    def member(package: str, name: str) -> dict[str, str]:
        return {"package": package, "member": name}

    return {
        "packages": packages,
        "duplicates": [
            [
                member(camera, "assets/voice/shutter_words.tflite"),
                member(notes, "assets/hotword.tflite"),
            ]
        ],
        "siblings": [
            {
                "base": member(camera, "assets/models/scene_classifier.tflite"),
                "fine_tuned": member(notes, "assets/models/document_classifier.tflite"),
                **{f"{k}_tensors": n for k, n in known["sibling_tensors"].items()},
            }
        ],
        "quantized": [
            member(camera, "assets/models/scene_classifier_int8.tflite"),
            member(notes, "assets/ocr/characters.onnx"),
        ],
        "misleading": [member(camera, "assets/cache.dat"), member(notes, "res/raw/font.bin")],
        "encrypted": [member(camera, "assets/models/face.tflite")],
        "nested": [member(camera, "assets/packs/filters.zip!/filters/ink/style.onnx")],
        "cloud": ["cloud.apk"],
        "not_an_app": ["broken.apk"],
        "package_sha256": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(samples.glob("*.apk"))
        },
    }


def main(models: Path, samples: Path) -> None:
    """Builds all packages."""
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key.p12"
        make_key(key)
        for app in APPS:
            pack(app, models, key, samples / f"{app.name}.apk")
    (samples / "broken.apk").write_bytes(BROKEN)
    text = json.dumps(expected(models, samples), indent=2)
    (samples / "expected.json").write_text(text + "\n", "utf-8")
    for path in sorted(samples.glob("*.apk")):
        print(f"{path.name:12} {path.stat().st_size:9,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python packages.py MODELS SAMPLES")
    main(Path(sys.argv[1]), Path(sys.argv[2]))

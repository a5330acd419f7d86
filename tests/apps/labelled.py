"""Packages with and without each signature, and what is to be found in each.

What is expected is worked out here from the signature files by plain text comparison, and has to be
found by reading dex tables, ELF and Mach-O files, binary XML and zips.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.apps.axml import NAME, VALUE, Element, axml
from tests.apps.builders import Part, build_dex, build_elf, build_macho, build_zip

from gaugenn.apps.evidence import Token, tokens

Item = tuple[str, str]
"""Where something lies (a token's kind, or `text`: words in an asset), and what."""

CODE = ("class", "method", "host", "dex-text")
NATIVE = ("symbol", "string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A package and its label.

    Attributes:
        name: what it is a case of.
        items: what was put in.
        expected: `category:name` of what has to be confirmed in it.
    """

    name: str
    items: tuple[Item, ...]
    expected: frozenset[str]

    def build(self) -> bytes:
        """The package."""
        return package(self.items)


def instance(token: Token) -> Item:
    """Something that the token matches."""
    text = token.text.replace("*", "x1")
    return (token.kind, f"{text}X;" if token.kind == "class" and text[-1] != ";" else text)


def covers(token: Token, item: Item) -> bool:
    """Whether the token speaks of the item."""
    kind, text = item
    if (kind, token.kind) == ("method", "class"):
        return text.startswith(token.text)  # who has a method is a type
    if kind != token.kind:
        return False
    if kind == "class":
        return text.startswith(token.text)
    if kind == "method":
        owner, _, name = token.text.partition("->")
        return text.startswith(owner) and text.endswith(f"->{name}")
    if kind == "string":
        return token.text in text
    if kind in ("host", "library"):
        return fnmatchcase(text.lower(), token.text.lower())
    return text == token.text


def expected(items: Iterable[Item]) -> frozenset[str]:
    """`category:name` of everything with one strong token or two weak ones among the items."""
    items = tuple(items)
    seen: dict[str, list[Token]] = {}
    for token in tokens():
        if any(covers(token, item) for item in items):
            seen.setdefault(f"{token.category}:{token.name}", []).append(token)
    return frozenset(
        name
        for name, found in seen.items()
        if any(token.strong for token in found) or len({token.text for token in found}) > 1
    )


def dex_of(items: Iterable[Item]) -> bytes:
    """A dex file that mentions the items of its kinds."""
    types: list[str] = []
    methods: list[tuple[str, str]] = []
    strings: list[str] = []
    for kind, text in items:
        if kind == "class":
            types.append(text)
        elif kind == "method":
            owner, _, name = text.partition("->")
            methods.append((owner if owner[-1] == ";" else f"{owner}X;", name))
        elif kind in ("host", "dex-text"):
            strings.append(f"https://{text}/v1" if kind == "host" else text)
    return build_dex(types, methods=methods, strings=strings)


def library_of(items: Iterable[Item]) -> bytes:
    """A native library with the items of its kinds."""
    constants = "".join(f"\0{text}\0" for kind, text in items if kind == "string")
    return build_elf(constants.encode(), exports=[text for kind, text in items if kind == "symbol"])


def manifest_of(items: Iterable[Item]) -> bytes:
    """A binary manifest with the items of its kind: native libraries and meta-data."""
    elements: list[Element] = [("manifest", [("package", "org.example.labelled")])]
    for kind, text in items:
        if kind == "manifest" and text.endswith(".so"):
            elements.append(("uses-native-library", [(NAME, text)]))
        elif kind == "manifest":
            elements.append(("meta-data", [(NAME, text), (VALUE, "face")]))
        elif kind == "permission":
            elements.append(("uses-permission", [(NAME, text)]))
    return axml(elements)


def package(items: Iterable[Item]) -> bytes:
    """An APK-like zip with the items where they belong."""
    items = tuple(items)
    parts = [Part(name=b"AndroidManifest.xml", data=manifest_of(items))]
    if any(kind in CODE for kind, _ in items):
        parts.append(Part(name=b"classes.dex", data=dex_of(items)))
    if any(kind in NATIVE for kind, _ in items):
        parts.append(Part(name=b"lib/arm64-v8a/libapp.so", data=library_of(items)))
    frameworks = [text for kind, text in items if kind == "library" and ".framework" in text]
    if frameworks:
        linked = [f"/System/Library/Frameworks/{name}/{name.split('.')[0]}" for name in frameworks]
        parts.append(Part(name=b"Payload/A.app/A", data=build_macho(linked=linked)))
    for kind, text in items:
        if kind == "library" and text not in frameworks:
            parts.append(Part(name=b"lib/arm64-v8a/" + text.encode(), data=build_elf()))
        elif kind == "member":
            parts.append(Part(name=text.encode(), data=b"x"))
        elif kind == "text":
            parts.append(Part(name=b"assets/notice.txt", data=text.encode()))
    return build_zip(parts)


def _near(token: Token) -> Iterator[tuple[str, Item]]:
    """Things that look like the token to a careless search, and are something else."""
    kind, text = instance(token)
    dotted = text.strip("L;").replace("/", ".")
    yield "words in an asset", ("text", f"uses {dotted}, see {text}")
    if kind in ("class", "method"):
        yield "a constant text", ("dex-text", text.partition("->")[0])
        yield "the same path elsewhere", (kind, f"Lorg/example/{text[1:]}")
    if kind == "class":
        stem = token.text.rstrip("/;")
        yield "a name that goes on", ("class", f"{stem[:-1]}q{stem[-1]}/Y;")
    elif kind == "method":
        yield "a method that goes on", ("method", f"{text}Too")
        yield "the name alone", ("dex-text", text.partition("->")[2])
    elif kind == "symbol":
        yield "a symbol that goes on", ("symbol", f"{text}X")
        yield "a symbol that ends so", ("symbol", f"my{text}")
    elif kind == "string":
        middle = len(text) // 2
        yield "one letter is another", ("string", f"{text[:middle]}\x01{text[middle + 1 :]}")
        yield "cut off", ("string", text[:-1])
        yield "in the code's texts", ("dex-text", text)
    elif kind == "library":
        stem, dot, suffix = text.rpartition("." if ".framework" in text else ".so")
        yield "a name that goes on", ("library", f"{stem}_q{dot}{suffix}")
        yield "a name that ends so", ("library", f"my{text}")
    elif kind == "manifest":
        yield "a name that goes on", ("manifest", f"{text}.more")
        yield "a permission of that name", ("permission", text)
    elif kind == "host":
        yield "somebody else's sub-domain", ("host", f"{text}.evil.example")
        yield "a query", ("dex-text", f"https://example.com/?next={text}")
        yield "inside a sentence", ("dex-text", f"see https://{text}/v1 for details")
    elif kind == "member":
        yield "a name that goes on", ("member", f"{text}x")
        yield "in another folder", ("member", f"docs/{text}")


TEMPTING: tuple[Item, ...] = (
    ("dex-text", "Lorg/tensorflow/lite/Interpreter;"),
    ("dex-text", "org.tensorflow.lite.Interpreter"),
    ("dex-text", "see https://api.openai.com/v1 for details"),
    ("dex-text", "https://example.com/?next=api.openai.com"),
    ("dex-text", "https://api.openai.com.evil.example/v1"),
    ("dex-text", "https://notapi.openai.com/v1"),
    ("dex-text", "https://openai.azure.com.example/"),
    ("dex-text", "https://rekognition.amazonaws.com.example/"),
    ("dex-text", "https://vision.googleapis.community/"),
    ("dex-text", "https://www.googleapis.com/auth/cloud-vision"),
    ("dex-text", "https://huggingface.co/some/model"),
    ("dex-text", "https://openai.com/policies"),
    ("dex-text", "setUseNNAPI"),
    ("class", "Lcom/example/tensorflow/lite/Interpreter;"),
    ("class", "Lorg/tensorflow/litex/Interpreter;"),
    ("class", "Lorg/pytorch/extra/Helper;"),
    ("class", "Lcom/google/android/gms/vision/barcode/BarcodeDetector;"),
    ("class", "Lcom/google/zxing/BarcodeFormat;"),
    ("class", "Lcom/google/cloud/storage/Storage;"),
    ("class", "Lcom/google/android/play/core/assetpacks/AssetPackManager;"),
    ("class", "Lcom/google/ar/core/Session;"),
    ("class", "Lcom/amazonaws/services/s3/AmazonS3;"),
    ("class", "Lcom/amazonaws/services/translateextra/Client;"),
    ("class", "Lcom/tencent/ncnnyolox/MainActivity;"),
    ("class", "Lcom/tencentcloudapi/cvm/v20170312/CvmClient;"),
    ("class", "Lcom/google/firebase/analytics/FirebaseAnalytics;"),
    ("class", "Lcom/microsoft/azure/storage/CloudStorageAccount;"),
    ("class", "Lorg/opencv/core/Mat;"),
    ("class", "Lorg/opencv/imgproc/Imgproc;"),
    ("class", "Lai/onnx/Runtime;"),
    ("class", "Lcom/huawei/hms/ml/scan/HmsScan;"),
    ("class", "Lcom/iflytek/ads/Banner;"),
    ("class", "Lcom/baidu/mapapi/map/MapView;"),
    ("class", "Landroid/speech/SpeechRecognizer;"),
    ("method", "Lcom/example/Options;->setUseNNAPI"),
    ("method", "Landroid/speech/SpeechRecognizer;->createSpeechRecognizer"),
    ("symbol", "MyTF_NewTensorX"),
    ("symbol", "TF_NewTensorFromBuffer"),
    ("symbol", "OrtGetApiBaseX"),
    ("symbol", "vkCreateInstance"),
    ("symbol", "clCreateContext"),
    *(
        ("string", text)
        for text in (
            *("loss3/classifier", "PyTorch", "TensorList", "/mdl/", "build_android", ".mnn"),
            *("tracker model", "libace_ncnn", "libBugly", "N10tensorflow8GraphDefE"),
            *("N2cv3dnn3NetE", "GGUF is a format", "libtensorflow_inference.so", "vad_process"),
            "PN11onnxruntime11concurrency10ThreadPoolE",  # a mathematics library that OpenCV took over
        )
    ),
    ("library", "libncnn.so"),
    ("library", "libtensorflowlite_jni.so"),
    ("library", "libopencv_java4.so"),
    ("library", "libfbjni.so"),
    ("library", "libOpenCL.so"),
    ("library", "UIKit.framework"),
    ("manifest", "com.google.android.gms.version"),
    ("manifest", "com.google.mlkit.vision"),
    ("member", "assets/dexopt/baseline.prof"),
)
"""Each alone is found in apps without what it seems to speak of."""


def with_each_signature() -> Iterator[Labelled]:
    """For each line the package that has it alone, and for weak lines one with a second beside."""
    groups: dict[tuple[str, str], list[Token]] = {}
    for token in tokens():
        groups.setdefault((token.category, token.name), []).append(token)
    for token in tokens():
        name = f"{token.category}:{token.name} {token.kind} {token.text}"
        item = instance(token)
        yield Labelled(name=name, items=(item,), expected=expected([item]))
        others = [t for t in groups[token.category, token.name] if t.text != token.text]
        if not token.strong and others:
            pair = (item, instance(others[0]))
            yield Labelled(name=f"{name} and another", items=pair, expected=expected(pair))


def without_each_signature() -> Iterator[Labelled]:
    """Packages with something that is like a line, and the tempting ones."""
    for token in tokens():
        for how, item in _near(token):
            name = f"not {token.category}:{token.name} {token.kind} {token.text}: {how}"
            if not covers(token, item):
                yield Labelled(name=name, items=(item,), expected=expected([item]))
    for item in TEMPTING:
        yield Labelled(name=f"tempting {item[0]} {item[1]}", items=(item,), expected=frozenset())

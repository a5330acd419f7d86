"""Packages and what was found in them."""

from dataclasses import dataclass
from enum import StrEnum


class FileKind(StrEnum):
    """What a file turned out to be."""

    MODEL = "model"
    """A graph that was read whole."""
    WEIGHTS = "weights"
    """Weights without a graph: the half of a model whose graph lies beside it, or a checkpoint."""
    PACKAGE = "package"
    """A container of other files."""
    ENCRYPTED = "encrypted"
    """Named like a model, its bytes are indistinguishable from random."""
    INVALID = "invalid"
    """Carries a model format's signature but cannot be read as one."""
    UNKNOWN = "unknown"
    """None of the above."""


class PackageKind(StrEnum):
    """What kind of package was scanned."""

    APK = "apk"
    SPLIT_APK = "split-apk"
    BUNDLE = "bundle"
    """Several APKs of one app in a zip: XAPK, APKS, APKM."""
    AAB = "aab"
    OBB = "obb"
    IPA = "ipa"
    SPLIT_SET = "split-set"
    """A base APK and its splits that lie in a folder as files: one app."""
    UNPACKED = "unpacked"
    """A folder with the files of one app."""
    ARCHIVE = "archive"
    """A zip that is none of these."""
    FILE = "file"
    """A model file that lies there without a package."""
    NONE = "none"
    """Named or given as a package, but not one; `error` says what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A part of an app beside its base: a configuration, a feature, a pack of assets."""

    name: str
    """As its manifest says: `config.arm64_v8a`; of a bundle's module without one, its folder."""
    path: str
    """The file inside the package, or in the folder of the set."""
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A scanned package. Key: `path`, `size_bytes`, `modified_ns`.

    An app whose base and splits are files of their own is one row: its path is the base's, its size
    that of all, its modification time the newest, its digest that of all digests.
    """

    path: str
    app_sha256: str
    size_bytes: int
    modified_ns: int
    kind: PackageKind
    package: str | None = None
    version_code: int | None = None
    version_name: str | None = None
    label: str | None = None
    split: str | None = None
    minimum_sdk: int | None = None
    target_sdk: int | None = None
    permissions: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    abis: tuple[str, ...] = ()
    certificate_sha256: str | None = None
    members: int = 0
    splits: tuple[Split, ...] = ()
    """The app's parts beside its base, in bundles, split sets and AABs."""
    notes: tuple[str, ...] = ()
    """What was unusual: `recovered-from-local-headers`, `fake-encryption-flag`, `limit-depth`, ...; and
    what hides code: `obfuscated-classes`, `packed-code`, `encrypted-code`."""
    error: str | None = None
    debug_bytes: int | None = None
    """Symbol tables and debug sections of native libraries, which no loader needs; None without a
    native library."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFile:
    """A member of a package that is, or by its name could be, a model. Key: `app_sha256`, `member`."""

    app_sha256: str
    member: str
    """Path inside the package; nested containers are joined by `!/`."""
    size_bytes: int
    sha256: str | None
    kind: FileKind
    format: str | None = None
    model_sha256: str | None = None
    """The model this file belongs to, see `ModelFile`."""
    entropy_bits: float | None = None
    """Shannon entropy in bits per byte, measured where the kind is not plain."""
    error: str | None = None
    wrapping: str | None = None
    """What is around the model, the outermost first: `gzip`, `base64`, `xor-0x5a`, `offset-64`,
    `gzip+xor-0x5a`. `sha256` and `size_bytes` are those of the file as shipped, the model's are those
    of what is inside."""
    packed_bytes: int | None = None
    """What the file takes up in the zip that it lies in, compressed or not; None outside a zip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of a model. Key: `model_sha256`, `name`. The graph file is the one with `position` 0.

    `model_sha256` is the graph file's digest where the model is one file, else the digest of all
    files' digests (see `model_digest`).
    """

    model_sha256: str
    position: int
    name: str
    """Relative to the graph's folder, with the app's own stem replaced: `model.param`, `model.bin`."""
    sha256: str
    size_bytes: int
    format: str


class EvidenceCategory(StrEnum):
    """What a piece of evidence is about."""

    RUNTIME = "runtime"
    ACCELERATOR = "accelerator"
    CLOUD = "cloud"
    SDK = "sdk"
    """On-device ML without a model file in the package."""
    DOWNLOAD = "download"
    """Models fetched after install."""
    TRAINING = "training"
    PACKER = "packer"


class EvidenceSource(StrEnum):
    """Where in a package a token was seen, strongest first."""

    CLASS = "class"
    METHOD = "method"
    SYMBOL = "symbol"
    LIBRARY = "library"
    MANIFEST = "manifest"
    STRING = "string"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A token seen in a package. Key: all but `strong`."""

    app_sha256: str
    category: EvidenceCategory
    name: str
    """What the token speaks for: `tflite`, `nnapi`, `amazon-rekognition`."""
    vendor: str | None
    source: EvidenceSource
    token: str
    member: str
    """The file inside the package, nested containers joined by `!/`."""
    strong: bool
    """A weak token needs a second, different one before it counts."""
    defined: bool | None = None
    """For classes: shipped in the package (True) or only called (False)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that could not be done, with its reason. Key: `stage`, `subject`."""

    stage: str
    """`crawl`, `discover`, `scan`, `analyse`, `plan`, `bench`, `meter` or `report`."""
    subject: str
    """Path, model digest, engine, model digest and engine, source, address and reference,
    or job and launch."""
    error: str
    """Name of the error's class."""
    message: str
    transient: bool
    model_sha256: str | None = None
    """The model that it is about, if it is about one."""
    engine: str | None = None
    """The engine, as `name==version`, if it is about one."""

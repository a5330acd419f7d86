"""Every package of the corpus opens or is explained; androguard and apktool agree where they can."""

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from androguard.core.apk import APK
from androguard.core.dex import DEX
from loguru import logger

from gaugenn.apps.dex import Dex
from gaugenn.apps.scan import describe
from gaugenn.apps.walk import Member
from gaugenn.content import open_file
from gaugenn.errors import PackageError
from gaugenn.records import PackageKind

TINY = "android.appsecurity.cts.tinyapp"
ABCORE = "com.greenaddress.abcore"
ON_DEMAND = "com.google.android.samples.dynamicfeatures.ondemand"


@dataclass(frozen=True, slots=True)
class Expected:
    kind: PackageKind
    package: str | None = None
    version_code: int | None = None
    members: int = 0
    notes: tuple[str, ...] = ()
    error: str = ""
    unreadable: int = 0


NO_MANIFEST = "no AndroidManifest.xml"
TABLE = {
    "apk/AndroidManifest_ShortName.apk": Expected(PackageKind.APK, "com.android.galaxy4", 1, 1),
    "apk/GHSA-2hqv-2xv4-5h5w.apk": Expected(
        PackageKind.APK, "com.ibotpeaches.ghsa_2hqv_2xv4_5h5w", 1, 20
    ),
    "apk/Invalid.apk": Expected(PackageKind.APK, "re.androguard.android.invalid", 1, 14),
    "apk/StringTests.dex": Expected(PackageKind.NONE, error="it is a dex file"),
    "apk/TestActivity.apk": Expected(PackageKind.APK, "tests.androguard", 1, 10),
    "apk/a2dp.Vol_137.apk": Expected(PackageKind.APK, "a2dp.Vol", 137, 48),
    "apk/app-prod-debug.apk": Expected(PackageKind.APK, ABCORE, 2162, 475),
    "apk/app-with-fake-dex.apk": Expected(PackageKind.APK, "com.github.skylot.simple", 1, 8),
    "apk/classes.dex": Expected(PackageKind.NONE, error="it is a dex file"),
    "apk/com.obfuscapk.demo.v1.0-original.apk": Expected(
        PackageKind.APK, "com.obfuscapk.demo", 1, 12
    ),
    "apk/com.teleca.jamendo_35.apk": Expected(PackageKind.APK, "com.teleca.jamendo", 35, 149),
    "apk/dynamic_dex.apk": Expected(PackageKind.APK, "se.test.meeh", 1, 8),
    "apk/empty-unsigned.apk": Expected(PackageKind.ARCHIVE, notes=("empty",), error=NO_MANIFEST),
    "apk/hello-world.apk": Expected(PackageKind.APK, "de.rhab.helloworld", 1, 438),
    "apk/install-time-permanent-modules.aab": Expected(PackageKind.AAB, ON_DEMAND, 1, 564),
    "apk/mismatched-compression-method.apk": Expected(PackageKind.APK, TINY, 10, 6),
    "apk/multidex.apk": Expected(PackageKind.ARCHIVE, members=3, error=NO_MANIFEST),
    "apk/resources-only.apk": Expected(
        PackageKind.SPLIT_APK, "org.github.jadx.resourceonlyapk", 1, 5
    ),
    "apk/sparse.apk": Expected(PackageKind.APK, "com.android.sparse", None, 2),
    "apk/unknown_compression.apk": Expected(PackageKind.APK, "com.ibotpeaches.issue1244", 1, 15),
    "apk/v1-only-max-sized-eocd-comment.apk": Expected(PackageKind.APK, TINY, 10, 6),
    "apk/v1-only-with-cr-in-entry-name.apk": Expected(PackageKind.APK, TINY, 10, 7),
    "apk/v1-only-with-nul-in-entry-name.apk": Expected(PackageKind.APK, TINY, 10, 7),
    "apk/v2-only-garbage-between-cd-and-eocd.apk": Expected(PackageKind.APK, TINY, 10, 3),
    "apk/v2-only-truncated-cd.apk": Expected(
        *(PackageKind.APK, TINY, 10, 3),
        notes=("central-directory-truncated", "recovered-from-local-headers"),
    ),
    "apk/weird-compression-method.apk": Expected(
        *(PackageKind.APK, TINY, 10, 6), notes=("odd-compression-method",)
    ),
    "packages/bundle.xapk": Expected(PackageKind.BUNDLE, "tests.androguard", 1, 26),
    "packages/main.1.x.obb": Expected(PackageKind.OBB, "x", 1, members=2),
    "packages/multi_fw.apk": Expected(PackageKind.APK, "tests.androguard", 1, 15),
    "packages/truncated.apk": Expected(
        *(PackageKind.APK, "tests.androguard", 1, 12),
        notes=("recovered-from-local-headers",),
        unreadable=1,
    ),
    "packages/with_model.aab": Expected(PackageKind.AAB, ON_DEMAND, 1, 566),
}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_package_opens_or_is_explained(corpus: Path, name: str) -> None:
    expected = TABLE[name]
    found = describe(open_file(corpus / name))
    app = found.app
    assert (app.kind, app.package, app.version_code) == (
        *(expected.kind, expected.package, expected.version_code),
    )
    assert (app.members, app.notes) == (expected.members, expected.notes)
    assert (expected.error in app.error) if app.error else not expected.error
    members = list(found.package.walk())
    assert sum(not _readable(member) for member in members) == expected.unreadable


def test_the_table_covers_every_package_of_the_corpus(corpus: Path) -> None:
    present = {
        f"{folder}/{path.name}"
        for folder in ("apk", "packages")
        for path in (corpus / folder).iterdir()
    }
    assert present == set(TABLE)


def _readable(member: Member) -> bool:
    try:
        return member.content().size_bytes == member.size_bytes
    except PackageError:
        return False


CUT = "packages/truncated.apk"


def test_androguard_cannot_open_the_cut_package(corpus: Path) -> None:
    with pytest.raises(ValueError, match="EOCD"):
        APK(str(corpus / CUT))


UNRESOLVED = "apk/AndroidManifest_ShortName.apk"
"""Has no resource table; androguard gives the number of the name, `@7F060000`."""
MISREAD = "apk/mismatched-compression-method.apk"
"""Its certificate is stored under a header that says deflated, and androguard takes it as it lies."""


def _their_certificate(theirs: APK) -> str | None:
    for certificates in (theirs.get_certificates_der_v3(), theirs.get_certificates_der_v2()):
        if certificates:
            return hashlib.sha256(certificates[0]).hexdigest()
    names = theirs.get_signature_names()
    return hashlib.sha256(theirs.get_certificate_der(names[0])).hexdigest() if names else None


APKS = sorted(n for n in TABLE if TABLE[n].kind in (PackageKind.APK, PackageKind.SPLIT_APK))


@pytest.mark.parametrize("name", [n for n in APKS if n != CUT])
def test_androguard_agrees(corpus: Path, name: str) -> None:
    logger.disable("androguard")
    theirs = APK(str(corpus / name))
    found = describe(open_file(corpus / name))
    app = found.app
    assert app.package == theirs.get_package()
    assert str(app.version_code or "") == (theirs.get_androidversion_code() or "")
    assert (app.version_name or "") == (theirs.get_androidversion_name() or "")
    assert set(app.permissions) == set(theirs.get_permissions())
    assert set(app.features) == set(theirs.get_features())
    assert str(app.minimum_sdk) == str(theirs.get_min_sdk_version())
    assert str(app.target_sdk) == str(theirs.get_target_sdk_version())
    if name != UNRESOLVED:
        assert (app.label or "") == (theirs.get_app_name() or "")
    if name != MISREAD:
        assert app.certificate_sha256 == _their_certificate(theirs)
    libraries = [path.split("/") for path in theirs.get_files() if path.startswith("lib/")]
    assert set(app.abis) == {parts[1] for parts in libraries if len(parts) == 3}
    members = {member.path: member for member in found.package.walk()}
    for path in theirs.get_dex_names():
        classes = [item.get_name() for item in DEX(theirs.get_file(path)).get_classes()]
        assert sorted(Dex(members[path].content().data).classes()) == sorted(classes)


NOT_APKTOOL = frozenset(
    f"apk/{name}.apk"
    for name in (
        *("v2-only-truncated-cd", "weird-compression-method"),
        *("v2-only-garbage-between-cd-and-eocd", "v1-only-with-nul-in-entry-name"),
    )
)
"""Java's zip reader or its file names refuse these."""


@pytest.fixture(scope="module")
def frameworks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("apktool") is None:
        pytest.skip("apktool is not installed; install it with: apt-get install apktool")
    return tmp_path_factory.mktemp("frameworks")


def _field(text: str, pattern: str) -> str | None:
    found = re.search(pattern, text)
    return found.group(1) if found and found.group(1) != "null" else None


@pytest.mark.parametrize("name", [n for n in APKS if n != CUT])
def test_apktool_agrees(corpus: Path, name: str, tmp_path: Path, frameworks: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        ["apktool", "d", "-f", "-s", "-p", frameworks, "-o", out, corpus / name],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode != 0) == (name in NOT_APKTOOL), done.stderr
    if done.returncode:
        return
    manifest = (out / "AndroidManifest.xml").read_text()
    told = (out / "apktool.yml").read_text()
    app = describe(open_file(corpus / name)).app
    assert app.package == _field(manifest, r'<manifest[^>]* package="([^"]*)"')
    assert app.split == _field(manifest, r'<manifest[^>]* split="([^"]*)"')
    for ours, key in (
        (app.version_code, "versionCode"),
        (app.minimum_sdk, "minSdkVersion"),
        (app.target_sdk, "targetSdkVersion"),
    ):
        theirs = _field(told, rf"{key}: '?([^'\n]*)'?")
        assert ours == (None if theirs is None else int(theirs)), key
    for ours_set, tag in ((app.permissions, "uses-permission"), (app.features, "uses-feature")):
        names = re.findall(rf'<{tag}(?:-sdk-23)?\b[^>]* android:name="([^"]*)"', manifest)
        assert set(ours_set) == set(names), tag
    assert set(app.abis) == {
        folder.name for folder in out.glob("lib/*") if any(folder.glob("*.so"))
    }
    label = _field(manifest, r'<application[^>]* android:label="([^"]*)"')
    labels = {label}
    if label and label.startswith("@string/"):  # not every app has it in the default language
        key = re.escape(label.removeprefix("@string/"))
        texts = [path.read_text() for path in out.glob("res/values*/strings.xml")]
        labels = {_field(text, rf'<string name="{key}">"?([^<"]*)"?</string>') for text in texts}
    assert app.label in labels or name == UNRESOLVED

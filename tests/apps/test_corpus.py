"""Every package of the corpus opens or is explained, and androguard agrees where it can read them."""

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


@pytest.mark.parametrize(
    "name", sorted(n for n in TABLE if TABLE[n].kind is PackageKind.APK and n != CUT)
)
def test_androguard_agrees(corpus: Path, name: str) -> None:
    logger.disable("androguard")
    theirs = APK(str(corpus / name))
    found = describe(open_file(corpus / name))
    app = found.app
    assert app.package == theirs.get_package()
    assert str(app.version_code or "") == (theirs.get_androidversion_code() or "")
    assert (app.version_name or "") == (theirs.get_androidversion_name() or "")
    assert set(app.permissions) == set(theirs.get_permissions())
    members = {member.path: member for member in found.package.walk()}
    for path in theirs.get_dex_names():
        classes = [item.get_name() for item in DEX(theirs.get_file(path)).get_classes()]
        assert sorted(Dex(members[path].content().data).classes()) == sorted(classes)

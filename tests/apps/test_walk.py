"""What is a package, and what a walk over it meets."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.apps.builders import Part, build_zip

from gaugenn.apps.limits import Limits
from gaugenn.apps.walk import Member, Package, open_package
from gaugenn.content import from_bytes
from gaugenn.errors import LimitError, PackageError
from gaugenn.records import PackageKind

Make = Callable[..., bytes]
Parts = Any
TFLITE = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 4


def _open(name: str, data: bytes, **limits: int) -> Package:
    return open_package(from_bytes(name, data), Limits(**limits))


def _members(package: Package) -> dict[str, Member]:
    return {member.path: member for member in package.walk()}


def test_a_walk_meets_every_file_and_no_folder(make_zip: Make, part: Parts) -> None:
    data = make_zip(
        [part(name=b"assets/"), part(name=b"assets/m.tflite", data=TFLITE), part(name=b"x")]
    )
    members = _members(_open("a.zip", data))
    assert list(members) == ["assets/m.tflite", "x"]
    member = members["assets/m.tflite"]
    assert member.size_bytes == len(TFLITE)
    assert member.head(8) == TFLITE[:8]
    assert bytes(member.content().data) == TFLITE
    assert member.content().name == "assets/m.tflite"


def test_a_member_says_what_it_takes_up_in_its_zip(make_zip: Make, part: Parts) -> None:
    data = bytes(5_000)
    inner = make_zip([part(name=b"deep", data=data, deflated=False)])
    made = make_zip(
        [
            part(name=b"stored", data=data, deflated=False),
            part(name=b"deflated", data=data),
            part(name=b"inner.zip", data=inner),
        ]
    )
    members = _members(_open("a.zip", made))
    assert members["stored"].packed_bytes == 5_000
    assert 0 < (members["deflated"].packed_bytes or 0) < 100
    assert members["inner.zip!/deep"].packed_bytes == 5_000


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("nuls", [b"", b"\0\0"])
def test_containers_are_recognised_by_content_and_joined_in_the_path(
    make_zip: Make, part: Parts, deflated: bool, nuls: bytes
) -> None:
    inner = make_zip([part(name=b"n/m.tflite", data=TFLITE)], prefix=nuls)
    data = make_zip([part(name=b"assets/disguised.dat", data=inner, deflated=deflated)])
    members = _members(_open("a.apk", data))
    assert list(members) == ["assets/disguised.dat", "assets/disguised.dat!/n/m.tflite"]
    assert members["assets/disguised.dat"].container
    assert bytes(members["assets/disguised.dat!/n/m.tflite"].content().data) == TFLITE


def test_gzip_members_are_opened(make_zip: Make, part: Parts) -> None:
    data = make_zip([part(name=b"m.tflite.gz", data=gzip.compress(TFLITE))])
    members = _members(_open("a.apk", data))
    assert list(members) == ["m.tflite.gz", "m.tflite.gz!/m.tflite"]
    assert bytes(members["m.tflite.gz!/m.tflite"].content().data) == TFLITE


LONG = "deep/" * 30 + "m.tflite"


def _tar(names: Iterable[str], kind: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(TFLITE)
            archive.addfile(entry, io.BytesIO(TFLITE))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("packed", [False, True])
def test_tar_members_are_walked(make_zip: Make, part: Parts, kind: int, packed: bool) -> None:
    tar = _tar(["m.tflite", LONG], kind)
    name = b"models.tar.gz" if packed else b"models.dat"
    data = make_zip([part(name=name, data=gzip.compress(tar) if packed else tar)])
    members = _members(_open("a.apk", data))
    prefix = "models.tar.gz!/models.tar!/" if packed else "models.dat!/"
    assert [path for path in members if path.startswith(prefix)] == [
        f"{prefix}m.tflite",
        f"{prefix}{LONG}",
    ]
    assert bytes(members[prefix + LONG].content().data) == TFLITE


def test_a_cut_tar_gives_what_is_there_and_says_what_is_not(make_zip: Make, part: Parts) -> None:
    tar = _tar(["a", "b"], tarfile.USTAR_FORMAT)
    data = make_zip([part(name=b"t.tar", data=tar[: 512 + 2048 + 100])])
    assert "t.tar!/a" in _members(_open("a.apk", data))
    whole = make_zip([part(name=b"t.tar", data=tar[:1000])])
    with pytest.raises(PackageError, match="cut off"):
        _members(_open("a.apk", whole))["t.tar!/a"].content()


@given(st.binary(max_size=64), st.integers(0, 3000), st.integers(0, 3000))
def test_a_damaged_tar_ends(noise: bytes, at: int, cut: int) -> None:
    tar = _tar(["a", LONG], tarfile.PAX_FORMAT)
    damaged = (tar[:at] + noise + tar[at + len(noise) :])[: len(tar) - cut]
    package = _open("a.zip", build_zip([Part(name=b"t", data=damaged)]))
    assert len(_members(package)) < 20


def test_a_zip_appended_to_a_model_is_no_container(make_zip: Make, part: Parts) -> None:
    model = TFLITE + make_zip([part(name=b"labels.txt", data=b"cat")])
    members = _members(_open("a.apk", make_zip([part(name=b"m.tflite", data=model)])))
    assert list(members) == ["m.tflite"]
    assert not members["m.tflite"].container
    assert open_package(from_bytes("m.tflite", model)).kind is PackageKind.NONE


def test_a_caller_may_decline_to_descend(make_zip: Make, part: Parts) -> None:
    inner = make_zip([part(name=b"archive/data.pkl", data=b"\x80\x02.")])
    package = _open("a.apk", make_zip([part(name=b"m.pt", data=inner)]))
    assert [m.path for m in package.walk(lambda m: not m.path.endswith(".pt"))] == ["m.pt"]


def test_neighbours_are_the_files_of_the_same_folder_and_container(
    make_zip: Make, part: Parts
) -> None:
    inner = make_zip([part(name=b"n/x.param", data=b"p"), part(name=b"n/x.bin", data=b"inner")])
    data = make_zip(
        [
            part(name=b"a/x.param", data=b"p"),
            part(name=b"a/x.bin", data=b"right"),
            part(name=b"a/deep/y.bin", data=b"deep"),
            part(name=b"x.bin", data=b"outside"),
            part(name=b"in.zip", data=inner),
        ]
    )
    members = _members(_open("a.apk", data))
    graph = members["a/x.param"].content()
    weights = graph.sibling(".bin")
    assert weights is not None
    assert (weights.name, bytes(weights.data)) == ("a/x.bin", b"right")
    deep = graph.beside("deep/y.bin")
    assert deep is not None
    assert bytes(deep.data) == b"deep"
    assert graph.beside("../x.bin") is None
    assert graph.beside("/x.bin") is None
    nested = members["in.zip!/n/x.param"].content().sibling(".bin")
    assert nested is not None
    assert (nested.name, bytes(nested.data)) == ("in.zip!/n/x.bin", b"inner")


def test_a_member_that_cannot_be_read_is_a_value_and_the_walk_goes_on(
    make_zip: Make, part: Parts
) -> None:
    broken = part(name=b"broken", data=b"\xff" * 90, deflated=False, method=8, size=900)
    data = make_zip([broken, part(name=b"fine", data=TFLITE)])
    members = _members(_open("a.zip", data))
    assert isinstance(members["broken"].error, PackageError)
    assert members["broken"].head() == b""
    assert members["fine"].error is None


def test_a_corrupt_nested_container_is_a_value_and_the_walk_goes_on(
    make_zip: Make, part: Parts
) -> None:
    data = make_zip(
        [
            part(name=b"broken.zip", data=b"PK\x03\x04" + b"\xff" * 40),
            part(name=b"broken.gz", data=gzip.compress(TFLITE)[:40]),
            part(name=b"fine", data=TFLITE),
        ]
    )
    members = _members(_open("a.zip", data))
    assert list(members) == ["broken.zip", "broken.gz", "fine"]
    assert "expected a zip archive" in str(members["broken.zip"].error)
    assert "cut off" in str(members["broken.gz"].error)


def test_containers_below_the_depth_limit_are_values(make_zip: Make, part: Parts) -> None:
    data = make_zip([part(name=b"m.tflite", data=TFLITE)])
    for _ in range(20):
        data = make_zip([part(name=b"z", data=data)])
    package = _open("a.zip", data)
    members = list(package.walk())
    assert len(members) == 5
    assert [member.error is None for member in members] == [True] * 4 + [False]
    assert "limit-depth" in package.notes
    assert isinstance(members[-1].error, LimitError)


def test_a_bomb_deep_inside_is_a_value(make_zip: Make, part: Parts) -> None:
    bomb = gzip.compress(bytes(1 << 22))
    inner = make_zip([part(name=b"bomb.gz", data=bomb), part(name=b"ok", data=TFLITE)])
    package = _open("a.zip", make_zip([part(name=b"in.zip", data=inner)]), ratio_free_bytes=1000)
    members = _members(package)
    assert list(members) == ["in.zip", "in.zip!/bomb.gz", "in.zip!/ok"]
    assert isinstance(members["in.zip!/bomb.gz"].error, LimitError)


def test_members_are_counted_over_all_containers(make_zip: Make, part: Parts) -> None:
    inner = make_zip([part(name=b"%d" % i) for i in range(6)])
    data = make_zip([part(name=b"%d.zip" % i, data=inner) for i in range(3)])
    package = _open("a.zip", data, members=10)
    assert len(list(package.walk())) == 10
    assert "limit-members" in package.notes


def test_a_small_package_of_many_tiny_members_inside_ends_early(
    make_zip: Make, part: Parts
) -> None:
    inner = make_zip([part(name=b"%d" % i, deflated=False) for i in range(1000)])
    data = make_zip([part(name=b"%d.zip" % i, data=inner) for i in range(30)])
    package = _open("a.zip", data, members_free=100)
    most = 100 + len(data) // 64
    assert most < 30_000
    assert len(list(package.walk())) == most
    assert "limit-members" in package.notes


def _kinds(make_zip: Make, part: Parts) -> list[tuple[str, bytes, PackageKind]]:
    def names(*members: bytes) -> bytes:
        return make_zip([part(name=name, data=b"x") for name in members])

    return [
        ("a.aab", names(b"BundleConfig.pb", b"base/dex/classes.dex"), PackageKind.AAB),
        ("a.xapk", names(b"manifest.json", b"base.apk"), PackageKind.BUNDLE),
        ("a.apks", names(b"toc.pb", b"splits/base-master.apk"), PackageKind.BUNDLE),
        ("a.apkm", names(b"info.json", b"base.apk"), PackageKind.BUNDLE),
        ("unnamed", names(b"manifest.json", b"base.apk"), PackageKind.BUNDLE),
        ("main.7.org.example.obb", names(b"data/m.tflite"), PackageKind.OBB),
        ("a.ipa", names(b"Payload/A.app/Info.plist"), PackageKind.IPA),
        ("a.zip", names(b"m.tflite"), PackageKind.ARCHIVE),
        ("collection.zip", names(b"one.apk"), PackageKind.ARCHIVE),
        ("a.apk", names(b"classes.dex"), PackageKind.ARCHIVE),
        ("a.apk", b"", PackageKind.NONE),
        ("a.apk", b"<html>404</html>", PackageKind.NONE),
    ]


@pytest.mark.parametrize("index", range(12))
def test_the_kind_follows_from_the_members(make_zip: Make, part: Parts, index: int) -> None:
    name, data, kind = _kinds(make_zip, part)[index]
    assert _open(name, data).kind is kind


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><p>Not found", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"dex\n035\0" + bytes(100), "a dex file"),
        (b"PK\x03\x04 and nothing more", "a broken zip archive"),
        (b"anything", "an unknown kind of file"),
    ],
)
def test_what_is_no_package_is_named(head: bytes, words: str) -> None:
    package = _open("a.apk", head)
    assert package.kind is PackageKind.NONE
    assert words in (package.error or "")
    assert list(package.walk()) == []


def test_an_expansion_file_of_any_format_is_one_member() -> None:
    package = _open("patch.12.org.example.obb", TFLITE)
    assert package.kind is PackageKind.OBB
    assert package.notes == ("not-a-zip",)
    assert [m.path for m in package.walk()] == ["patch.12.org.example.obb"]


def test_a_bundle_is_walked_through_its_packages(make_zip: Make, part: Parts) -> None:
    base = make_zip([part(name=b"assets/m.tflite", data=TFLITE)])
    index = json.dumps({"package_name": "org.example"}).encode()
    data = make_zip(
        [part(name=b"manifest.json", data=index), part(name=b"base.apk", data=base, deflated=False)]
    )
    assert "base.apk!/assets/m.tflite" in _members(_open("a.xapk", data))

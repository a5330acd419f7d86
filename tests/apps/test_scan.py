"""One walk describes a package, whatever is wrong with it."""

import hashlib
import plistlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gaugenn.apps.limits import Limits
from gaugenn.apps.scan import describe
from gaugenn.content import from_bytes
from gaugenn.records import PackageKind

Make = Callable[..., bytes]
Parts = Any


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_small_and_large_packages_carry_their_digest(
    make_zip: Make, part: Parts, size: int
) -> None:
    noise = np.random.default_rng(3).bytes(size)
    data = make_zip([part(name=b"assets/x", data=noise, deflated=False)])
    app = describe(from_bytes("dir/a.apk", data), modified_ns=7).app
    assert app.app_sha256 == hashlib.sha256(data).hexdigest()
    assert (app.path, app.size_bytes, app.modified_ns) == ("dir/a.apk", len(data), 7)
    assert app.members == 1


def test_an_ios_package_is_described_by_its_property_list(make_zip: Make, part: Parts) -> None:
    plist = {
        "CFBundleIdentifier": "org.example.ios",
        "CFBundleShortVersionString": "1.2",
        "CFBundleVersion": "34",
        "CFBundleDisplayName": "Example",
    }
    data = make_zip(
        [
            part(name=b"Payload/A.app/Info.plist", data=plistlib.dumps(plist)),
            part(name=b"Payload/A.app/B.framework/Info.plist", data=b"broken"),
        ]
    )
    app = describe(from_bytes("a.ipa", data)).app
    assert (app.kind, app.package, app.version_name, app.version_code, app.label) == (
        *(PackageKind.IPA, "org.example.ios", "1.2", 34, "Example"),
    )


def test_debug_sections_of_all_native_libraries_are_added_up(
    make_zip: Make, part: Parts, make_elf: Make
) -> None:
    libraries = [
        part(name=b"lib/arm64-v8a/lib%d.so" % n, data=make_elf(b"x\0", debug=bytes(size)))
        for n, size in enumerate((100, 0, 30))
    ]
    assert describe(from_bytes("a.apk", make_zip(libraries))).app.debug_bytes == 130
    plain = make_zip([part(name=b"assets/x", data=b"x")])
    assert describe(from_bytes("a.apk", plain)).app.debug_bytes is None


@pytest.mark.parametrize(
    ("name", "member"),
    [("a.apk", b"AndroidManifest.xml"), ("a.ipa", b"Payload/A.app/Info.plist")],
)
def test_a_broken_manifest_is_said_and_the_rest_is_described(
    make_zip: Make, part: Parts, make_elf: Make, name: str, member: bytes
) -> None:
    library = part(name=b"lib/arm64-v8a/libx.so", data=make_elf(b"N4ncnn5LayerE\0"))
    found = describe(from_bytes(name, make_zip([part(name=member, data=b"broken"), library])))
    assert found.app.package is None
    assert member.decode() in (found.app.error or "")
    assert found.app.abis == ("arm64-v8a",)
    assert {row.name for row in found.evidence} == {"ncnn"}


def test_an_unreadable_manifest_is_named_once(make_zip: Make, part: Parts) -> None:
    data = make_zip([part(name=b"AndroidManifest.xml", data=b"x" * 99, crc=1)])
    error = describe(from_bytes("a.apk", data)).app.error
    assert error is not None
    assert error.startswith("AndroidManifest.xml: cannot be read: CRC is")


def test_every_member_is_shown_to_the_caller_once_and_in_order(make_zip: Make, part: Parts) -> None:
    inner = make_zip([part(name=b"m.tflite")])
    data = make_zip([part(name=b"in.zip", data=inner), part(name=b"z")])
    seen: list[str] = []
    describe(from_bytes("a.apk", data), each=lambda member: seen.append(member.path))
    assert seen == ["in.zip", "in.zip!/m.tflite", "z"]
    seen.clear()
    describe(
        from_bytes("a.apk", data),
        each=lambda member: seen.append(member.path),
        descend=lambda _member: False,
    )
    assert seen == ["in.zip", "z"]


def test_limits_reached_are_notes_and_unreadable_members(make_zip: Make, part: Parts) -> None:
    data = make_zip([part(name=b"x.zip", data=make_zip([part(name=b"y")]))])
    found = describe(from_bytes("a.zip", data), limits=Limits(depth=0))
    assert found.app.notes == ("limit-depth",)
    assert [(item.member, "depth 1" in item.error) for item in found.unreadable] == [
        ("x.zip", True)
    ]


def test_what_is_no_package_is_described_as_none() -> None:
    found = describe(from_bytes("a.apk", b"<html>"))
    assert (found.app.kind, found.app.members, found.evidence) == (PackageKind.NONE, 0, ())
    assert "a web page" in (found.app.error or "")

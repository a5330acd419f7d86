"""The committed sample packages are what `samples/expected.json` says."""

import hashlib
import io
import json
import math
import zipfile
from collections import Counter
from pathlib import Path
from typing import TypedDict

import pytest

SAMPLES = Path(__file__).parents[1] / "samples"
PACKAGES = ("broken.apk", "camera.apk", "cloud.apk", "notes.apk")
APPS = ("camera.apk", "cloud.apk", "notes.apk")


class Place(TypedDict):
    package: str
    member: str


class File(TypedDict):
    member: str
    kind: str
    size_bytes: int
    sha256: str
    framework: str


class Package(TypedDict):
    kind: str
    classes: list[str]
    libraries: list[str]
    files: list[File]


class Siblings(TypedDict):
    base: Place
    fine_tuned: Place
    shared_tensors: int
    different_tensors: int


class Expected(TypedDict):
    packages: dict[str, Package]
    duplicates: list[list[Place]]
    siblings: list[Siblings]
    quantized: list[Place]
    misleading: list[Place]
    encrypted: list[Place]
    nested: list[Place]
    package_sha256: dict[str, str]


@pytest.fixture(scope="module")
def expected() -> Expected:
    found: Expected = json.loads((SAMPLES / "expected.json").read_text("utf-8"))
    return found


def read(package: str, member: str) -> bytes:
    data = (SAMPLES / package).read_bytes()
    for name in member.split("!/"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read(name)
    return data


def entropy_bits(data: bytes) -> float:
    return -sum(n / len(data) * math.log2(n / len(data)) for n in Counter(data).values())


def test_the_packages_are_those_that_are_described(expected: Expected) -> None:
    assert tuple(sorted(path.name for path in SAMPLES.glob("*.apk"))) == PACKAGES
    assert tuple(sorted(expected["packages"])) == PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_small_and_the_one_that_was_built(package: str, expected: Expected) -> None:
    data = (SAMPLES / package).read_bytes()
    assert len(data) < 3_000_000
    assert hashlib.sha256(data).hexdigest() == expected["package_sha256"][package]


@pytest.mark.parametrize("package", APPS)
def test_every_file_that_is_described_is_in_its_package(package: str, expected: Expected) -> None:
    for file in expected["packages"][package]["files"]:
        data = read(package, file["member"])
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["size_bytes"], file["sha256"])


@pytest.mark.parametrize("package", APPS)
def test_an_app_has_a_signature_code_and_the_libraries_described(
    package: str, expected: Expected
) -> None:
    facts = expected["packages"][package]
    with zipfile.ZipFile(SAMPLES / package) as archive:
        names = archive.namelist()
        code = archive.read("classes.dex")
    assert {"AndroidManifest.xml", "resources.arsc", "META-INF/SAMPLE.RSA"} <= set(names)
    assert b"APK Sig Block 42" in (SAMPLES / package).read_bytes()
    assert sorted(n for n in names if n.startswith("lib/")) == sorted(facts["libraries"])
    assert facts["classes"]
    for name in facts["classes"]:
        assert name.encode() in code


def test_the_apps_hold_models_of_three_frameworks(expected: Expected) -> None:
    files = [file for package in expected["packages"].values() for file in package["files"]]
    assert {file["framework"] for file in files} == {"tflite", "onnx", "ncnn"}
    assert {file["kind"] for file in files} == {"model", "weights", "encrypted"}
    assert expected["packages"]["cloud.apk"]["files"] == []


def test_the_broken_package_is_not_a_zip() -> None:
    assert not zipfile.is_zipfile(SAMPLES / "broken.apk")


def test_duplicates_have_equal_bytes_in_two_apps_under_two_names(expected: Expected) -> None:
    for places in expected["duplicates"]:
        assert len({read(**place) for place in places}) == 1
        assert len({place["package"] for place in places}) == len(places) == 2
        assert len({place["member"].rpartition("/")[2] for place in places}) == 2


def test_a_fine_tuned_sibling_differs_from_its_base_in_one_layer_only(expected: Expected) -> None:
    for pair in expected["siblings"]:
        base, tuned = read(**pair["base"]), read(**pair["fine_tuned"])
        assert len(base) == len(tuned)
        assert base != tuned
        different = sum(a != b for a, b in zip(base, tuned, strict=True))
        # The last layer: 160 weights and a bias for each of 16 classes, 4 bytes each.
        assert different <= (160 + 1) * 16 * 4
        assert (pair["shared_tensors"], pair["different_tensors"]) == (52, 2)


def test_models_under_misleading_names_carry_their_signatures(expected: Expected) -> None:
    cache, font = (read(**place) for place in expected["misleading"])
    assert cache[4:8] == b"TFL3"
    assert b"pytorch" in font[:32]


def test_the_encrypted_model_looks_like_noise(expected: Expected) -> None:
    for place in expected["encrypted"]:
        data = read(**place)
        assert place["member"].endswith(".tflite")
        assert len(data) % 16 == 0
        assert entropy_bits(data) > 7.99


def test_every_place_that_is_singled_out_is_a_described_file(expected: Expected) -> None:
    described = {
        (package, file["member"])
        for package, facts in expected["packages"].items()
        for file in facts["files"]
    }
    places = [
        *expected["quantized"],
        *expected["misleading"],
        *expected["encrypted"],
        *expected["nested"],
        *(place for group in expected["duplicates"] for place in group),
        *(pair[role] for pair in expected["siblings"] for role in ("base", "fine_tuned")),
    ]
    assert {(place["package"], place["member"]) for place in places} <= described
    assert all("!/" in place["member"] for place in expected["nested"])

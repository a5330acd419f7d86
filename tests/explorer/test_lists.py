"""Search, filters, order and pages of the lists of apps, models and experiments."""

from pathlib import Path

import pytest
import synthetic
from starlette.testclient import TestClient

from gaugenn.explorer import application
from gaugenn.records import App, PackageKind
from gaugenn.store import Study
from tests.explorer.pages import ADDRESS, open_page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=Beauty", {"Beauty Mirror"}),
        ("q=org.example.bank", {"First Bank"}),
        (f"q={synthetic.sha('shop')[:20]}", {"Corner Shop"}),
        ("q=example+clear", {"Clear Camera"}),
        ("refused=encrypted&q=org.example", {"First Bank"}),
        ("format=onnx&q=org.example.", {"Swift Keys", "Corner Shop"}),
        ("task=detection&runtime=tflite", {"Clear Camera"}),
        ("kind=aab", {"Swift Keys"}),
        ("snapshot=day-1", {"Clear Camera"}),
        ("q=no-such-app", set()),
    ],
)
def test_apps_are_found_and_narrowed(client: TestClient, query: str, found: set[str]) -> None:
    page = open_page(client, f"/apps?{query}")
    shown = set(page.column("Apps", "App")) if found else set()
    assert shown == found
    assert f"{len(found)} package" in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=mobilenet-v2+pets", {"pets.tflite"}),
        ("q=org.example.keyboard", {"encoder.onnx", "keyword.onnx"}),
        ("q=yolo&format=ncnn", {"yolo.param", "liveness.param"}),
        (f"q={synthetic.model('encoder.onnx').sha256[:16]}", {"encoder.onnx"}),
        ("precision=int8&engine=litert", {"mobilenet_v2_int8.tflite"}),
        ("quantization=weight-only", {"pets.tflite"}),
        ("snapshot=day-2&format=ncnn&task=detection", {"yolo.param"}),
        ("engine=onnxruntime", {"encoder.onnx", "keyword.onnx"}),
    ],
)
def test_models_are_found_and_narrowed(client: TestClient, query: str, found: set[str]) -> None:
    page = open_page(client, f"/models?{query}")
    assert set(page.column("Models", "Model")) == found


def test_a_list_is_in_the_order_that_is_asked_for(client: TestClient) -> None:
    rising = open_page(client, "/models?q=org.example&sort=macs").column("Models", "MACs")
    falling = open_page(client, "/models?q=org.example&sort=-macs").column("Models", "MACs")
    assert rising[0] == "2.60 M"
    assert falling[0] == "3.40 G"
    assert rising[-1] == falling[-1] == "\N{EN DASH}", "what is not known comes last either way"
    usual = open_page(client, "/models?q=org.example&sort=nonsense;--").column("Models", "Apps")
    assert usual == sorted(usual, reverse=True)


def test_a_heading_says_and_turns_the_order(client: TestClient) -> None:
    page = open_page(client, "/models?q=org.example&sort=-macs")
    headings = {a["aria-sort"] for tag, a in page.tags if tag == "th" and "aria-sort" in a}
    assert headings == {"descending"}
    assert "?q=org.example&sort=macs" in page.links


def test_a_long_list_has_pages_that_keep_what_was_asked_for(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    study.write(
        App(
            path=f"apps/{number:03}.apk",
            app_sha256=synthetic.sha(f"app {number}"),
            size_bytes=number,
            modified_ns=number,
            kind=PackageKind.APK,
            package=f"org.example.app{number:03}",
        )
        for number in range(120)
    )
    with TestClient(application(study), base_url=ADDRESS) as client:
        seen = []
        address = "/apps?q=org.example&sort=package"
        for number in (1, 2, 3):
            page = open_page(client, address)
            assert f"Page {number} of 3" in page.text
            seen += page.column("Apps", "Package")
            address = "/apps" + next(
                (a["href"] or "" for tag, a in page.tags if tag == "a" and a.get("rel") == "next"),
                "",
            )
        assert address == "/apps", "the last page has no next one"
        assert seen == [f"org.example.app{number:03}" for number in range(120)]
        for odd in ("-3", "99999999999999", "x", "\N{SUPERSCRIPT TWO}"):
            open_page(client, f"/apps?page={odd}")


def test_experiments_are_listed_with_interval_and_verdict(client: TestClient) -> None:
    page = open_page(client, "/experiments?engine=litert&sort=latency_s")
    assert page.column("Experiments", "Model")[0] == "face_detection.tflite"
    first = page.column("Experiments", "Latency [95 % interval]")[0]
    assert first.startswith("2.04 ms [1.90, 2.18], n = 5")
    verdicts = page.column("Experiments", "Verdict")
    failed = page.column("Experiments", "Good launches").index("0 of 1")
    assert verdicts[failed] == "invalid"


def test_what_is_added_to_a_study_is_shown_without_a_restart(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    with TestClient(application(study), base_url=ADDRESS) as client:
        assert "0 packages" in open_page(client, "/apps").text
        study.write(synthetic.app_rows())
        assert open_page(client, "/apps?q=camera").column("Apps", "App") == ["Clear Camera"]
        study.compact()
        open_page(client, "/apps?q=camera")

"""What the pages of one app, model, device and experiment say, against what was planted."""

import hashlib

import pytest
import synthetic
from starlette.testclient import TestClient

from gaugenn.analysis.verdict import RULES
from gaugenn.store import Study
from tests.explorer.pages import open_page

MOBILENET = synthetic.model("mobilenet_v2.tflite").sha256
PETS = synthetic.model("mobilenet_v2_pets.tflite").sha256
HOST = hashlib.sha256(b"host").hexdigest()


def job(name: str, engine: str, threads: int = 1) -> str:
    return synthetic.job(name, engine, threads).job_sha256


def test_the_overview_counts_and_leads_on(client: TestClient) -> None:
    page = open_page(client, "/")
    assert dict(page.rows("Distinct models by format"))["ncnn"] == "3"
    assert dict(page.rows("Packages with files that are no model"))["encrypted"] == "2"
    assert "/models?format=ncnn" in page.links
    assert "/apps?refused=encrypted" in page.links
    assert "2 failures recorded" in page.text
    for link in {link for link in page.links if link.startswith("/") and "/sql" not in link}:
        open_page(client, link)


def test_an_app_shows_its_models_evidence_refused_files_and_history(client: TestClient) -> None:
    page = open_page(client, f"/apps/{synthetic.sha('camera')}")
    assert page.facts["Package"] == "org.example.camera"
    assert page.facts["Lies at"] == "apps/camera.apk; apps/copy/camera.apk"
    assert set(page.column("Models", "File")) == {
        member for model in synthetic.MODELS for app, member in model.places if app == "camera"
    }
    standing = dict(
        zip(page.column("What it uses", "Uses"), page.rows("What it uses"), strict=True)
    )
    assert standing["tflite"][3] == "confirmed"
    assert ["nnapi 0", "nnapi", "accelerator", "string", "classes.dex", "weak", "\N{EN DASH}"] in (
        page.rows("Evidence")
    )
    assert page.column("History", "Snapshot") == ["day-1", "day-2"]
    assert page.column("History", "New models") == ["\N{EN DASH}", "0"]
    refused = open_page(client, f"/apps/{synthetic.sha('bank')}")
    kinds = refused.column("Candidate files that are no model that could be read", "Kind")
    assert kinds == ["encrypted", "encrypted"]


def test_a_real_package_shows_its_permissions(client: TestClient) -> None:
    listed = open_page(client, "/apps?q=com.example.gaugenn.camera")
    (address,) = {link for link in listed.links if link.startswith("/apps/")}
    page = open_page(client, address)
    assert "android.permission.CAMERA" in page.text


def test_a_model_shows_costs_shippers_experiments_and_relatives(client: TestClient) -> None:
    page = open_page(client, f"/models/{MOBILENET}")
    assert page.facts["Parameters"] == "3.50 M"
    assert page.facts["MACs (1 MAC = 2 FLOPs)"] == "300 M"
    assert page.column("Who ships it", "Package") == [
        "org.example.beauty",
        "org.example.camera",
        "org.example.shop",
    ]
    assert len(page.rows("Costs per layer")) == 30
    runs = page.rows("How it runs")
    assert [row[1] for row in runs][:2] == ["litert 2.3.0, 2 threads", "litert 2.3.0, 1 thread"]
    assert page.column("Same architecture", "Model") == ["pets.tflite"]
    assert page.column("Fine-tuned relatives", "Model") == ["pets.tflite"]
    assert page.column("Fine-tuned relatives", "Layers in common") == ["7"]
    assert page.column("Fine-tuned relatives", "Shared, %") == ["87.5"]
    assert "Copies in other formats" not in page.tables
    assert '"chart-layers"' in client.get(f"/models/{MOBILENET}").text


def test_copies_in_another_format_are_found(client: TestClient) -> None:
    page = open_page(client, f"/models/{synthetic.model('liveness.param').sha256}")
    assert page.column("Copies in other formats", "Model") == ["face_detection.tflite"]
    assert page.column("Copies in other formats", "Shared, %") == ["100.0"]


def test_relatives_are_those_that_the_report_finds(client: TestClient, study: Study) -> None:
    from gaugenn.analysis.lineage import trace
    from gaugenn.records import LayerRecord, ModelRecord

    found = trace(study.rows(ModelRecord), study.rows(LayerRecord))
    names = {}
    for address in open_page(client, "/models").links:
        if address.startswith("/models/"):
            names[address.rpartition("/")[2]] = open_page(client, address)
    pairs = {frozenset((pair.first, pair.second)) for pair in found.siblings}
    copies = {frozenset((pair.first, pair.second)) for pair in found.copies}
    assert pairs
    assert copies
    for title, expected in (("Fine-tuned relatives", pairs), ("Copies in other formats", copies)):
        shown = {
            frozenset((digest, next(d for d in names if d.startswith(other))))
            for digest, page in names.items()
            if title in page.tables
            for other in (cell[:12] for cell in page.column(title, "SHA-256"))
        }
        assert shown == expected


def test_a_device_shows_environments_and_experiments(client: TestClient) -> None:
    assert f"/devices/{HOST}" in open_page(client, "/devices").links
    page = open_page(client, f"/devices/{HOST}")
    assert page.column("Environments", "Processor") == ["Example Processor 3000"]
    planned = len(synthetic.LATENCIES_MS) + len(synthetic.FAILED_JOBS) + 1
    assert len(page.rows("Experiments")) == planned
    assert page.facts["Experiments"] == str(planned)


def test_an_experiment_shows_every_launch_and_why_its_verdict(client: TestClient) -> None:
    page = open_page(client, f"/experiments/{job('yolo.param', 'ncnn')}")
    assert page.column("Every launch", "Latency, median") == [
        "150 ms",
        "180 ms",
        "120 ms",
        "210 ms",
        "160 ms",
    ]
    assert page.facts["Launches: good, tried, planned"] == "5, 5, 5"
    for rule in RULES:
        assert (f"{rule.reason}: {rule.meaning}" in page.text) == (
            rule.reason in ("ci_wide", "repeats_differ", "background_load")
        )
    refused = open_page(client, f"/experiments/{job('dynamic.onnx', 'onnxruntime')}")
    assert refused.column("Every launch", "Reason") == ["input 'x' has a dynamic size"]


def test_experiments_are_compared_with_ratio_and_interval(client: TestClient) -> None:
    one = job("mobilenet_v2.tflite", "litert")
    two = job("mobilenet_v2.tflite", "litert", 2)
    page = open_page(client, f"/compare?experiment={one}&experiment={two}")
    assert len(page.rows("Experiments")) == 2
    (row,) = page.rows("Over the first that was marked")
    ratio = float(row[3])
    assert ratio == pytest.approx(14.12 / 25.0, abs=0.005)
    low, high = (float(end) for end in row[4].strip("[]").split(","))
    assert low < ratio < high
    assert row[5] == "faster"


def test_experiments_that_cannot_be_compared_say_why(client: TestClient) -> None:
    one, two = job("yolo.param", "ncnn"), job("keyword.onnx", "onnxruntime")
    (row,) = open_page(client, f"/compare?experiment={one}&experiment={two}").rows(
        "Over the first that was marked"
    )
    assert row[3] == "\N{EN DASH}"
    assert row[1:3] == ["keyword.onnx", "yolo.param ncnn==1.0.20250916"]
    assert row[5:7] == ["not compared", "another model, and another engine, version"]


def test_models_are_compared_side_by_side(client: TestClient) -> None:
    page = open_page(client, f"/compare?model={MOBILENET}&model={PETS}")
    assert set(page.column("Models", "Model")) == {"mobilenet_v2.tflite", "pets.tflite"}
    assert page.rows("Costs by class of layers")[0][0] == "activation"
    assert len(page.rows("How they run")) == 4


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/apps/" + "0" * 64, 404),
        ("/models/" + "0" * 64, 404),
        (f"/models/{MOBILENET.upper()}", 404),
        ("/models/..%2f..%2fetc%2fpasswd", 404),
        ("/models/' OR 1=1 --", 404),
        ("/experiments/x", 404),
        ("/devices/x", 404),
        ("/compare?model=x&model=y", 404),
        ("/compare?experiment=x", 404),
        ("/compare?" + "&".join(f"model={n}" for n in range(9)), 400),
        ("/models/" + "0" * 64 + "/graph", 404),
        ("/assets/0/report.css", 404),
        ("/nothing", 404),
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(
    client: TestClient, address: str, status: int
) -> None:
    page = open_page(client, address, status)
    assert "Not this time" in page.text


def test_pages_say_in_words_where_there_is_nothing(client: TestClient) -> None:
    assert "Mark two or more" in open_page(client, "/compare").text
    assert "Only one is marked" in open_page(client, f"/compare?model={PETS}").text

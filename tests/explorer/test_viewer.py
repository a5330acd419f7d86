"""The graph's frame: only with the secret, only the model's own files, and nothing of the site."""

import re

import pytest
from starlette.testclient import TestClient

from gaugenn.store import Study
from tests.explorer.pages import Page, open_page


@pytest.fixture(scope="module")
def landmarks(study: Study) -> str:
    """A real model of two files."""
    with study.connect() as connection:
        rows = connection.execute(
            "SELECT model_sha256 FROM instances WHERE member = 'assets/face/landmarks.param'"
        ).fetchall()
    return str(rows[0][0])


def frame(client: TestClient, model: str) -> str:
    page = Page(client.get(f"/models/{model}/graph").text)
    (found,) = [a for tag, a in page.tags if tag == "iframe"]
    assert found["sandbox"] == "allow-scripts"
    return found["src"] or ""


def test_the_frame_holds_the_viewer_and_knows_the_models_files(
    client: TestClient, study: Study, landmarks: str
) -> None:
    address = frame(client, landmarks)
    text = client.get(address).text
    assert re.findall(r'<meta name="version" content="([^"]*)"', text) == ["0.0.0"]
    assert '<meta name="date"' not in text
    (file,) = re.findall(r'<meta name="file" content="([^"]*)"', text)
    assert file == "data/model.param"
    for name in ("model.param", "model.bin"):
        served = client.get(f"{address}data/{name}")
        with study.connect() as connection:
            ((digest,),) = connection.execute(
                "SELECT sha256 FROM model_files WHERE model_sha256 = ? AND name = ?",
                [landmarks, name],
            ).fetchall()
        assert served.content == study.blobs.path(digest).read_bytes()
        assert served.headers["content-type"] == "application/octet-stream"
    assert client.get(f"{address}view.js").status_code == 200


def test_the_frame_is_shut_in(client: TestClient, landmarks: str) -> None:
    address = frame(client, landmarks)
    answer = client.get(address)
    policy = dict(
        part.partition(" ")[::2] for part in answer.headers["content-security-policy"].split("; ")
    )
    folder = f"http://127.0.0.1{address}"
    assert policy["sandbox"] == "allow-scripts"
    assert policy["default-src"] == policy["form-action"] == "'none'"
    assert policy["connect-src"] == folder
    assert policy["script-src"] == f"{folder} blob:"
    assert policy["frame-ancestors"] == "'self'"


@pytest.mark.parametrize(
    "name",
    [
        "data/nothing.bin",
        "data/../../../etc/passwd",
        "data/%2e%2e/%2e%2e/study.json",
        "data//etc/passwd",
        "data/' OR 1=1 --",
        "server.py",
        "__init__.py",
        "..%2fserver.py",
        "index.html",
        "nothing.js",
    ],
)
def test_the_frame_gets_no_other_file(client: TestClient, landmarks: str, name: str) -> None:
    assert client.get(frame(client, landmarks) + name).status_code == 404


def test_without_the_secret_there_is_nothing(client: TestClient, landmarks: str) -> None:
    good = frame(client, landmarks)
    wrong = good.replace(good.split("/")[2], "x" * 32)
    for name in ("", "view.js", "data/model.param"):
        assert client.get(good + name).status_code == 200
        assert client.get(wrong + name).status_code == 404


def test_a_model_whose_file_is_not_in_the_study_says_so(client: TestClient) -> None:
    import synthetic

    digest = synthetic.model("yolo.param").sha256
    assert "has no file of this model" in open_page(client, f"/models/{digest}/graph").text


def test_a_file_of_another_name_is_given_its_formats_ending(
    client: TestClient, study: Study
) -> None:
    with study.connect() as connection:
        ((model,),) = connection.execute(
            "SELECT model_sha256 FROM instances WHERE member = 'assets/cache.dat'"
        ).fetchall()
    address = frame(client, model)
    (file,) = re.findall(r'name="file" content="([^"]*)"', client.get(address).text)
    assert file == "data/model.dat.tflite"
    assert client.get(address + file).status_code == 200

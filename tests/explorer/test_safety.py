"""Who is answered, what answers may do, and that no name out of a package does anything."""

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic
from starlette.testclient import TestClient

from gaugenn.explorer import application
from gaugenn.records import (
    App,
    AppFile,
    AppRef,
    Download,
    Evidence,
    FileKind,
    JobRecord,
    PackageKind,
)
from gaugenn.store import Record, Study
from tests.explorer.pages import ADDRESS, Page, open_page

TAKEN = "document.title='taken'"
HOSTILE = (
    f'</script><script>{TAKEN}</script><img src=x onerror="{TAKEN}">',
    "\u202egnp.ledom\u202c\u2066",
    "x" * 10_000,
    "two\nlines\r\n\tand a tab \x00\x07\x1b[31m",
    "{{ 7 * 7 }} {% raw %}",
    "'; DROP TABLE page_apps; --",
    "../../../../etc/passwd",
    "javascript:alert(4)",
    "\u2028\u2029\ufeff\u200b",
    f'"\'><svg onload="{TAKEN}">&amp;',
)


def hostile_study(path: Path) -> Study:
    """Every text that a package, a store or a device can choose is hostile."""
    study = Study.create(path)
    rows: list[Record] = []
    for number, name in enumerate(HOSTILE):
        model = synthetic.PlantedModel(
            name=name,
            format="tflite",
            parameters=10 + number,
            macs=100 + number,
            places=(),
            operators=((name, name, 2),),
            weights_dtype=name,
        )
        app = synthetic.sha(f"app {number}")
        planned = replace(
            synthetic.job("liveness.param", "ncnn"),
            model_sha256=model.sha256,
            engine=name,
            device=name,
        )
        rows += [
            App(
                path=name,
                app_sha256=app,
                size_bytes=1,
                modified_ns=number,
                kind=PackageKind.APK,
                package=name,
                label=name,
                version_name=name,
                permissions=(name,),
                features=(name,),
                notes=(name,),
            ),
            AppFile(
                app_sha256=app,
                member=f"{number}/{name}",
                size_bytes=1,
                sha256=model.sha256,
                kind=FileKind.MODEL,
                format="tflite",
                model_sha256=model.sha256,
            ),
            AppFile(
                app_sha256=app,
                member=name,
                size_bytes=1,
                sha256=None,
                kind=FileKind.ENCRYPTED,
                error=name,
            ),
            next(
                replace(row, app_sha256=app, name=name, vendor=name, token=name, member=name)
                for row in synthetic.app_rows()
                if isinstance(row, Evidence)
            ),
            AppRef(
                source=name,
                address=name,
                reference=name,
                listed_at="2024-01-01T00:00:00+00:00",
                snapshot=name,
                title=name,
                categories=(name,),
            ),
            Download(
                snapshot=name,
                source=name,
                address=name,
                reference=name,
                path=name,
                sha256=app,
                size_bytes=1,
                fetched_at=name,
            ),
            *synthetic.model_rows(model),
            JobRecord(job_sha256=planned.job_sha256, job=planned, launches=3),
            *(synthetic.good_launch(planned, launch, 0.002) for launch in range(3)),
            replace(synthetic.ENVIRONMENT, environment_sha256=synthetic.sha(name), device=name),
        ]
    study.write(rows)
    return study


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return hostile_study(tmp_path_factory.mktemp("hostile") / "s")


def every_page(client: TestClient) -> dict[str, str]:
    """Pages that can be reached by links from the menu, at most four of a kind."""
    found: dict[str, str] = {}
    wanted, kinds = ["/", "/apps?q=x", "/models"], dict[str, int]()
    while wanted:
        address = wanted.pop()
        kind = address.partition("?")[0].rstrip("/0123456789abcdef")
        if address in found or kinds.get(kind, 0) >= 4 or address.startswith("/sql"):
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        answer = client.get(address)
        assert answer.status_code == 200, address
        found[address] = answer.text
        for link in Page(answer.text).links:
            assert link.startswith(("/", "?", "#")), link
            if link.startswith("/"):
                wanted.append(link)
    return found


def test_hostile_names_are_shown_and_do_nothing(hostile: Study) -> None:
    with TestClient(application(hostile), base_url=ADDRESS) as client:
        pages = every_page(client)
        assert {a.rstrip("/0123456789abcdef") for a in pages} >= {
            "/apps",
            "/models",
            "/devices",
            "/experiments",
        }
        for address, text in pages.items():
            page = Page(text)
            scripts = [a for tag, a in page.tags if tag == "script"]
            inert = [a for a in scripts if a.get("type") == "application/json"]
            assert len(inert) == 1, address
            assert all(
                (a.get("src") or "").startswith("/assets/") for a in scripts if a not in inert
            )
            assert not {"img", "svg"} & {tag for tag, _ in page.tags}, address
            assert not [n for _, a in page.tags for n in (*a, *a.values()) if n and n == TAKEN]
            assert not [name for _, a in page.tags for name in a if name.startswith("on")]
            assert not set("\u202e\u202c\u2066\u2028\u2029\ufeff\u200b\x00\x07\x1b") & set(text)
            assert "{{ 7" not in text or "49" not in page.text
            assert len(text) < 600_000
        listed = open_page(client, "/apps").column("Apps", "Package")
        assert sum("DROP TABLE" in name for name in listed) == 1
        assert sum(name.startswith("\\u202egnp") for name in listed) == 1


def test_a_hostile_value_can_be_filtered_by(hostile: Study) -> None:
    with TestClient(application(hostile), base_url=ADDRESS) as client:
        for heading, shown in (
            ("category", "'; DROP TABLE page_apps; --"),
            ("snapshot", "javascript:alert(4)"),
        ):
            page = Page(client.get("/apps", params={heading: shown}).text)
            assert len(page.rows("Apps")) == 1
        assert len(open_page(client, "/apps").rows("Apps")) == len(HOSTILE)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8160", 200),
        ("localhost:8160", 200),
        ("LOCALHOST", 200),
        ("[::1]:8160", 200),
        ("rebound.example", 421),
        ("rebound.example:8160", 421),
        ("127.0.0.1.rebound.example", 421),
        ("localhost.rebound.example", 421),
        ("localhost;script-src *", 421),
        ("192.0.2.7", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
def test_only_names_of_loopback_are_answered(client: TestClient, host: str, status: int) -> None:
    assert client.get("/compare", headers={"host": host}).status_code == status


def test_another_address_is_answered_by_its_numbers_and_given_names_only(study: Study) -> None:
    with TestClient(
        application(study, names=("Lab.Example",), literal=True), base_url=ADDRESS
    ) as client:
        answers = {
            host: client.get("/compare", headers={"host": host}).status_code
            for host in ("192.0.2.7:1", "[2001:db8::1]:1", "lab.example", "rebound.example")
        }
        assert list(answers.values()) == [200, 200, 200, 421]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reading_is_answered(client: TestClient, method: str) -> None:
    answer = client.request(method, "/models")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("address", "mode", "dest", "status"),
    [
        ("/models", "navigate", "document", 200),
        ("/models", "navigate", "iframe", 403),
        ("/models", "no-cors", "script", 403),
        ("/models", "cors", "empty", 403),
        ("/sql?q=select+1", "navigate", "document", 403),
    ],
)
def test_other_sites_may_link_but_not_load_or_query(
    client: TestClient, address: str, mode: str, dest: str, status: int, site: str
) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert client.get(address, headers=headers).status_code == status


def test_every_answer_carries_the_headers(client: TestClient) -> None:
    for address in ("/", "/nothing", "/assets/0/x", "/sql?q=nonsense"):
        for answer in (client.get(address), client.get(address, headers={"host": "x.example"})):
            policy = dict(
                part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
            )
            assert policy["default-src"] == "'none'"
            assert policy["script-src"] == policy["style-src"] == "'self'"
            assert policy["frame-ancestors"] == "'none'"
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_an_error_of_ours_is_a_page_without_its_details(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gaugenn.explorer.compare import Compare

    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Compare, "_show", broken)
    with TestClient(application(study), base_url=ADDRESS, raise_server_exceptions=False) as client:
        answer = client.get("/compare")
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_damaged_study_is_said_to_be_damaged(tmp_path: Path) -> None:
    study = synthetic.study(tmp_path / "s")
    part = next((study.path / "tables" / "apps").iterdir())
    part.write_bytes(b"no Parquet")
    with TestClient(application(study), base_url=ADDRESS) as client:
        assert "cannot be read" in open_page(client, "/apps", 503).text


def test_a_part_that_goes_away_under_a_page_costs_that_page_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = synthetic.study(tmp_path / "s")
    model = synthetic.MODELS[0].sha256
    with TestClient(application(study), base_url=ADDRESS) as client:
        open_page(client, f"/models/{model}")
        before = study.part_names()
        parts = iter([before])
        monkeypatch.setattr(Study, "part_names", lambda _: next(parts, ("changed",)))
        (part,) = (study.path / "tables" / "layers").iterdir()
        held = part.read_bytes()
        part.unlink()
        assert "cannot be read" in open_page(client, f"/models/{model}", 503).text
        part.write_bytes(held)
        open_page(client, f"/models/{model}")

"""A study that is given away: what it says of itself, and what it must not tell."""

import getpass
import json
import platform
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gaugenn import api
from gaugenn.cli import cli
from gaugenn.errors import StoreError, UsageError
from gaugenn.publication import _copy
from gaugenn.publication._privacy import Redaction
from gaugenn.records import (
    App,
    AppFile,
    Crawl,
    Environment,
    Failure,
    FileKind,
    Job,
    JobRecord,
    LayerRecord,
    ModelFile,
    ModelRecord,
    PackageKind,
    Run,
    RunStatus,
    Variable,
    digest,
)
from gaugenn.store import TABLES, Study

FOLDER = "/home/ada.lovelace/secret-project/apps"
DEVICE = "R58M12ABCDE"
BOARD = "ada@board.example.internal"
PLANTED = "k9s8d7f6g5h4j3k2"
MODEL = b"a model's bytes"
PRIVATE = (
    FOLDER,
    "secret-project",
    "lovelace",
    "ada@",
    "ada:",
    DEVICE,
    BOARD,
    PLANTED,
    "hunter2hunter2",
    "/srv/tools",
)


@pytest.fixture
def private(tmp_path: Path) -> Study:
    """A study in which everything that gaugenn writes down names something private."""
    made = Study.create(tmp_path / "study")
    model = digest("model")
    made.blobs.put(memoryview(MODEL), model)
    app = App(
        path=f"{FOLDER}/camera.apk",
        app_sha256=digest("camera"),
        size_bytes=1,
        modified_ns=1,
        kind=PackageKind.APK,
        package="org.example.camera",
    )
    job = Job(
        model_sha256=model,
        format="tflite",
        engine="litert",
        engine_version="2.3.0",
        device=DEVICE,
    )
    environment = Environment(
        environment_sha256=digest("environment"),
        device=BOARD,
        device_kind="ssh",
        operating_system="Debian",
        kernel="6",
        architecture="aarch64",
        processor_model="A53",
        logical_cores=4,
        memory_bytes=None,
        maximum_frequency_hz=None,
        governor=None,
        gaugenn_version="0.1.0",
    )
    made.write(
        [
            app,
            replace(app, path=f"{FOLDER}/b/other.apk", app_sha256=digest("other")),
            Crawl(
                snapshot="spring",
                source="fdroid",
                address="https://ada:hunter2hunter2@store.example/repo",
                query=f"apikey={PLANTED} top",
                started_at="2024-03-01T00:00:00+00:00",
                gaugenn_version="0.1.0",
            ),
            AppFile(
                app_sha256=app.app_sha256,
                member="assets/model.tflite",
                size_bytes=len(MODEL),
                sha256=model,
                kind=FileKind.MODEL,
                format="tflite",
                model_sha256=model,
            ),
            ModelFile(
                model_sha256=model,
                position=0,
                name="model.tflite",
                sha256=model,
                size_bytes=len(MODEL),
                format="tflite",
            ),
            ModelRecord(
                model_sha256=model, kind=FileKind.MODEL, format="tflite", size_bytes=len(MODEL)
            ),
            LayerRecord(
                model_sha256=model,
                graph=0,
                position=0,
                name="/features/0/Conv",
                operator="Conv",
                source_operator="Conv",
                macs=1,
                flops=2,
                elementwise_operations=0,
                parameters=0,
                weights_bytes=0,
                output_shape=None,
                output_bytes=None,
            ),
            environment,
            JobRecord(job_sha256=job.job_sha256, job=job, launches=1),
            Run(
                job_sha256=job.job_sha256,
                launch=0,
                status=RunStatus.CRASHED,
                reason=f"cannot open {FOLDER}/camera.apk on {DEVICE}",
                timings=None,
                started_at="2024-06-01T00:00:00+00:00",
                wall_s=1.0,
                load_average=None,
                environment_sha256=environment.environment_sha256,
                argv=("/srv/tools/venv/bin/python", "/usr/bin/env", "--model=/srv/tools/m.tflite"),
                log_tail=f"Authorization: Bearer {PLANTED}\nssh {BOARD} failed",
                variables=(Variable(name="HOME", value="/home/ada.lovelace"),),
            ),
            Failure(
                stage="scan",
                subject=f"{FOLDER}/b/broken.apk",
                error="PermissionError",
                message=f"[Errno 13] {FOLDER}/b/broken.apk",
                transient=False,
            ),
        ]
    )
    return made


def everything(folder: Path) -> str:
    """All text that a published folder holds, read without gaugenn's own cleaning."""
    study = Study(folder)
    texts = [str(part.to_pylist()) for record in TABLES for part in study.written(record)]
    files = [path for path in folder.iterdir() if path.suffix in {".md", ".cff", ".html", ".json"}]
    return "\n".join([*texts, *(path.read_text() for path in files)])


def test_a_published_study_names_no_folder_person_device_or_credential(
    private: Study, tmp_path: Path
) -> None:
    before = everything(private.path)
    assert all(text in before for text in PRIVATE), "the plant is there to be removed"
    api.publish(private.path, tmp_path / "out", authors=["An Author"])
    text = everything(tmp_path / "out")
    for private_text in (*PRIVATE, str(tmp_path), str(Path.home()) + "/"):
        assert private_text not in text, private_text
    for name in (getpass.getuser(), platform.node()):
        assert len(name) < 8 or name not in text


def test_what_is_replaced_is_replaced_alike_and_the_rest_stays(
    private: Study, tmp_path: Path
) -> None:
    api.publish(private.path, tmp_path / "out")
    paths = api.query(tmp_path / "out", "SELECT path FROM apps ORDER BY path").column(0).to_pylist()
    assert [path.partition("/")[2] for path in paths] == ["camera.apk", "other.apk"]
    assert len({path.partition("/")[0] for path in paths}) == 2
    run = api.query(tmp_path / "out", "SELECT * FROM runs").to_pylist()[0]
    device = api.query(tmp_path / "out", "SELECT job.device FROM jobs").column(0).to_pylist()[0]
    assert run["reason"] == f"cannot open {paths[0]} on {device}"
    assert run["argv"] == ["local/python", "/usr/bin/env", "--model=local/m.tflite"]
    names = api.query(tmp_path / "out", "SELECT name FROM layers").column(0).to_pylist()
    assert names == ["/features/0/Conv"], "a layer's name is no path of this machine"
    old, new = (
        api.query(p, "SELECT * FROM models").to_pylist() for p in (private.path, tmp_path / "out")
    )
    assert old == new
    (address,) = api.query(tmp_path / "out", "SELECT address FROM crawls").column(0).to_pylist()
    assert address == "https://store.example/repo"


def test_a_device_named_like_a_word_changes_nothing_that_packages_say(
    private: Study, tmp_path: Path
) -> None:
    job = Job(
        model_sha256=digest("model"),
        format="tflite",
        engine="litert",
        engine_version="2.3.0",
        device="assets",
    )
    private.write([JobRecord(job_sha256=job.job_sha256, job=job, launches=1)])
    api.publish(private.path, tmp_path / "out")
    members = api.query(tmp_path / "out", "SELECT member FROM files").column(0).to_pylist()
    assert members == ["assets/model.tflite"]
    devices = api.query(tmp_path / "out", "SELECT job.device FROM jobs").column(0).to_pylist()
    assert all(device.startswith("device-") for device in devices)


def test_models_are_copied_only_where_wanted(private: Study, tmp_path: Path) -> None:
    api.publish(private.path, tmp_path / "with")
    api.publish(private.path, tmp_path / "without", with_models=False)
    held = [path for path in (tmp_path / "with" / "blobs").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in held] == [MODEL]
    assert not [path for path in (tmp_path / "without" / "blobs").rglob("*") if path.is_file()]
    assert "blobs/" in (tmp_path / "with" / "README.md").read_text()
    assert "The models' files; `models`" in (tmp_path / "without" / "README.md").read_text()


def test_a_leak_stops_the_publication_and_leaves_nothing(
    private: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_copy, "_walked", _look_only)
    with pytest.raises(StoreError, match=r"something private is left in apps\.path"):
        api.publish(private.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def _look_only(value: object, clean: object) -> object:
    """Does not clean, yet looks: what a table would hold if a column were forgotten."""
    if isinstance(value, str) and getattr(clean, "__name__", "") == "look":
        assert callable(clean)
        clean(value)
    return value


def test_a_folder_with_files_is_not_written_into(private: Study, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(UsageError, match="holds other files"):
        api.publish(private.path, tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_a_citation_is_valid_and_names_what_was_given(private: Study) -> None:
    found = yaml.safe_load(
        api.citation(
            private.path,
            authors=["Ada: Lovelace #1", "Charles Babbage"],
            title='A "census": #1',
            licence="CC-BY-4.0",
        )
    )
    assert found["cff-version"] == "1.2.0"
    assert found["title"] == 'A "census": #1'
    assert found["authors"] == [{"name": "Ada: Lovelace #1"}, {"name": "Charles Babbage"}]
    assert (found["type"], found["license"]) == ("dataset", "CC-BY-4.0")
    assert found["date-released"] == "2024-06-01"
    assert "2 app packages: 1 model instances" in found["abstract"]
    assert found["references"][0]["version"] == "0.1.0"


def test_nothing_is_cited_without_an_author(private: Study) -> None:
    with pytest.raises(UsageError, match="--author"):
        api.citation(private.path, authors=[])


def test_a_card_states_provenance_counts_and_that_licences_are_not_known(private: Study) -> None:
    card = api.dataset_card(private.path, title="Apps | <b>of spring</b>", licence="CC0-1.0")
    assert card.startswith("# Apps \\| \\<b\\>of spring\\</b\\>\n")
    for line in (
        "| distinct app packages | 2 |",
        "| model instances | 1 |",
        "| tflite | 1 |",
        "| spring | fdroid https://store.example/repo |",
        "Licence of the tables: CC0-1.0.",
        "Licences of apps and models: **not known**",
        "| apps | 2 |",
        "1 failures have rows",
        "2024-03-01 to 2024-06-01",
    ):
        assert line in card, line
    assert PLANTED not in card


def test_an_empty_study_has_a_card(tmp_path: Path) -> None:
    Study.create(tmp_path / "s")
    card = api.dataset_card(tmp_path / "s")
    assert "No crawl is recorded" in card
    assert "Authors: not stated." in card


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://u:p@h/x?token=abc&q=1", "https://h/x?token=removed&q=1"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer removed"),
        ("/home/ada/x/y.apk", "local/y.apk"),
        ("HOME=/home/ada and '/Users/eve'", "HOME=local and 'local'"),
        ("/usr/lib/libc.so and /proc/stat stay", "/usr/lib/libc.so and /proc/stat stay"),
        ("/data/local/tmp/model", "/data/local/tmp/model"),
        ("a/home/x", "a/home/x"),
        ("/apps-of-mine/b/c.apk", "folder-1/c.apk"),
        ("S1 is too short inside text", "S1 is too short inside text"),
        ("S1", "device-2"),
        ("serial ABCD1234, not XABCD1234", "serial device-1, not XABCD1234"),
    ],
)
def test_text_is_cleaned_once_and_for_all(text: str, clean: str) -> None:
    redaction = Redaction(["/apps-of-mine/b"], ["ABCD1234", "S1"])
    assert redaction.text(text) == clean
    assert redaction.text(clean) == clean
    assert not redaction.leaks(clean)


def test_a_published_study_can_be_published_again(private: Study, tmp_path: Path) -> None:
    api.publish(private.path, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "blobs")
    api.publish(tmp_path / "out", tmp_path / "again")
    query = "SELECT path FROM apps ORDER BY path"
    assert api.query(tmp_path / "again", query) == api.query(tmp_path / "out", query)


def test_the_command_line_writes_card_citation_and_copy(private: Study, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = CliRunner().invoke(cli, ["export", str(private.path), *arguments])
        assert done.exit_code == 0, done.output
        return done.output

    card = run("--format", "dataset-card", "--licence", "CC0-1.0", "--without-models")
    assert "Licence of the tables: CC0-1.0." in card
    assert "The models' files; `models`" in card
    citation = tmp_path / "CITATION.cff"
    assert run("--format", "citation", "--author", "A B", "--to", str(citation)) == f"{citation}\n"
    assert yaml.safe_load(citation.read_text())["authors"] == [{"name": "A B"}]
    out = tmp_path / "out"
    assert run("--format", "study", "--to", str(out), "--author", "A B") == f"{out}\n"
    assert {"README.md", "CITATION.cff", "report.html"} <= {path.name for path in out.iterdir()}
    refused = CliRunner().invoke(cli, ["export", str(private.path), "--format", "study"])
    assert refused.exit_code == 2
    assert "--to FOLDER" in refused.output


def test_names_that_json_escapes_are_replaced_too(private: Study, tmp_path: Path) -> None:
    study = Study.create(tmp_path / 'Jane O"D\u00f8e' / "study")
    order = json.dumps({"paths": [f"{study.path}/journal/m.onnx"]})
    study.write([replace(private.rows(Run)[0], argv=("python", order))])
    (run,) = Study(api.publish(study.path, tmp_path / "copy")).rows(Run)
    (path,) = json.loads(run.argv[1])["paths"]
    assert path.endswith("/journal/m.onnx")
    assert "Jane" not in path


def test_a_copy_that_was_cut_off_is_not_there_and_is_made_anew(
    private: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "copy"
    with monkeypatch.context() as patch:
        patch.setattr(_copy, "write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            api.publish(private.path, to)
    assert not to.exists()
    left = tmp_path / ".copy.unfinished" / "copy"
    left.mkdir(parents=True)
    (left / "study.json").write_text("{")
    assert api.publish(private.path, to) == to
    assert not left.exists()
    assert "# copy" in (to / "README.md").read_text()


def test_a_copy_does_not_lie_in_its_study(private: Study) -> None:
    with pytest.raises(UsageError, match="lies in the study"):
        api.publish(private.path, private.path / "copy")


@pytest.mark.parametrize("authors", [("",), ("Ada", "  ")])
def test_an_author_has_a_name(private: Study, authors: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="needs a name"):
        api.citation(private.path, authors=authors)


def test_a_licence_is_an_spdx_expression(private: Study) -> None:
    with pytest.raises(UsageError, match="SPDX"):
        api.citation(private.path, authors=("Ada",), licence="not a licence")
    text = api.citation(private.path, authors=("Ada",), licence="CC-BY-4.0 OR MIT")
    assert "CC-BY-4.0 OR MIT" in text

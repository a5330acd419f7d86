"""Builds: cached, recorded, refused. The exporters' environment is a program that obeys a test."""

import json
import signal
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gaugenn.engines._environments import Installation
from gaugenn.pipeline.zoo import file_facts
from gaugenn.records import BuildStatus, TensorInfo, ZooBuild
from gaugenn.zoo import _build
from gaugenn.zoo._build import FileFacts, Wanted, build, paths, records, wanted_builds
from gaugenn.zoo._catalogue import models, select
from gaugenn.zoo._order import Variant

INTERPRETER = """#!{python}
# Stands for the environment's Python: obeys behaviour.json, notes what it was asked.
import json, os, sys, time
order = json.load(open(sys.argv[-1]))
here = os.path.dirname(os.path.abspath(__file__))
todo = json.load(open(here + "/behaviour.json"))
with open(here + "/asked.txt", "a") as file:
    file.write(order["action"] + " " + order["format"] + " " + order["runtime"] + "\\n")
if todo.get("signal"):
    print("a converter's last words")
    sys.stdout.flush()
    os.kill(os.getpid(), todo["signal"])
if todo.get("print"):
    print(todo["print"])
if todo.get("hang"):
    time.sleep(1000)
answer = todo["answers"].get(order["runtime"], todo["answers"].get("*", {{}}))
if order["action"] == "export":
    name = order["model"] + "_" + order["variant"] + "." + order["format"]
    open(order["folder"] + "/files/" + name, "w").write(name)
    answer = {{"files": [name], "parameters": 7}}
    if todo.get("refusal"):
        answer = {{"error": todo["refusal"]}}
json.dump(answer, open(order["folder"] + "/answer.json", "w"))
"""

AGREES = {"version": "1", "cosine": 1.0, "maximum_relative_error": 1e-7, "problem": None}
DIFFERS = {"version": "1", "cosine": 0.2, "maximum_relative_error": 1.5, "problem": None}


class Environment:
    """A fake environment."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        program = self.bin / "python"
        program.write_text(INTERPRETER.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.installation = Installation(
            engine="zoo-exporters",
            version="1",
            folder=folder,
            python="3",
            resolved=("onnx==1", "onnxruntime==2", "torch==3", "mnn==4"),
        )
        self.behave()

    def behave(self, **todo: object) -> None:
        todo.setdefault("answers", {"*": AGREES})
        (self.bin / "behaviour.json").write_text(json.dumps(todo))

    @property
    def asked(self) -> list[str]:
        path = self.bin / "asked.txt"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.setenv("GAUGENN_CACHE", str(tmp_path / "cache"))
    return Environment(tmp_path / "environment")


WANTED = Wanted(model=models()["ds_cnn"], format="onnx", variant=Variant.FLOAT32)


def facts(path: Path) -> FileFacts:
    return FileFacts(
        format=path.suffix[1:],
        inputs=(TensorInfo(name="x", dtype="float32", shape=("1", "1", "49", "10")),),
        parameters=5,
        macs=11,
        error=None,
    )


def made(environment: Environment, wanted: Wanted = WANTED, **options: bool) -> ZooBuild:
    return build(wanted, environment.installation, facts, **options)[0]


def test_a_build_is_compared_with_every_library_of_its_format(environment: Environment) -> None:
    record, folder = build(WANTED, environment.installation, facts)
    assert record.status is BuildStatus.ACCEPTED
    assert [a.library for a in record.agreements] == ["onnxruntime", "opencv", "openvino"]
    assert environment.asked == [
        "export onnx ",
        "compare onnx onnxruntime",
        "compare onnx opencv",
        "compare onnx openvino",
    ]
    (file,) = paths(record, folder)
    assert file.read_text() == "ds_cnn_fp32.onnx"
    assert record.packages == ("torch==3", "onnx==1", "onnxruntime==2")
    assert (record.parameters, record.file_parameters, record.file_macs) == (7, 5, 11)
    assert record.peak_memory_bytes is not None
    assert sorted(p.name for p in folder.iterdir()) == ["files", "record.json"]


def test_what_is_built_is_not_built_again_unless_something_that_matters_changed(
    environment: Environment,
) -> None:
    first = made(environment)
    count = len(environment.asked)
    assert made(environment) == first
    assert len(environment.asked) == count
    assert made(environment, replace(WANTED, seed=1)).build_sha256 != first.build_sha256
    newer = replace(environment.installation, resolved=("onnx==9", "onnxruntime==2", "torch==3"))
    assert build(WANTED, newer, facts)[0].build_sha256 != first.build_sha256
    assert len(environment.asked) == 3 * count


def test_a_newer_build_takes_the_place_of_an_older_one(environment: Environment) -> None:
    made(environment)
    newer = made(environment, replace(WANTED, seed=1))
    assert [record for record, _ in records()] == [newer]


def test_one_library_that_disagrees_is_a_gap_and_not_the_end(environment: Environment) -> None:
    environment.behave(answers={"*": AGREES, "opencv": DIFFERS})
    record = made(environment)
    assert record.status is BuildStatus.ACCEPTED
    gaps = {a.library: a.reason for a in record.agreements}
    assert gaps["onnxruntime"] is None
    assert "cosine 0.2" in (gaps["opencv"] or "")


def test_a_file_that_nobody_agrees_with_is_rejected(environment: Environment) -> None:
    environment.behave(answers={"*": DIFFERS, "openvino": {"error": "no such operator"}})
    record = made(environment)
    assert record.status is BuildStatus.REJECTED
    assert "cosine 0.2" in (record.reason or "")
    assert "no such operator" in (record.reason or "")


def test_a_file_with_another_input_size_is_rejected_before_it_is_run(
    environment: Environment,
) -> None:
    def other(path: Path) -> FileFacts:
        sizes = TensorInfo(name="x", dtype="float32", shape=("1", "1", "98", "10"))
        return replace(facts(path), inputs=(sizes,))

    record = build(WANTED, environment.installation, other)[0]
    assert record.status is BuildStatus.REJECTED
    assert "(1, 1, 98, 10)" in (record.reason or "")
    assert environment.asked == ["export onnx "]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"error": "truncated"}, "truncated"),
        ({"format": "tflite"}, "the file is tflite"),
        ({"inputs": ()}, "0 inputs"),
    ],
)
def test_a_file_that_gaugenn_reads_differently_is_rejected(
    environment: Environment, change: dict[str, object], words: str
) -> None:
    def odd(path: Path) -> FileFacts:
        return replace(facts(path), **change)  # type: ignore[arg-type]

    record = build(WANTED, environment.installation, odd)[0]
    assert record.status is BuildStatus.REJECTED
    assert words in (record.reason or "")


def test_a_size_that_the_file_leaves_open_is_left_to_the_comparison(
    environment: Environment,
) -> None:
    def dynamic(path: Path) -> FileFacts:
        sizes = TensorInfo(name="x", dtype="float32", shape=("batch", "1", "49", "10"))
        return replace(facts(path), inputs=(sizes,))

    assert build(WANTED, environment.installation, dynamic)[0].status is BuildStatus.ACCEPTED


def test_a_converters_refusal_is_a_record_and_is_tried_again_only_when_asked(
    environment: Environment,
) -> None:
    environment.behave(refusal="ExportRefusal: no kernel")
    record = made(environment)
    assert (record.status, record.reason) == (BuildStatus.REFUSED, "ExportRefusal: no kernel")
    environment.behave()
    assert made(environment).status is BuildStatus.REFUSED
    assert made(environment, again=True).status is BuildStatus.ACCEPTED
    assert len(list(records())) == 1


def test_what_a_library_printed_before_it_refused_is_part_of_the_reason(
    environment: Environment,
) -> None:
    environment.behave(
        refusal="RuntimeRefusal: cannot load",
        print="layer x is not registered\nTraceback (most recent",
    )
    assert made(environment).reason == "RuntimeRefusal: cannot load (layer x is not registered)"


def test_a_variant_that_the_converter_lacks_starts_no_process(environment: Environment) -> None:
    record = made(environment, replace(WANTED, format="ncnn", variant=Variant.INT8))
    assert record.status is BuildStatus.REFUSED
    assert "ncnn2table" in (record.reason or "")
    assert environment.asked == []


def test_an_exporter_that_starts_from_another_format_builds_that_first(
    environment: Environment,
) -> None:
    record = made(environment, replace(WANTED, format="mnn", variant=Variant.FLOAT16))
    assert record.status is BuildStatus.ACCEPTED
    assert [line for line in environment.asked if line.startswith("export")] == [
        "export onnx ",
        "export mnn ",
    ]
    assert {(r.format, r.variant) for r, _ in records()} == {("onnx", "fp32"), ("mnn", "fp16")}


def test_what_starts_from_a_format_that_is_not_there_says_so(environment: Environment) -> None:
    environment.behave(refusal="no")
    record = made(environment, replace(WANTED, format="mnn"))
    assert record.reason == "it starts from onnx, which is not there"


def test_a_converter_that_dies_is_a_record_with_its_last_words(environment: Environment) -> None:
    environment.behave(signal=int(signal.SIGSEGV))
    record = made(environment)
    assert record.status is BuildStatus.CRASHED
    assert record.reason == "it ended by signal 11: a converter's last words"


def test_a_converter_that_hangs_is_ended(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_build, "EXPORT_LIMIT_S", 0.5)
    environment.behave(hang=True)
    record = made(environment)
    assert record.status is BuildStatus.TIMEOUT
    assert "0" in (record.reason or "")


def test_an_interrupted_build_leaves_no_record_and_no_folder(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_build, "_compared", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(environment)
    assert list(records()) == []
    assert list(_build._builds().iterdir()) == []


def test_a_record_that_was_tampered_with_is_no_build(environment: Environment) -> None:
    _, folder = build(WANTED, environment.installation, facts)
    (folder / "record.json").write_text('{"model": 3}')
    assert list(records()) == []
    assert made(environment).status is BuildStatus.ACCEPTED


def test_float32_comes_first_because_others_start_from_it() -> None:
    wanted = wanted_builds(
        select(["ds_cnn", "vgg16"]), ["onnx", "mnn"], [Variant.INT8, Variant.FLOAT32]
    )
    assert [(w.variant, w.model.name, w.format) for w in wanted][:3] == [
        ("fp32", "ds_cnn", "onnx"),
        ("fp32", "ds_cnn", "mnn"),
        ("fp32", "vgg16", "onnx"),
    ]
    assert len(wanted) == 8


def test_what_is_said_of_an_unreadable_file_does_not_name_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(8))
    facts = file_facts(path)
    assert facts.error is not None
    assert "broken.tflite" in facts.error
    assert str(tmp_path) not in facts.error

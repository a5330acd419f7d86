"""`gaugenn recommend` and `gaugenn label` on the planted measurements."""

import json

import planted_bench as plant
import pytest

from gaugenn import api, cli
from gaugenn.errors import UsageError
from gaugenn.store import Study


def test_a_model_is_recommended_for_by_name_file_or_digest(bench_study: Study) -> None:
    by_name = api.recommend(bench_study.path, ["net_h"], device="host")
    assert {row["network"] for row in by_name} == {"net_h"}
    assert {row["device"] for row in by_name} == {"host"}
    assert by_name[0]["way"] == "litert 2.3.0, 1 thread, int8 weights"
    file = plant.planted("net_h", "ncnn")
    for text in (file.name, file.sha256[:8]):
        found = api.recommend(bench_study.path, [text])
        assert {row["library"] for row in found} == {"ncnn 1.0.20250916"}
    every = api.recommend(bench_study.path)
    assert {row["network"] for row in every} == set(plant.NETWORKS)


@pytest.mark.parametrize(
    ("models", "device", "message"),
    [(["nothing"], None, "no valid experiment: nothing; .* net_a"), ([], "adb:X", "on adb:X")],
)
def test_where_nothing_is_valid_it_says_what_there_is(
    bench_study: Study, models: list[str], device: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        api.recommend(bench_study.path, models, device=device)


def test_the_command_says_ties_and_what_is_given_up(
    bench_study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["recommend", str(bench_study.path), "net_h", "--device", "adb:LOW"]) == 0
    _, first, second, third, *_ = capsys.readouterr().out.splitlines()
    assert "fastest, tied" in first
    assert first.endswith("nothing")
    assert "ties with the fastest" in second
    assert "33 % [33, 33]" in third
    assert cli.main(["recommend", str(bench_study.path), "net_h", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 3


def test_devices_get_labels_that_can_be_changed_and_taken_away(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    path = plant.study(tmp_path_factory.mktemp("labels") / "s").path
    assert api.device_labels(path)["adb:LOW"] == {"tier": "low", "generation": "2019"}
    arguments = ["label", str(path), "adb:LOW", "tier=budget", "generation="]
    assert cli.main(arguments) == 0
    assert "adb:LOW  tier=budget" in capsys.readouterr().out
    assert api.device_labels(path)["adb:LOW"] == {"tier": "budget"}
    assert cli.main(["label", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["host"]["tier"] == "high"


@pytest.mark.parametrize(
    ("device", "labels", "message"),
    [
        ("adb:NONE", {"tier": "low"}, "no device 'adb:NONE'; there are: adb:LOW, adb:MID, host"),
        ("host", {"Tier!": "low"}, "expected a name like tier"),
        ("host", {"tier": "a\x1b[31m"}, "printable"),
        ("host", {"tier": "x" * 65}, "up to 64"),
    ],
)
def test_labels_that_are_none_are_refused(
    bench_study: Study, device: str, labels: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        api.label_device(bench_study.path, device, labels)


def test_a_label_without_a_group_is_refused(
    bench_study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["label", str(bench_study.path), "host"]) == 2
    assert cli.main(["label", str(bench_study.path), "host", "tier"]) == 2
    assert "expected NAME=GROUP" in capsys.readouterr().err

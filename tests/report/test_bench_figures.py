"""Figures on measurements, checked against the factors that were planted."""

import math
import statistics
from functools import cache
from pathlib import Path

import numpy as np
import planted_bench as plant
import pytest

from gaugenn import report
from gaugenn.records import Job, JobRecord, Processor
from gaugenn.report._frame import Frame, load
from gaugenn.report.threads import cores
from gaugenn.store import Study

FIGURES = report.figures()
HOST_LINE = "litert 2.3.0, 1 thread"


@cache
def _frames(path: Path) -> dict[str, Frame]:
    speed = {n: f for n, f in FIGURES.items() if f.section is report.Section.SPEED}
    with report.connect(Study(path)) as connection:
        return {n: f.derive(load(connection, f.query, f.limit)) for n, f in speed.items()}


def rows_of(study: Study, name: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = _frames(study.path)[name].rows.to_pylist()
    return rows


def caption_of(study: Study, name: str) -> str:
    return FIGURES[name].caption(_frames(study.path)[name], report.summary(study))


def table_of(study: Study, name: str) -> list[dict[str, str]]:
    table = FIGURES[name].table(_frames(study.path)[name])
    assert table is not None
    titles = [column.title for column in table.columns]
    return [dict(zip(titles, [cell.text for cell in row], strict=True)) for row in table.rows]


def near(value: float) -> object:
    return pytest.approx(value, rel=1e-9)


def test_the_law_of_latency_is_the_least_squares_line_and_its_misses(bench_study: Study) -> None:
    rows = [r for r in rows_of(bench_study, "latency_against_macs") if r["series"] == (
        "ncnn 1.0.20250916, 1 thread"
    )]  # fmt: skip
    assert len(rows) == len(plant.NETWORKS)
    macs = list(plant.NETWORKS.values())
    latencies = [
        plant.base_s(n, "ncnn") * statistics.geometric_mean(plant.NOISE) for n in plant.NETWORKS
    ]
    slope, intercept = np.polyfit(np.log(macs), np.log(latencies), 1)
    residuals = np.log(latencies) - intercept - slope * np.log(macs)
    r_squared = 1 - residuals.var() / np.log(latencies).var()
    for row in rows:
        assert row["law_exponent"] == near(slope)
        assert row["law_r_squared"] == near(r_squared)
        assert row["law_spread"] == near(math.exp(math.sqrt((residuals**2).sum() / 6)))
        assert row["law_farthest"] == near(math.exp(np.abs(residuals).max()))
        assert row["law_n"] == len(plant.NETWORKS)
    (shown,) = [
        r for r in table_of(bench_study, "latency_against_macs")
        if r["Library, settings, device"] == "ncnn 1.0.20250916, 1 thread"
    ]  # fmt: skip
    assert shown["R² on logarithms"] == f"{r_squared:.2f}"


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("latency_by_device", ("host", "adb:MID", "adb:LOW")),
        ("latency_by_tier", ("high", "mid", "low")),
        ("latency_by_generation", ("2021", "2020", "2019")),
    ],
)
def test_distributions_are_over_what_all_groups_have(
    bench_study: Study, name: str, groups: tuple[str, ...]
) -> None:
    common = len(plant.NETWORKS) * len(plant.FORMATS)
    rows = rows_of(bench_study, name)
    noise = statistics.geometric_mean(plant.NOISE)
    for group, (device, factor) in zip(groups, plant.DEVICES.items(), strict=True):
        line = [row for row in rows if row["group"] == group]
        assert len(line) == common
        assert [row["share"] for row in line] == [n / common for n in range(1, common + 1)]
        levels = sorted(
            1e3 * noise * plant.base_s(network, engine, device)
            for network in plant.NETWORKS
            for engine in plant.FORMATS
        )
        assert [row["latency_ms"] for row in line] == [near(level) for level in levels]
        if device != "adb:LOW":  # there some libraries have other factors
            assert line[0]["over"] == near(factor)
    caption = caption_of(bench_study, name)
    alone = len(plant.experiments()) - 1 - common * len(groups)
    assert f"n = {common} models with their settings" in caption
    assert f"; {alone} that only some have" in caption


def test_the_band_is_that_of_dvoretzky_kiefer_and_wolfowitz(bench_study: Study) -> None:
    row = rows_of(bench_study, "latency_by_device")[11]
    reach = math.sqrt(math.log(2 / 0.05) / (2 * 24))
    assert row["share_low"] == near(12 / 24 - reach)
    assert row["share_high"] == near(12 / 24 + reach)


def test_batches_gain_what_was_planted(bench_study: Study) -> None:
    rows = rows_of(bench_study, "batches")
    assert [row["batch"] for row in rows] == list(plant.BATCHES)
    level_s = plant.base_s(plant.BATCHED, "onnxruntime") * statistics.geometric_mean(
        plant.OWN_NOISE
    )
    for row, batch in zip(rows, plant.BATCHES, strict=True):
        assert row["gain"] == near(batch / plant.batch_factor(batch))
        assert row["samples_per_s"] == near(batch / plant.batch_factor(batch) / level_s)
        assert row["samples_per_s_n"] == plant.LAUNCHES


def test_threads_and_cores_gain_what_was_planted(bench_study: Study) -> None:
    rows = {row["placement"]: row for row in rows_of(bench_study, "threads")}
    assert list(rows) == ["1", "2", "4", "4a2"]
    assert rows["1"]["speedup"] is None
    assert rows["2"]["speedup"] == near(1 / plant.THREADS[2])
    assert rows["4"]["speedup"] == near(1 / plant.THREADS[4])
    assert rows["4a2"]["speedup"] == near(1 / plant.PINNED)
    assert rows["4a2"]["speedup_low"] == near(1 / plant.PINNED), "launches took turns"
    assert [name for name, row in rows.items() if row["best"]] == ["4"]


@pytest.mark.parametrize(("affinity", "count"), [("3", 1), ("0-3", 4), ("0,2-3,7", 4)])
def test_cores_are_counted(affinity: str, count: int) -> None:
    assert cores(affinity) == count


def test_another_processor_gains_speed_and_energy_as_planted(bench_study: Study) -> None:
    rows = rows_of(bench_study, "processors")
    assert [row["model"] for row in rows] == list(plant.METERED)
    for row in rows:
        assert row["processor"] == "gpu"
        assert row["speedup"] == near(1 / plant.GPU)
        assert row["efficiency"] == near(
            plant.POWER_W[Processor.CPU] / plant.POWER_W[Processor.GPU]
        )
    assert "litert 2.3.0 on the gpu: 3.00 [3.00, 3.00] over 4 models" in caption_of(
        bench_study, "processors"
    )


def test_energy_power_and_efficiency_are_those_of_the_trace(bench_study: Study) -> None:
    names = ("inference_energy", "inference_power", "efficiency")
    energy, power, efficiency = (rows_of(bench_study, name) for name in names)
    assert len(energy) == len(power) == len(efficiency) == 2 * len(plant.METERED)
    for e, p, f in zip(energy, power, efficiency, strict=True):
        watts = plant.POWER_W[Processor(str(e["processor"]))]
        joules = watts * plant.STEADY_S / plant.SAMPLES
        assert e["energy_mj"] == near(1e3 * joules)
        assert p["average_power_w"] == near(watts)
        assert f["efficiency_mflop_per_j"] == near(2 * float(str(f["macs"])) / 1e6 / (
            plant.POWER_W[Processor(str(f["processor"]))] * plant.STEADY_S / plant.SAMPLES
        ))  # fmt: skip
        assert e["energy_mj_n"] == plant.LAUNCHES


def test_everyday_use_takes_the_charge_that_follows_from_the_energy(bench_study: Study) -> None:
    rows = rows_of(bench_study, "battery")
    assert {row["inferences"] for row in rows} == {54_000.0}
    metered = [row for row in rows if row["meter"] != "not measured"]
    assert len(metered) == 2 * len(plant.METERED)
    watts = plant.POWER_W[Processor.CPU]
    row = next(row for row in metered if "gpu" not in str(row["setting"]))
    mah = 54_000 * watts * plant.STEADY_S / plant.SAMPLES / 3.6 / 3.85
    assert row["charge_mah"] == near(mah)
    assert row["share_percent"] == near(100 * mah / 4000)
    assert row["net_charge_mah"] == near(mah * (watts - plant.IDLE_W) / watts)
    assert row["keeps_up"] == "keeps up"
    slow = [row for row in rows if row["keeps_up"] == "too slow"]
    assert slow
    assert all("adb:LOW" in str(row["setting"]) or "net_h" in str(row["label"]) for row in slow)


def test_libraries_win_tie_and_lose_as_planted(bench_study: Study) -> None:
    rows = {
        (row["model"], row["device"], str(row["library"]).split()[0]): row
        for row in rows_of(bench_study, "fragmentation")
    }
    assert len(rows) == len(plant.NETWORKS) * len(plant.DEVICES) * len(plant.FORMATS)
    for (network, device, library), row in rows.items():
        over_litert = plant.ncnn_over_litert(str(network), str(device))
        if over_litert < 1:
            outcomes = {"ncnn": "fastest", "litert": "slower", "onnxruntime": "slower"}
            assert rows[network, device, "litert"]["ratio"] == near(1 / over_litert)
        else:
            outcomes = {"ncnn": "slower", "litert": "ties", "onnxruntime": "ties"}
            assert rows[network, device, "ncnn"]["ratio"] == near(over_litert)
        assert row["outcome"] == outcomes[str(library)], (network, device, library)
    assert "ncnn 1.0.20250916 8; no single fastest: 16." in caption_of(bench_study, "fragmentation")


def test_libraries_with_two_launches_are_not_called_tied(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    jobs = [plant.job("net_a", engine) for engine in ("litert", "ncnn")]
    study.write(
        [row for e in ("litert", "ncnn") for row in plant._file_rows(plant.planted("net_a", e))]
    )
    for place, job in enumerate(jobs):
        study.write([JobRecord(job_sha256=job.job_sha256, job=job, launches=2)])
        study.write([plant._run(job, launch, 0.01 * (1 + place), place) for launch in range(2)])
    rows = rows_of(study, "fragmentation")
    assert [row["outcome"] for row in rows] == ["too few launches"] * 2
    assert "no single fastest: 1." in caption_of(study, "fragmentation")


def test_the_order_of_libraries_is_kept_on_two_devices_and_half_lost_on_the_third(
    bench_study: Study,
) -> None:
    rows = {(row["first"], row["second"]): row for row in rows_of(bench_study, "rank_stability")}
    assert len(rows) == 3
    kept = rows["adb:MID", "host"]
    assert (kept["tau"], kept["models"], kept["same_best"]) == (near(1.0), 8, 8)
    # On half of the networks ncnn goes from first to last: of three pairs two are reversed.
    lost = rows["adb:LOW", "host"]
    assert (lost["tau"], lost["same_best"]) == (near((1 - 1 / 3) / 2), 4)
    spread = statistics.stdev([1.0] * 4 + [-1 / 3] * 4)
    half = 2.3646243 * spread / math.sqrt(8)
    assert lost["tau_low"] == pytest.approx(1 / 3 - half, rel=1e-6)


def test_one_change_at_a_time_has_the_planted_effects(bench_study: Study) -> None:
    rows = rows_of(bench_study, "one_change")
    of_kind: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        of_kind.setdefault(str(row["kind"]), []).append(row)
    quantised = of_kind["quantisation of the weights"]
    assert len(quantised) == len(plant.NETWORKS)
    assert {round(float(str(r["ratio"])), 9) for r in quantised} == {plant.INT8}
    assert quantised[0]["change"] == "fp32 to int8"
    assert quantised[0]["mean_factor"] == near(1 / plant.INT8)
    assert {r["change"] for r in of_kind["processor"]} == {"cpu to gpu"}
    assert of_kind["processor"][0]["mean_factor"] == near(1 / plant.GPU)
    releases = {r["change"]: r["ratio"] for r in of_kind["release of a library"]}
    assert releases == {
        "2.1.0 to 2.2.0": near(1.3),
        "2.1.0 to 2.3.0": near(1.3),
        "2.2.0 to 2.3.0": near(1.0),
    }
    assert {r["change"]: r["ratio"] for r in of_kind["number of threads"]} == {
        "1 to 2": near(0.6),
        "1 to 4": near(0.4),
        "2 to 4": near(0.4 / 0.6),
    }
    libraries = len(plant.NETWORKS) * len(plant.DEVICES) * 3
    assert len(of_kind["library"]) == libraries
    assert "quantisation of the weights 2.00 [2.00, 2.00] over 8 networks" in caption_of(
        bench_study, "one_change"
    )


def test_the_recommended_way_is_the_fastest_and_ties_are_said(bench_study: Study) -> None:
    rows = rows_of(bench_study, "recommendation")
    by_place: dict[tuple[object, object], list[dict[str, object]]] = {}
    for row in rows:
        by_place.setdefault((row["model"], row["device"]), []).append(row)
    assert len(by_place) == len(plant.NETWORKS) * len(plant.DEVICES)
    best = by_place["net_h", "host"]
    assert best[0]["outcome"] == "recommended"
    assert best[0]["way"] == "litert 2.3.0, 1 thread, int8 weights"
    in_floats = next(row for row in best if row["way"] == "litert 2.3.0, 1 thread")
    assert in_floats["given_up"] == near(100 * (1 - plant.INT8))
    tied = by_place["net_h", "adb:LOW"]
    assert [row["outcome"] for row in tied] == ["fastest, tied", "ties with the fastest", "slower"]
    assert float(str(tied[1]["ratio_low"])) < 1 < float(str(tied[1]["ratio_high"]))
    assert tied[2]["given_up"] == near(100 * (1 - 1 / plant.NCNN_SLOW))


def test_special_loads_and_releases_are_those_that_were_planted(bench_study: Study) -> None:
    for row in rows_of(bench_study, "sustained"):
        assert row["degradation"] == near(plant.LONG_STEP - 1)
        assert row["throttled_after_s"] == 60
    (rated,) = rows_of(bench_study, "fixed_rate")
    assert (rated["due"], rated["missed"]) == (30, 5)
    (beside,) = rows_of(bench_study, "side_by_side")
    assert beside["slowdown"] == near(plant.BESIDE)
    steps = {row["engine_version"]: row["step"] for row in rows_of(bench_study, "history")}
    assert steps == {"2.1.0": "", "2.2.0": "+30 %", "2.3.0": ""}


def test_a_prediction_is_marked_as_one_and_the_last_word_counts(bench_study: Study) -> None:
    (row,) = rows_of(bench_study, "predictions")
    assert row["model"] == "unseen_fp32.tflite"
    assert row["predicted_ms"] == near(1e3 * plant.UNSEEN_S)
    assert row["predicted_ms_high"] == near(1e3 * plant.UNSEEN_S * plant.UNSEEN_REACH)
    assert row["kind"] == "predicted, beyond what was measured"
    (shown,) = table_of(bench_study, "predictions")
    assert shown["Predicted [90 % interval]"] == "8 ms [5.71, 11.2]"
    assert "none of which was measured" in caption_of(bench_study, "predictions")
    assert plant.planted(plant.UNSEEN, "litert").sha256 not in {
        row["model_sha256"] for row in rows_of(bench_study, "latency")
    }


def test_errors_of_predictions_are_shown_beside_the_baseline(bench_study: Study) -> None:
    rows = rows_of(bench_study, "prediction_error")
    assert len(rows) == 2 * 2 * len(plant.NETWORKS)
    off = {(r["network"], r["engine"]): r["latency_s"] / r["measured_s"] for r in rows}  # type: ignore[operator]
    assert off["net_b", "litert"] == near(plant.PREDICTED_OFF)
    assert off[plant.MISJUDGED, "ncnn"] == near(plant.MISJUDGED_OFF)
    table = {r["Library, settings, device"]: r for r in table_of(bench_study, "prediction_error")}
    assert len(table) == 4
    ncnn = table["ncnn 1.0.20250916, 1 thread"]
    assert ncnn["Typical error, times [95 % interval]"] == "1.20 [1.10, 1.30]"
    assert ncnn["Operations alone, times"] == "1.50"
    assert ncnn["Measured inside the interval"] == "7 of 8"


def test_choosing_by_prediction_is_judged_against_always_the_same(bench_study: Study) -> None:
    rows = {(r["device"], r["choice"]): r for r in rows_of(bench_study, "library_choice")}
    assert len(rows) == 2 * 4
    predicted = rows["host", "by prediction"]
    assert predicted["right"] == "7 of 8"
    assert predicted["cost"] == near((1 / plant.NCNN_FAST) ** (1 / 8))
    ncnn = rows["host", "always ncnn 1.0.20250916"]
    assert (ncnn["right"], ncnn["cost"]) == ("4 of 8", near(plant.NCNN_SLOW**0.5))
    # On the slowest device ncnn is never the best, which is wrong for half of them here.
    other = rows["host", "as on other devices"]
    assert (other["right"], other["cost"]) == ("4 of 8", near((1 / plant.NCNN_FAST) ** 0.5))


def test_the_headline_counts_experiments_at_a_rate_and_beside_another(bench_study: Study) -> None:
    found = report.summary(bench_study)
    assert (found.load_jobs, found.load_jobs_measured) == (2, 2)
    assert (found.load_launches, found.load_launches_ok) == (2 * plant.LAUNCHES,) * 2
    assert (
        "2 of 2 experiments at a fixed rate or beside another model measured; "
        "10 of 10 launches ran to the end" in found.lines()
    )
    measured = next(tile for tile in found.tiles() if tile.label == "experiments measured")
    assert measured.value == str(len(plant.experiments()) + 3), "the long run and the two loads"
    assert measured.detail.endswith("2 at a rate or beside another")


def test_every_caption_says_n_and_where_there_is_an_interval_which(bench_study: Study) -> None:
    without = {"reference_models", "operator_oracle", "environments", "sustained"}
    for name, frame in _frames(bench_study.path).items():
        caption = FIGURES[name].caption(frame, report.summary(bench_study))
        assert caption.startswith("n = ")
        if name not in without:
            assert ("90 %" if name == "predictions" else "95 %") in caption, name


def test_two_settings_of_one_model_have_two_labels(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    usual = plant.job("net_a", "litert")
    others = [
        plant.job("net_a", "litert", steady_minimum_count=200),
        plant.job("net_a", "litert", seed=7),
    ]
    elsewhere = plant.job("net_b", "litert")
    files = [plant.planted("net_a", "litert"), plant.planted("net_b", "litert")]
    study.write([row for file in files for row in plant._file_rows(file)])
    for place, job in enumerate([usual, *others, elsewhere]):
        study.write([JobRecord(job_sha256=job.job_sha256, job=job, launches=5)])
        study.write([plant._run(job, launch, 0.01, place) for launch in range(5)])
    settings = {str(row["job_sha256"]): row["setting"] for row in rows_of(study, "latency")}

    def of(job: Job) -> object:
        return settings[job.job_sha256]

    assert of(usual) == f"{HOST_LINE}, 20 samples or more, seed 0"
    assert of(others[0]) == f"{HOST_LINE}, 200 samples or more, seed 0"
    assert of(others[1]) == f"{HOST_LINE}, 20 samples or more, seed 7"
    assert of(elsewhere) == HOST_LINE
    assert len({row["row"] for row in rows_of(study, "latency")}) == 4
    assert len(rows_of(study, "recommendation")) == 2, "of equal ways only one is ranked"

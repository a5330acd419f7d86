"""Figures on long runs, fixed rates and models side by side, on planted launches."""

from dataclasses import replace
from pathlib import Path

import pytest
import synthetic

from gaugenn import report
from gaugenn.records import Job, JobRecord, Run
from gaugenn.report import Figure
from gaugenn.report._frame import Frame, load
from gaugenn.store import Study

LAUNCHES = 4
MEASURED = synthetic.job("mobilenet_v2.tflite", "litert")
OTHER = synthetic.job("keyword.onnx", "onnxruntime")
LONG = replace(MEASURED, steady_minimum_s=150.0)
FAST = replace(MEASURED, rate_per_s=50.0, steady_minimum_s=0.1, steady_minimum_count=6)
BESIDE = replace(MEASURED, companion=f"{OTHER.model_sha256}@onnxruntime==1.31.1")


def launches(job: Job, second: int, **timings: object) -> list[Run]:
    """Launches of a job, one each ten seconds."""
    made = [synthetic.good_launch(job, n, 0.02) for n in range(LAUNCHES)]
    return [
        replace(
            run,
            started_at=f"2026-01-02T00:00:{second + 10 * run.launch:02d}+00:00",
            timings=replace(run.timings, **timings),  # type: ignore[type-var, arg-type]
        )
        for run in made
    ]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A model that throttles after a minute, misses a sixth of its deadlines, and has company."""
    made = Study.create(tmp_path_factory.mktemp("loads") / "study")
    starts = tuple(0.5 * n for n in range(300))
    curve = tuple(0.02 if start < 60 else 0.025 for start in starts)
    due = tuple(0.02 * n for n in range(6))
    serving = (0.005, 0.005, 0.03, 0.005, 0.005, 0.005)
    begun = (0.0, 0.02, 0.04, 0.07, 0.08, 0.10)
    made.write(
        [
            *synthetic.app_rows(),
            *(row for model in synthetic.MODELS for row in synthetic.model_rows(model)),
            *(
                JobRecord(job_sha256=job.job_sha256, job=job, launches=LAUNCHES)
                for job in (MEASURED, LONG, FAST, BESIDE)
            ),
            *launches(LONG, 0, steady_s=curve, steady_start_s=starts),
            *launches(FAST, 0, steady_s=serving, steady_start_s=begun, steady_due_s=due),
            *launches(MEASURED, 2, steady_s=(0.02,) * 5),
            *launches(BESIDE, 4, steady_s=(0.03,) * 5),
        ]
    )
    return made


def shown(study: Study, name: str) -> tuple[Figure, Frame, list[dict[str, str]], str]:
    """A figure, its frame, its table as texts by title, and its caption."""
    figure = report.figures()[name]
    with report.connect(study) as connection:
        frame = figure.derive(load(connection, figure.query, figure.limit))
    table = figure.table(frame)
    assert table is not None
    titles = [column.title for column in table.columns]
    rows = [dict(zip(titles, [c.text for c in row], strict=True)) for row in table.rows]
    return figure, frame, rows, figure.caption(frame, report.summary(study))


def test_a_long_run_shows_its_first_minute_its_end_and_when_it_throttled(loaded: Study) -> None:
    _, frame, rows, caption = shown(loaded, "sustained")
    assert caption.startswith("n = 4 launches")
    assert len(rows) == LAUNCHES
    first = rows[0]
    assert (first["Minute 1"], first["Last third"]) == ("20.0 ms", "25.0 ms")
    assert first["Change"] == "+25.0\N{NO-BREAK SPACE}%"
    assert first["Throttled after"] == "60.0 s"
    assert first["Rank in minute 1, at the end"] == "1, 1"
    assert frame.real_lists("windows_level_s")[0] == [0.02, 0.02, 0.025, 0.025, 0.025]


def test_a_fixed_rate_shows_what_was_missed_and_how_long_inputs_waited(loaded: Study) -> None:
    _, frame, rows, caption = shown(loaded, "fixed_rate")
    assert caption.startswith("n = 1 experiment at a fixed rate")
    (row,) = rows
    assert row["Rate, 1/s"] == "50"
    assert row["Deadlines missed"] == "4 of 24 (16.7\N{NO-BREAK SPACE}%)"
    assert row["Inference alone"].startswith("5.00 ms [5.00, 5.00], n = 4")
    assert row["Launches that keep up"] == "4 of 4"
    assert frame.reals("deadline_ms") == [20.0]
    assert row["Response, p95"].startswith("26.2 ms")


def test_side_by_side_shows_the_slow_down_against_running_alone(loaded: Study) -> None:
    _, frame, rows, caption = shown(loaded, "side_by_side")
    assert caption.startswith("n = 1 model beside another one")
    (row,) = rows
    assert row["Beside"] == "keyword.onnx"
    assert row["Over alone [95 % interval]"] == "1.50 [1.50, 1.50]"
    assert row["Launches"] == "4 in turns"
    assert frame.integers("pairs") == [LAUNCHES]


@pytest.mark.parametrize("name", ["sustained", "fixed_rate", "side_by_side"])
def test_each_is_drawn_and_exported(loaded: Study, name: str, tmp_path: Path) -> None:
    figure, frame, _, _ = shown(loaded, name)
    assert figure.chart(frame) is not None
    svg = report.render_figure(loaded, name, report.ExportFormat.SVG)
    assert "<svg" in (svg.decode() if isinstance(svg, bytes) else svg)
    page = report.write(loaded, tmp_path / "page.html").read_text()
    assert figure.question in page

"""The page in headless Chromium: it draws, loads nothing, fits a phone, and can be used by keyboard."""

import base64
import json
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import synthetic
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from tests.chromium import MARKS, NARROW, PATIENCE_S, WIDE, chromium, look

from gaugenn import report
from gaugenn.report._frame import load
from gaugenn.store import Study

pytestmark = MARKS
DRAWN = (
    "return Object.fromEntries([...document.querySelectorAll('.chart')].map(c => [c.id,"
    " [...c.querySelectorAll('g[class*=role-mark] path, g[class*=role-mark] line')]"
    " .filter(p => p.getBBox().width + p.getBBox().height > 0).length]))"
)
"""Visible marks of each chart."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def show(browser: webdriver.Chrome, page: Path, width: int = WIDE, scheme: str = "light") -> None:
    """Opens a page and waits until every chart is drawn."""
    look(browser, page.as_uri(), width, scheme)
    wait_for_charts(browser)


def wait_for_charts(browser: webdriver.Chrome) -> None:
    script = "return [...document.querySelectorAll('.chart')].map(c => c.dataset.state || '')"
    deadline = time.monotonic() + PATIENCE_S
    while not all(states := browser.execute_script(script)):
        assert time.monotonic() < deadline, f"charts are not drawn: {states}"
        time.sleep(0.05)
    assert set(states) <= {"drawn"}


def screenshot(browser: webdriver.Chrome, width: int) -> bytes:
    shot = browser.execute_cdp_cmd(
        "Page.captureScreenshot",
        {
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": width, "height": 3000, "scale": 0.5},
        },
    )
    return base64.b64decode(shot["data"])


def colours(png: bytes) -> set[bytes]:
    """The distinct bytes of a PNG's rows, as a measure of how much is in the picture."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, data = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(data)
    return {raw[index : index + 64] for index in range(0, len(raw) - 64, 64)}


def charts_with_data(study: Study) -> set[str]:
    """Charts of the figures that have something to draw; the others say in words what to do."""
    drawn = set()
    with report.connect(study) as connection:
        for name, figure in report.figures().items():
            frame = load(connection, figure.query, figure.limit)
            frame = figure.derive(frame) if frame.total else frame
            if frame.total and figure.chart(frame) is not None:
                drawn.add(f"chart-{name}")
    return drawn


def test_the_planted_studies_have_data_for_every_chart(
    study: Study, bench_study: Study, census: Study
) -> None:
    drawn = charts_with_data(study) | charts_with_data(bench_study) | charts_with_data(census)
    assert drawn == {
        f"chart-{name}"
        for name, figure in report.figures().items()
        if type(figure).chart is not report.Figure.chart
    }


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("planted", ["study", "bench_study"])
def test_every_chart_draws_its_marks_and_nothing_is_loaded_or_reported(
    browser: webdriver.Chrome,
    request: pytest.FixtureRequest,
    planted: str,
    width: int,
    scheme: str,
) -> None:
    study = request.getfixturevalue(planted)
    page = request.getfixturevalue({"study": "page", "bench_study": "bench_page"}[planted])
    show(browser, page, width, scheme)
    marks = browser.execute_script(DRAWN)
    assert set(marks) == charts_with_data(study)
    assert len(marks) >= 16
    assert all(number > 0 for number in marks.values()), marks
    if planted == "study":
        assert marks["chart-latency"] >= 2 * len(synthetic.LATENCIES_MS) - 1
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert requests == {page.as_uri()}
    assert len(colours(screenshot(browser, width))) > 500


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "dark"), (NARROW, "light")])
def test_every_chart_of_a_census_draws_its_marks(
    browser: webdriver.Chrome, census: Study, tmp_path: Path, width: int, scheme: str
) -> None:
    show(browser, report.write(census, tmp_path / "report.html"), width, scheme)
    marks = browser.execute_script(DRAWN)
    assert set(marks) == charts_with_data(census)
    assert {"chart-dataset", "chart-lineage", "chart-training", "chart-snapshots"} <= set(marks)
    assert all(number > 0 for number in marks.values()), marks
    assert browser.get_log("browser") == []
    cut = browser.execute_script(
        "return [...document.querySelectorAll('.chart .role-axis-label text')]"
        ".filter(t => t.textContent.includes('\\u2026')).map(t => t.textContent)"
    )
    assert cut == [], "no row's name is cut"


@pytest.mark.parametrize("planted", ["page", "bench_page"])
def test_the_page_does_not_run_over_the_side_of_a_phone(
    browser: webdriver.Chrome, request: pytest.FixtureRequest, planted: str
) -> None:
    show(browser, request.getfixturevalue(planted), NARROW)
    widths = browser.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert widths == [NARROW, NARROW]
    over = browser.execute_script(
        "return [...document.querySelectorAll('.chart svg')]"
        ".filter(s => s.getBoundingClientRect().right > window.innerWidth + 1)"
        ".map(s => s.closest('.chart').id)"
    )
    assert over == []


def test_charts_follow_the_page_into_the_dark(browser: webdriver.Chrome, page: Path) -> None:
    show(browser, page)
    script = (
        "return getComputedStyle(document.querySelector('#chart-formats svg text'))"
        ".getPropertyValue('fill')"
    )
    light = browser.execute_script(script)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    deadline = time.monotonic() + PATIENCE_S
    while browser.execute_script(script) == light:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_page_can_be_used_by_keyboard(browser: webdriver.Chrome, page: Path) -> None:
    show(browser, page)
    browser.execute_script("window.scrollTo(0, 0)")
    visited = []
    for _ in range(12):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        visited.append((active.tag_name, active.text))
    assert visited[0] == ("a", "Skip to the results")
    assert [text for tag, text in visited[1:6] if tag == "a"] == [
        section.value for section in report.Section
    ]
    assert visited[6][0] == "div", "the first table's box can be scrolled by keyboard"
    assert [tag for tag, _ in visited[7:]] == ["button"] * 5
    places = browser.execute_script(
        "return [...document.querySelectorAll('a, button, summary, [tabindex]')]"
        ".filter(e => e.tabIndex > 0).length"
    )
    assert places == 0


def test_a_column_is_sorted_by_value_with_missing_values_last(
    browser: webdriver.Chrome, page: Path
) -> None:
    show(browser, page)
    button = browser.find_element(By.XPATH, "//*[@id='models']//th/button[text()='MACs']")
    column = (
        "return [...document.querySelectorAll('#models tbody tr')]"
        ".map(row => row.cells[arguments[0]].textContent.trim())"
    )
    position = browser.execute_script("return arguments[0].parentElement.cellIndex", button)
    browser.execute_script("arguments[0].click()", button)
    falling = browser.execute_script(column, position)
    browser.execute_script("arguments[0].click()", button)
    rising = browser.execute_script(column, position)
    assert falling[0] == "3.40 G"
    assert rising[0] == "2.60 M"
    assert falling[-1] == rising[-1] == "\N{EN DASH}"
    heading = browser.find_element(By.XPATH, "//*[@id='models']//th[button[text()='MACs']]")
    assert heading.get_attribute("aria-sort") == "ascending"


def test_charts_have_names_for_screen_readers(browser: webdriver.Chrome, page: Path) -> None:
    show(browser, page)
    names = browser.execute_script(
        "return [...document.querySelectorAll('.chart[role=graphics-document]')]"
        ".map(chart => chart.getAttribute('aria-label'))"
    )
    questions = {figure.question for figure in report.figures().values()}
    assert len(names) == len(set(names)) > 10
    assert set(names) <= questions


def test_an_empty_study_opens_without_a_word_of_complaint(
    browser: webdriver.Chrome, empty: Study
) -> None:
    show(browser, report.write(empty, empty.path / "report.html"), NARROW)
    assert browser.get_log("browser") == []
    assert "gaugenn scan" in browser.find_element(By.TAG_NAME, "main").text


def test_hostile_names_run_nothing_in_the_browser(
    browser: webdriver.Chrome, tmp_path: Path
) -> None:
    study = Study.create(tmp_path / "s")
    taken = "document.title='taken'"
    name = f'</script><script>{taken}</script><img src=x onerror="{taken}">'
    model = synthetic.PlantedModel(
        name=name,
        format="tflite",
        parameters=10,
        macs=10,
        places=(("camera", name), ("beauty", name)),
        operators=((name, name, 3),),
    )
    study.write([*synthetic.app_rows(), *synthetic.model_rows(model)])
    show(browser, report.write(study, tmp_path / "report.html"))
    assert browser.title == "s: models in app packages"
    assert browser.get_log("browser") == []
    assert "onerror" in browser.find_element(By.ID, "models").text

"""The explorer in headless Chromium, served as users serve it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import synthetic
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from gaugenn.store import Study
from tests.chromium import MARKS, NARROW, PATIENCE_S, WIDE, chromium, look
from tests.explorer.test_safety import HOSTILE, hostile_study

pytestmark = MARKS


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def serve(study: Study) -> Iterator[str]:
    """The command's site, ended as a user ends it."""
    command = [sys.executable, "-m", "gaugenn", "serve", str(study.path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), address
        try:
            yield address.rstrip("/")
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) in (0, 130)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def site(study: Study) -> Iterator[str]:
    yield from serve(study)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def silent(browser: webdriver.Chrome, site: str) -> None:
    """Nothing was reported, no policy was broken, and nothing came from elsewhere."""
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    for event in events:
        if event["method"] == "Network.requestWillBeSent":
            address = event["params"]["request"]["url"]
            assert address.startswith((site, "blob:", "data:", "about:")), address


def title(browser: webdriver.Chrome) -> str:
    found: str = browser.execute_script("return document.querySelector('h1')?.textContent || ''")
    return found


def drawn(browser: webdriver.Chrome) -> list[str]:
    script = "return [...document.querySelectorAll('.chart')].map(c => c.dataset.state || '')"
    until(lambda: all(browser.execute_script(script)))
    states: list[str] = browser.execute_script(script)
    return states


def tab_to(browser: webdriver.Chrome, wanted: Callable[[str, str], bool]) -> None:
    """Goes on by the Tab key until the focus is on what is wanted."""
    for _ in range(60):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        active = browser.switch_to.active_element
        if wanted(active.tag_name, active.get_attribute("name") or active.text):
            return
    pytest.fail("the Tab key does not lead there")


def test_a_model_is_searched_filtered_opened_and_drawn_by_keyboard_alone(
    browser: webdriver.Chrome, site: str
) -> None:
    look(browser, site + "/")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "Skip to the content"
    tab_to(browser, lambda tag, text: (tag, text) == ("a", "Models"))
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: title(browser) == "Models")
    tab_to(browser, lambda tag, name: (tag, name) == ("input", "q"))
    browser.switch_to.active_element.send_keys("gaugenn.camera")
    tab_to(browser, lambda tag, name: (tag, name) == ("select", "format"))
    browser.switch_to.active_element.send_keys("onnx")
    tab_to(browser, lambda tag, text: (tag, text) == ("button", "Show"))
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: "format=onnx" in browser.current_url)
    tab_to(browser, lambda tag, text: (tag, text) == ("a", "style.onnx"))
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: title(browser) == "style.onnx")
    assert drawn(browser) == ["drawn", "drawn"]
    tab_to(browser, lambda tag, text: (tag, text) == ("a", "Show the graph"))
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(lambda: title(browser) == "Graph of style.onnx")
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    until(lambda: len(browser.find_elements(By.CSS_SELECTOR, "#canvas .node")) >= 20)
    items = browser.find_elements(By.CSS_SELECTOR, ".node-item")
    shown = [item.get_attribute("textContent") or "" for item in items]
    assert sum(text.endswith("/Conv") for text in shown) == 8, shown
    reached = browser.execute_async_script(
        "const done = arguments[0];"
        f"fetch('{site}/models').then(() => done('read'), () => done('refused'))"
    )
    assert reached == "refused", "the frame reads nothing of the site"
    browser.switch_to.default_content()
    browser.get_log("browser")  # the refused request
    silent(browser, site)


def test_an_app_is_searched_and_opened(browser: webdriver.Chrome, site: str) -> None:
    look(browser, site + "/apps")
    box = browser.find_element(By.ID, "q")
    box.send_keys("first bank", Keys.ENTER)
    until(lambda: "q=first" in browser.current_url)
    browser.find_element(By.LINK_TEXT, "First Bank").click()
    until(lambda: title(browser) == "First Bank")
    text = browser.find_element(By.TAG_NAME, "main").text
    assert "assets/secret.tflite" in text
    assert "org.example.bank" in text
    silent(browser, site)


def test_experiments_are_marked_and_compared(browser: webdriver.Chrome, site: str) -> None:
    look(browser, site + "/experiments?q=mobilenet_v2.tflite&engine=litert")
    for box in browser.find_elements(By.CSS_SELECTOR, "input[name=experiment]"):
        box.send_keys(Keys.SPACE)
    browser.find_element(By.XPATH, "//button[contains(., 'Compare')]").click()
    until(lambda: title(browser) == "Compare")
    assert "slower" in browser.find_element(By.ID, "ratios").find_element(By.XPATH, "..").text
    silent(browser, site)


def test_a_statement_is_written_run_and_read(browser: webdriver.Chrome, site: str) -> None:
    look(browser, site + "/sql")
    box = browser.find_element(By.ID, "q")
    box.clear()
    box.send_keys("SELECT package FROM apps WHERE label = 'First Bank'", Keys.TAB, Keys.ENTER)
    until(lambda: "q=" in browser.current_url)
    assert "org.example.bank" in browser.find_element(By.CSS_SELECTOR, "tbody").text
    silent(browser, site)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_runs_over_the_side_of_a_phone_or_reports_anything(
    browser: webdriver.Chrome, site: str, scheme: str
) -> None:
    model = synthetic.model("mobilenet_v2.tflite").sha256
    job = synthetic.job("mobilenet_v2.tflite", "litert").job_sha256
    for path in (
        "/",
        "/apps",
        f"/apps/{synthetic.sha('camera')}",
        "/models",
        f"/models/{model}",
        "/experiments",
        f"/experiments/{job}",
        "/devices",
        "/compare",
        "/sql",
    ):
        look(browser, site + path, NARROW, scheme)
        assert set(drawn(browser)) <= {"drawn"}
        widths = browser.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert widths == [NARROW, NARROW], path
        small = browser.execute_script(
            "return [...document.querySelectorAll('button, select, input:not([type=checkbox])')]"
            ".filter(e => e.offsetHeight && e.offsetHeight < 32).map(e => e.outerHTML)"
        )
        assert small == [], path
        silent(browser, site)
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(251, 251, 252)" if scheme == "light" else "rgb(18, 23, 29)")


def test_everything_has_a_name_for_screen_readers(browser: webdriver.Chrome, site: str) -> None:
    model = synthetic.model("mobilenet_v2.tflite").sha256
    for path in ("/", "/models", f"/models/{model}", "/sql", f"/models/{model}/graph"):
        look(browser, site + path, WIDE)
        nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        wanted = {
            "link",
            "button",
            "textbox",
            "searchbox",
            "combobox",
            "checkbox",
            "table",
            "region",
        }
        nameless = [
            node["role"]["value"]
            for node in nodes
            if not node.get("ignored")
            and node.get("role", {}).get("value") in wanted
            and not node.get("name", {}).get("value")
        ]
        assert nameless == [], path
        assert browser.execute_script("return document.querySelectorAll('h1').length") == 1
        later = "return [...document.querySelectorAll('*')].filter(e => e.tabIndex > 0).length"
        assert browser.execute_script(later) == 0


def test_hostile_names_run_nothing(browser: webdriver.Chrome, tmp_path: Path) -> None:
    for site in serve(hostile_study(tmp_path / "s")):
        look(browser, site + "/models", NARROW)
        assert len(browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == len(HOSTILE)
        links = [
            link.get_attribute("href") or ""
            for link in browser.find_elements(By.CSS_SELECTOR, "tbody th a")
        ]
        for address in [links[0], site + "/apps", site + "/experiments"]:
            look(browser, address, NARROW)
            assert browser.title.endswith(" s")
            drawn(browser)
            assert browser.execute_script("return document.documentElement.scrollWidth") == NARROW
            silent(browser, site)

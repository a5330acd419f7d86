"""The page is one file that loads nothing, whatever the study and its names."""

import html.parser
import json
import re
import resource
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, pairwise
from pathlib import Path

import pytest
import synthetic

from gaugenn import report
from gaugenn.errors import StorageFullError, UsageError
from gaugenn.records import (
    App,
    AppFile,
    Evidence,
    Failure,
    JobRecord,
    PackageKind,
    RunStatus,
)
from gaugenn.report import _text
from gaugenn.report._charts import PALETTE_DARK, PALETTE_LIGHT, embeddable
from gaugenn.report._table import TABLE_ROWS
from gaugenn.store import Record, Study

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "\u202egnp.ledom\u202c\u2066",
    "x" * 10_000,
    "two\nlines\r\n\tand a tab",
    "\x00\x07\x1b[31m",
    "{{ 7 * 7 }} {% raw %}",
    "a\u0301" + "\u0301" * 500,
    "\u2028\u2029\ufeff\u200b",
    "\"'><svg onload=alert(3)>&amp;",
    "javascript:alert(4)",
    "]]>--><!--",
)


class Reader(html.parser.HTMLParser):
    """Every tag with its attributes, and the text of each element that holds any."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open, data))


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def visible_text(text: str) -> str:
    return "".join(data for tag, data in read(text).texts if tag not in {"script", "style"})


def hostile_study(path: Path, names: Sequence[str]) -> Study:
    """Every text that a package or a device can choose is one of the given names."""
    study = Study.create(path)
    turn = cycle(names)
    rows: list[Record] = []
    for row in synthetic.app_rows():
        name = next(turn)
        if isinstance(row, App):
            row = replace(row, label=name, package=name, version_name=name, path=name, error=name)
        elif isinstance(row, Evidence):
            row = replace(row, name=name, vendor=name, token=name, member=name)
        elif isinstance(row, AppFile):
            row = replace(row, member=name, error=name)
        rows.append(row)
    for number, name in enumerate(names):
        model = synthetic.PlantedModel(
            name=name,
            format="tflite",
            parameters=10 + number,
            macs=100 + number,
            places=(("camera", f"assets{number}/{name}"), ("beauty", f"{number}/{name}")),
            operators=((name, name, 2), ("", name, 1)),
            weights_dtype=name,
        )
        planned = replace(
            synthetic.job("liveness.param", "ncnn"), model_sha256=model.sha256, engine=name
        )
        good = synthetic.good_launch(planned, 0, 0.002)
        assert good.timings is not None
        noted = replace(good, timings=replace(good.timings, notes=(name,), phases=name))
        failed = synthetic.failed_launch(planned, 1, RunStatus.REFUSED, name)
        rows += [*synthetic.model_rows(model), noted, failed]
        rows.append(JobRecord(job_sha256=planned.job_sha256, job=planned, launches=2))
        rows.append(Failure(stage="scan", subject=name, error=name, message=name, transient=False))
        rows.append(
            replace(
                synthetic.ENVIRONMENT,
                environment_sha256=synthetic.sha(name),
                processor_model=name,
                kernel=name,
                governor=name,
            )
        )
    study.write(rows)
    return study


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return report.render(hostile_study(tmp_path_factory.mktemp("hostile") / "s", HOSTILE))


def test_no_name_can_leave_its_cell(tmp_path: Path, hostile: str) -> None:
    harmless = [f"harmless {number}" for number in range(len(HOSTILE))]
    plain, text = report.render(hostile_study(tmp_path / "s", harmless)), hostile
    assert text.count("<script") == plain.count("<script")
    allowed = {tag for tag, _ in read(plain).tags}
    for tag, attributes in read(text).tags:
        assert tag in allowed
        assert not [name for name in attributes if name.startswith("on")], tag
    library = report.page_library()
    assert not set("\u202e\u202c\u2066\u2028\u2029\ufeff\u200b\x00\x07\x1b\r") & set(
        text.replace(library, "")
    )
    shown = visible_text(text)
    for name in ("<script>alert(1)</script>", "{{ 7 * 7 }} {% raw %}", "]]>--><!--"):
        assert name in shown
    assert "\\u202egnp.ledom\\u202c\\u2066" in shown
    assert "two\\nlines\\r\\n\\tand a tab" in shown
    assert len(text) < len(plain) + 100_000, "a name of 10,000 characters is cut"


def test_the_charts_data_is_json_that_cannot_end_its_script(hostile: str) -> None:
    pattern = r'<script type="application/json" id="charts">(.*?)</script>'
    data = re.search(pattern, hostile, re.DOTALL)
    assert data is not None
    assert not set("<>&") & set(data[1])
    found = json.loads(data[1])
    assert set(found) == {"charts", "themes"}
    assert set(found["charts"]) >= {"latency", "operators", "duplicates"}


def test_a_long_name_is_cut_and_says_how_long_it_was() -> None:
    shown = _text.visible("x" * 10_000)
    assert len(shown) < 450
    assert shown.endswith("(10,000 characters)")
    assert _text.visible("a\u202eb\nc\x00") == "a\\u202eb\\nc\\x00"
    assert _text.visible("e\u0301" + "\u0301" * 50) == "e\u0301\u0301"
    assert _text.visible("名前 ملف ok") == "名前 ملف ok"


def test_the_page_refers_to_nothing_outside_itself(page: Path) -> None:
    for tag, attributes in read(page.read_text()).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "form", "base", "svg"}
        for name in ("src", "href", "action", "data", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith("#"), f"<{tag} {name}={value}>"
    assert "@import" not in page.read_text()
    assert "url(" not in report._page._resource("_page.css")


def test_the_policy_forbids_everything_but_this_pages_scripts(page: Path) -> None:
    policies = [
        attributes["content"]
        for tag, attributes in read(page.read_text()).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    policy = policies[0] or ""
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_library_is_there_once_with_its_licences(page: Path) -> None:
    text = page.read_text()
    assert text.count("globalThis.vegaEmbed") == 1
    assert "University of Washington Interactive Data Lab" in text
    assert "Redistributions in binary form must reproduce" in text
    assert page.stat().st_size < 1_300_000


def test_every_figure_is_on_the_page_in_order_with_question_caption_and_query(
    page: Path,
) -> None:
    text = page.read_text()
    places = [text.index(f'<figure id="{name}"') for name in report.figures()]
    assert places == sorted(places)
    shown = visible_text(text)
    for figure in report.figures().values():
        assert figure.title in shown
        assert figure.question in shown
        assert "SELECT" in figure.query
    assert shown.count("n = ") >= len(places)


def test_tables_have_captions_and_their_headings_a_scope(page: Path) -> None:
    tags = read(page.read_text()).tags
    tables = sum(tag == "table" for tag, _ in tags)
    assert tables > 10
    assert sum(tag == "caption" for tag, _ in tags) == tables
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in tags if tag == "th")
    headings = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(headings))
    identities = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(identities) == len(set(identities))


def test_full_digests_can_be_reached(page: Path) -> None:
    shown = visible_text(page.read_text())
    for model in synthetic.MODELS:
        assert model.sha256 in shown
    assert synthetic.job("liveness.param", "ncnn").job_sha256 in shown
    assert synthetic.sha("certificate camera") in shown


def test_an_empty_study_says_what_is_missing_and_how_to_get_it(empty: Study) -> None:
    text = report.render(empty)
    shown = visible_text(text)
    assert "gaugenn scan PATH... --out STUDY" in shown
    assert "gaugenn bench STUDY" in shown
    for figure in report.figures().values():
        assert figure.empty in shown
    assert "vegaEmbed = vegaEmbed" not in text
    assert "None" not in shown
    assert len(text) < 130_000
    assert report.summary(empty).lines()[0] == "0 app packages, 0 with models"


def test_a_study_without_a_bench_says_so_and_shows_the_rest(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    study.write([*synthetic.app_rows(), *synthetic.model_rows(synthetic.MODELS[0])])
    shown = visible_text(report.render(study))
    assert "mobilenet_v2.tflite" in shown
    assert "gaugenn bench STUDY" in shown


def test_a_table_that_is_cut_says_so(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s")
    study.write(
        App(
            path=f"{number}.apk",
            app_sha256=f"{number:064x}",
            size_bytes=1,
            modified_ns=0,
            kind=PackageKind.APK,
        )
        for number in range(TABLE_ROWS + 5)
    )
    shown = visible_text(report.render(study))
    assert (
        f"Showing the first {TABLE_ROWS} of {TABLE_ROWS + 5} rows. All rows: gaugenn query" in shown
    )


def test_an_older_page_is_replaced_whole(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    assert report.write(study, path) == path
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there_is_a_clear_error(study: Study, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        report.write(study, tmp_path / "missing" / "report.html")


def test_a_full_disk_keeps_the_older_page(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(StorageFullError, match="no room for"):
            report.write(study, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (_text.metric(1_300_000), "1.30 M"),
        (_text.metric(999.4), "999"),
        (_text.metric(999_999), "1.00 M"),
        (_text.metric(None), "\N{EN DASH}"),
        (_text.size(0), "0 B"),
        (_text.size(1536), "1.50 KiB"),
        (_text.seconds(0.0024), "2.40 ms"),
        (_text.seconds(0.000_31), "310 µs"),
        (_text.seconds(61.0), "61.0 s"),
        (_text.seconds(0.0), "0 s"),
        (_text.share(1, 3), "33.3\N{NO-BREAK SPACE}%"),
        (_text.share(1, 0), "\N{EN DASH}"),
        (_text.plural(1, "launch", "launches"), "1 launch"),
        (_text.plural(1234, "model"), "1,234 models"),
        (_text.clip("abcdefghijkl", 7), "abcd…kl"),
        (_text.interval(0.0024, 0.00231, 0.0025, 5, _text.SECONDS), "2.40 ms [2.31, 2.50], n = 5"),
    ],
)
def test_numbers_are_shown_with_three_digits_and_a_unit(shown: str, expected: str) -> None:
    assert shown == expected


def test_json_in_a_script_cannot_end_it() -> None:
    text = embeddable({"name": "</script><!--&\u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": "</script><!--&\u2028"}


def _luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("colour", "ground"),
    [(c, "#ffffff") for c in PALETTE_LIGHT] + [(c, "#191f27") for c in PALETTE_DARK],
)
def test_colours_stand_out_from_their_ground(colour: str, ground: str) -> None:
    """WCAG 2.2, 1.4.11: graphics have a contrast of at least 3 to 1."""
    lighter, darker = sorted((_luminance(colour), _luminance(ground)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3

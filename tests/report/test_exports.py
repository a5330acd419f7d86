"""Figures as LaTeX and Parquet, and what the papers reported: only where it is asked for."""

import io
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gaugenn import api, report
from gaugenn.errors import UsageError
from gaugenn.report import ExportFormat, _reference
from gaugenn.report._latex import escaped, latex
from gaugenn.report._table import TABLE_ROWS, Table, names, numbers
from gaugenn.store import Study


def test_latex_has_booktabs_rules_a_caption_and_a_label() -> None:
    table = Table(
        columns=(
            names("A & b", ["x_1", "50 %"]),
            numbers("n", [1.0, None]),
        )
    )
    lines = latex(table, "a_b", "n = 2: {all} of #1.").splitlines()
    assert lines[1:] == [
        r"\begin{table}",
        r"\centering",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"A \& b & n \\",
        r"\midrule",
        r"x\_1 & 1 \\",
        r"50 \% & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{n = 2: \{all\} of \#1.}",
        r"\label{tab:a_b}",
        r"\end{table}",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("a--b ~^$", r"a-{}-{}b \textasciitilde{}\textasciicircum{}\$"),
        ("1\N{NO-BREAK SPACE}%", r"1~\%"),
        ("<|>", r"\textless{}\textbar{}\textgreater{}"),
    ],
)
def test_no_text_is_a_command_of_latex(text: str, expected: str) -> None:
    assert escaped(text) == expected


@pytest.mark.parametrize("name", ["dataset", "costs", "lineage", "models", "training"])
def test_figures_with_and_without_a_table_are_latex_and_parquet(census: Study, name: str) -> None:
    data = report.render_figure(census, name, ExportFormat.PARQUET)
    table = pq.read_table(io.BytesIO(data))
    assert table.schema.metadata[b"gaugenn.figure"] == name.encode()
    text = report.render_figure(census, name, ExportFormat.LATEX).decode()
    assert text.count(r" \\") == min(table.num_rows, TABLE_ROWS) + 1
    assert rf"\label{{tab:{name}}}" in text
    assert "n = " in text
    body = text.split("\n", 1)[1]
    assert not re.search(r"(?<!\\)[%#$]", body), "nothing ends a line or switches to formulas"


def test_parquet_keeps_lists_and_derived_columns(census: Study) -> None:
    data = report.render_figure(census, "clouds", ExportFormat.PARQUET)
    rows = pq.read_table(io.BytesIO(data)).to_pylist()
    assert rows[0]["services"] == ["amazon-lex"]
    assert rows[0]["share_percent"] == pytest.approx(100 / 3)


def test_a_figure_without_rows_has_no_latex_table(empty: Study) -> None:
    with pytest.raises(UsageError, match="nothing to draw"):
        report.render_figure(empty, "clouds", ExportFormat.LATEX)


def test_a_latex_file_ends_in_tex(census: Study) -> None:
    path = api.report_figure(census.path, "dataset", "latex")
    assert path.name == "dataset.tex"
    path.unlink()


def test_what_the_papers_reported_is_marked_and_cited_and_belongs_to_a_figure() -> None:
    entries = _reference.reported()
    assert len(entries) >= 8
    for entry in entries:
        assert entry.mark in _reference.MARKS
        assert entry.figure in report.figures()
        assert re.search(r"(IMC|WWW) 20\d\d, arXiv:\d{4}\.\d{5}", entry.citation)


def test_the_papers_numbers_are_shown_only_on_demand(census: Study, tmp_path: Path) -> None:
    plain = report.render(census)
    asked = api.report(census.path, tmp_path / "r.html", reference=True).read_text()
    assert "86.19" not in plain
    assert "reported:" not in plain
    for text in (
        "86.19 % of the models found are TensorFlow Lite (seen, secondary; Smart at what cost?",
        "This study: 81.8\N{NO-BREAK SPACE}% [52.3, 94.9], 9 of 11.",
        "about 80.9 % of the networks are reused without modification",
        "This study: 36.4\N{NO-BREAK SPACE}% [15.2, 64.6], 4 of 11.",
        "more than 16,000 of the most popular apps",
        "This study: tflite, ncnn, onnx.",
        "This study: 100.0\N{NO-BREAK SPACE}% [64.6, 100.0], 7 of 7.",
    ):
        assert text in asked, text


def test_a_study_with_nothing_to_compare_says_so(empty: Study) -> None:
    with report.connect(empty) as connection:
        sentences = [s for entry in _reference.beside(connection).values() for s in entry]
    assert "This study: nothing to compare." in " ".join(sentences)

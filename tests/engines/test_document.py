"""The page on engines says what the engines say."""

from tests.engines import document


def test_the_table_of_engines_is_todays() -> None:
    text = document.DOCUMENT.read_text()
    assert document.written(text) == text

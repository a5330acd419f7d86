"""Messages in text form."""

import pytest

from gaugenn.errors import FormatError
from gaugenn.formats._prototext import VALUE_LIMIT, Quoted, TextMessage, outline, parse


def parsed(text: str) -> TextMessage:
    return parse(memoryview(text.encode()))


def test_scalars_are_kept_as_spelled_and_in_order() -> None:
    message = parsed("a: 1 a: -2.5e-3 # no more\n b: YES, c: 'x'; a:+.5f d: -inf")
    assert message.texts("a") == ("1", "-2.5e-3", "+.5f")
    assert message.text("b") == "YES"
    assert message.text("d") == "-inf"
    assert isinstance(message.texts("c")[0], Quoted)
    assert not isinstance(message.texts("b")[0], Quoted)


def test_messages_stand_in_braces_or_angles_with_or_without_a_colon() -> None:
    message = parsed("m { a: 1 } m: < a: 2 > m: { n { a: 3 } }")
    first, second, third = message.messages("m")
    assert (first.text("a"), second.text("a")) == ("1", "2")
    assert third.messages("n")[0].text("a") == "3"


def test_lists_are_repeated_fields() -> None:
    assert parsed("a: [1, 2, 'three'] a: 4").texts("a") == ("1", "2", "three", "4")


def test_text_is_unescaped_and_joined() -> None:
    assert parsed(r"""a: "t\tq\"\x41\102" 'rest'""").text("a") == 't\tq"ABrest'


def test_extensions_have_names_in_brackets() -> None:
    assert parsed("[mediapipe.Options.ext] { a: 1 }").messages("mediapipe.Options.ext")


@pytest.mark.parametrize(
    "broken",
    [
        "a",
        "a:",
        "a: }",
        "a 1",
        "a { b: 1",
        "a: 1 }",
        "{ a: 1 }",
        "a: 'x",
        "a < b: 1 }",
        "a: [1",
        "=",
        "a = 1",
    ],
)
def test_a_broken_text_is_a_format_error(broken: str) -> None:
    with pytest.raises(FormatError, match=r"^line \d+: "):
        parsed(broken)


def test_depth_and_number_of_values_are_limited() -> None:
    with pytest.raises(FormatError, match="deeper"):
        parsed("a {" * 100_000)
    with pytest.raises(FormatError, match="more than"):
        parsed("a:1 " * (VALUE_LIMIT + 1))


def test_the_start_of_a_text_shows_its_outermost_fields() -> None:
    fields = outline(b'name: "x" layer { name: "a" type: "b" p { q: 1 } } layer { name: "b" typ')
    assert [field.name for field in fields] == ["name", "layer", "layer"]
    assert fields[1].inner == ("name", "type", "p")
    assert [field.whole for field in fields] == [True, True, False]

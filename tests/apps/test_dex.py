"""Dex tables: names found, odd files refused, damage survived."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.apps.dex import Dex, Method, Prefixes, is_dex
from gaugenn.errors import FormatError

Make = Callable[..., bytes]

TYPES = [
    *("I", "V", "[I", "Ljava/lang/Object;", "Ljava/lang/String;", "La;", "Lorg/tensorflow/"),
    *("Lorg/tensorflow/lite/Interpreter;", "Lorg/tensorflow/lite/Interpreter$Options;"),
    *("Lorg/tensorflow/lite/gpu/GpuDelegate;", "Lorg/tensorflowx/lite/Trap;"),
    "Lorg/a-package-with-a-name-that-is-longer-than-a-hundred-and-twenty-seven-characters/"
    "so-that-its-length-takes-two-bytes-in-front-of-the-text/Name;",
]


def _open(data: bytes) -> Dex:
    return Dex(memoryview(data))


def test_types_classes_methods_and_strings_are_read(make_dex: Make) -> None:
    dex = _open(
        make_dex(TYPES, classes=["La;"], methods=[("La;", "run")], strings=["https://x.org", "é"])
    )
    assert sorted(dex.types.get(i) for i in range(len(dex.types))) == sorted(TYPES)
    assert dex.classes() == ["La;"]
    assert [dex.types.get(i) for i, own in enumerate(dex.defined_types()) if own] == ["La;"]
    assert list(dex.methods()) == [Method(owner="La;", name="run")]
    assert {"https://x.org", "é", "run"} <= {dex.strings.get(i) for i in range(len(dex.strings))}
    assert dex.owners(dex.strings.with_prefix(b"run\0")) == {"La;"}
    assert dex.owners([]) == set()
    assert dex.types.get(10**6) == ""


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize(
    "prefix",
    [
        *("L", "[", "Ljava/", "Ljava/lan", "Ljava/lang/String;", "Lorg/tensorflow/lite/"),
        *("Lorg/tensorflow", "Lorg/tensorflow/lite/Interpreter", "Lorg/a-", "Lz", "zzzzzzzzzzzz"),
        *("La;", "Lorg/tensorflow/", ""),
    ],
)
def test_a_prefix_finds_what_a_plain_comparison_finds(
    make_dex: Make, prefix: str, in_order: bool
) -> None:
    dex = _open(make_dex(TYPES, in_order=in_order))
    found = sorted(dex.types.get(i) for i in dex.types.with_prefix(prefix.encode()))
    assert found == sorted(t for t in TYPES if t.startswith(prefix))


@settings(max_examples=60, deadline=None)
@given(
    texts=st.sets(st.text("ab/;", min_size=1, max_size=20), min_size=1, max_size=30),
    prefixes=st.sets(st.text("ab/;", min_size=1, max_size=20), min_size=1, max_size=10),
)
def test_many_prefixes_at_once_find_what_plain_comparisons_find(
    texts: set[str], prefixes: set[str]
) -> None:
    names = _open(_DEX(sorted(texts))).types
    found = names.with_prefixes(Prefixes([p.encode() for p in prefixes]))
    for prefix in prefixes:
        rows = found.get(prefix.encode(), [])
        assert {names.get(r) for r in rows} == {t for t in texts if t.startswith(prefix)}


_MAKERS: list[Make] = []


def _DEX(types: list[str]) -> bytes:  # noqa: N802  stands for the fixture, which hypothesis lacks
    return _MAKERS[0](types)


@pytest.fixture(autouse=True, scope="module")
def _keep_maker(make_dex: Make) -> None:
    _MAKERS.append(make_dex)


def test_every_version_is_recognised_and_nothing_else() -> None:
    assert is_dex(b"dex\n035\0")
    assert is_dex(b"dex\n041\0")
    assert not is_dex(b"dex\nabc\0")
    assert not is_dex(b"dey\n036\0")
    assert not is_dex(b"")


@pytest.mark.parametrize("data", [b"", b"dex\n035\0", b"not a dex file at all" * 10])
def test_what_is_no_dex_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match="dex"):
        _open(data)


@pytest.mark.parametrize("field", [0x38, 0x3C, 0x40, 0x44, 0x58, 0x5C, 0x60, 0x64])
@pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_tables_that_do_not_fit_are_cut_to_the_file(make_dex: Make, field: int, value: int) -> None:
    data = bytearray(make_dex(TYPES, classes=["La;"], methods=[("La;", "run")]))
    data[field : field + 4] = value.to_bytes(4, "little")
    _exercise(bytes(data))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_is_survived(data: st.DataObject) -> None:
    raw = bytearray(
        _MAKERS[0](TYPES, classes=["La;"], methods=[("La;", "run")], strings=["http://"])
    )
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(8, len(raw) - 1))] = data.draw(st.integers(0, 255))
    _exercise(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


def _exercise(data: bytes) -> None:
    try:
        dex = _open(data)
    except FormatError:
        return
    dex.classes()
    dex.defined_types()
    list(dex.methods())
    dex.owners(dex.strings.with_prefix(b"run\0"))
    for row in dex.types.with_prefix(b"Lorg/tensorflow/lite/"):
        assert dex.types.raw(row).startswith(b"Lorg/tensorflow/lite/")
    for row in dex.strings.with_prefix(b"http"):
        assert dex.strings.raw(row).startswith(b"http")

"""Native libraries of both widths and byte orders, whole, stripped and damaged."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaugenn.apps.elf import Library, Symbol
from gaugenn.errors import FormatError

Make = Callable[..., bytes]
NAMES = {
    "exports": ["OrtGetApiBase", "run"],
    "imports": ["malloc"],
    "needed": ["libc.so", "libOpenCL.so"],
    "soname": "libx.so",
}
EXPECTED = [
    Symbol(name="OrtGetApiBase", defined=True),
    Symbol(name="run", defined=True),
    Symbol(name="malloc", defined=False),
]


def _open(data: bytes) -> Library:
    return Library(memoryview(data))


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("sections", [True, False])
def test_names_are_read_in_every_layout(
    make_elf: Make, wide: bool, big: bool, sections: bool
) -> None:
    data = make_elf(b"N4ncnn5LayerE\0", wide=wide, big=big, sections=sections, **NAMES)
    library = _open(data)
    assert library.needed == ("libc.so", "libOpenCL.so")
    assert library.soname == "libx.so"
    assert library.symbols() == EXPECTED
    assert library.machine == (183 if wide else 40)
    assert library.stripped is not sections
    constants = b"".join(bytes(part) for part in library.constants)
    assert constants == (b"N4ncnn5LayerE\0" if sections else data)


@pytest.mark.parametrize("wide", [True, False])
def test_debug_sections_are_counted_and_never_beyond_the_file(make_elf: Make, wide: bool) -> None:
    assert _open(make_elf(b"x\0", wide=wide, **NAMES)).debug_bytes == 0
    data = make_elf(b"x\0", wide=wide, debug=bytes(100), **NAMES)
    assert _open(data).debug_bytes == 100
    lying = make_elf(b"x\0", wide=wide, debug=bytes(100), debug_claimed=1 << 31, **NAMES)
    assert 100 <= _open(lying).debug_bytes <= len(lying)


def test_offsets_of_names_that_are_no_symbols_are_told_apart(make_elf: Make) -> None:
    library = _open(make_elf(**NAMES))
    names = bytes(library.symbol_names())
    offsets = {names.index(b"malloc"), names.index(b"OrtGetApiBase"), names.index(b"libc.so")}
    assert library.symbols_at(offsets) == {
        names.index(b"malloc"): False,
        names.index(b"OrtGetApiBase"): True,
    }


@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF", b"\x7fELF\x09\x01" + bytes(60), b"\x7fELF\x02\x07" + bytes(60), b"MZ" * 40],
)
def test_what_is_no_elf_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match="ELF"):
        _open(data)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_is_survived(data: st.DataObject) -> None:
    make = _MAKERS[0]
    raw = bytearray(
        make(b"text\0", wide=data.draw(st.booleans()), sections=data.draw(st.booleans()), **NAMES)
    )
    for _ in range(data.draw(st.integers(0, 8))):
        raw[data.draw(st.integers(6, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        library = _open(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    except FormatError:
        return
    assert all(len(symbol.name) <= 4096 for symbol in library.symbols())
    library.symbols_at({1, 5, 10**9})
    assert sum(part.nbytes for part in library.constants) <= len(raw)


_MAKERS: list[Make] = []


@pytest.fixture(autouse=True, scope="module")
def _keep_maker(make_elf: Make) -> None:
    _MAKERS.append(make_elf)


def test_a_library_from_a_real_compiler_is_read(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed; install it with: apt-get install gcc")
    source = tmp_path / "x.c"
    source.write_text(
        '#include <stdio.h>\nint exported(void) { return puts("a constant of its own"); }\n'
    )
    target = tmp_path / "libx.so"
    command = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libother.so", "-o", target, source]
    subprocess.run(command, check=True)
    library = _open(target.read_bytes())
    assert library.soname == "libother.so"
    assert "libc.so.6" in library.needed
    names = {symbol.name: symbol.defined for symbol in library.symbols()}
    assert names["exported"]
    assert not names["puts"]
    assert any(b"a constant of its own" in bytes(part) for part in library.constants)
    assert not library.stripped


def test_sections_that_overlap_do_not_multiply_the_work(make_elf: Make) -> None:
    data = bytearray(make_elf(b"x" * 100, **NAMES))
    section_table = int.from_bytes(data[40:48], "little")
    row = bytes(data[section_table + 64 : section_table + 128])  # .rodata
    row = row[:24] + bytes(8) + (len(data) - 1).to_bytes(8, "little") + row[40:]
    crafted = data + row * 500
    crafted[40:48] = len(data).to_bytes(8, "little")
    crafted[60:64] = (501).to_bytes(2, "little") + (500).to_bytes(2, "little")
    crafted += bytes(data[section_table + 192 : section_table + 256])  # .shstrtab
    library = _open(bytes(crafted))
    assert not library.stripped
    assert sum(part.nbytes for part in library.constants) <= len(crafted)

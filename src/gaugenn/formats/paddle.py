"""Paddle's inference models: a program, and the values of its variables beside it."""

import re
from collections.abc import Mapping

from gaugenn.content import Content
from gaugenn.errors import FormatError, UnsupportedFormatError
from gaugenn.formats._contract import FormatReader
from gaugenn.formats._paddle_graph import program_graphs
from gaugenn.formats._paddle_program import TYPES, Program, Variable, read_program, read_values
from gaugenn.formats._protobuf import LENGTH, VARINT, HeadField, head_fields
from gaugenn.formats._weights_only import weights_model
from gaugenn.graph import Model, Tensor

_ZEROS = bytes(16)
_LARGEST_DESCRIPTION = 1 << 10
_NEWER = re.compile(rb'\s*\{\s*"base_code"\s*:\s*\{\s*"magic"\s*:\s*"pir"')
_BESIDE = ("__params__", "params", "weights")
_VARIABLE = re.compile(r"[\w.@-]+[._](?:[wb]_\d+|mean|variance|scale|offset|weights|biases?)")
_MOST_FILES = 4096


class PaddleReader(FormatReader):
    """Reads `.pdmodel` or `__model__`, with all values in one file beside it or each in its own.

    A file of values alone has no names, so its tensors are numbered. Programs of Paddle 3 in JSON are
    recognised and not read.
    """

    title = "Paddle"
    spec = (
        "https://github.com/PaddlePaddle/Paddle/blob/develop/paddle/phi/core/framework/"
        "framework.proto"
    )
    suffixes = (".pdmodel", ".pdiparams")
    weights_suffixes = (".pdiparams",)

    def sniff(self, name: str, head: bytes) -> bool:
        """By the first block of a program, or the head of the first value."""
        del name
        return _is_program(head) or _is_values(head) or _NEWER.match(head) is not None

    def graph_names(self, name: str) -> tuple[str, ...]:
        """`__model__`, of values in one file or each in its own."""
        alone = name in _BESIDE or _VARIABLE.fullmatch(name)
        return ("__model__", "model") if alone else ()

    def companions(self, content: Content) -> tuple[Content, ...]:
        """The values, by the program's name or by their own.

        Raises:
            FormatError: the program is broken.
        """
        if not _is_program(content.head(4096)):
            return ()
        whole = content.sibling(".pdiparams")
        if whole is None and not content.has_suffix(".pdmodel"):
            whole = next(filter(None, map(content.beside, _BESIDE)), None)
        if whole is not None:
            return (whole,)
        names = list(read_program(content.data).held())[:_MOST_FILES]
        found = (content.beside(name) for name in names)
        return tuple(each for each in found if each is not None and _is_values(each.head(4096)))

    def read(self, content: Content) -> Model:
        """Reads the program, and the values where they lie beside it.

        Raises:
            FormatError: a program that is cut off or contradicts itself, or values of another.
            UnsupportedFormatError: the JSON of Paddle 3.
        """
        head = content.head(4096)
        if _NEWER.match(head):
            raise UnsupportedFormatError(
                f"{content.name}: a program in the JSON of Paddle 3 (PIR), which is not read; save it "
                "with FLAGS_enable_pir_api=0, or convert it to ONNX"
            )
        if _is_values(head):
            return weights_model("paddle", "", read_values(content.data))
        program = read_program(content.data)
        companions = self.companions(content)
        values = _named(program, companions)
        held = program.held()
        return Model(
            format="paddle",
            format_version=program.version,
            producer=f"Paddle {program.version}" if program.version else "",
            graphs=program_graphs(program, values),
            companions=tuple(each.file_name for each in companions),
            notes=("weights-absent",) if set(held) - set(values) else (),
        )


def _named(program: Program, companions: tuple[Content, ...]) -> Mapping[str, Tensor]:
    """The values by variable.

    Raises:
        FormatError: their number or shapes are not the program's.
    """
    held = program.held()
    if not companions:
        return {}
    found: dict[str, Tensor] = {}
    if len(companions) == 1 and companions[0].file_name not in held:
        values = read_values(companions[0].data)
        names = list(held)
        if len(names) != len(values):  # some programs declare what no operator takes
            taken = {
                name
                for block in program.blocks
                for operator in block.operators
                for names_ in operator.inputs.values()
                for name in names_
            }
            names = [name for name in names if name in taken]
        if len(names) != len(values):
            raise FormatError(
                f"{companions[0].name}: {len(values)} values for {len(held)} variables; "
                "these are the weights of another program"
            )
        found = dict(zip(names, values, strict=True))
    else:
        for each in companions:
            values = read_values(each.data)
            if len(values) != 1:
                raise FormatError(f"{each.name}: {len(values)} values, expected one")
            found[each.file_name] = values[0]
    for name, value in found.items():
        _check(held[name], value)
    return found


def _check(variable: Variable, value: Tensor) -> None:
    shape = variable.shape or ()
    fits = len(shape) == len(value.shape or ()) and all(
        a == b or isinstance(a, str) for a, b in zip(shape, value.shape or (), strict=True)
    )
    if not fits:
        raise FormatError(
            f"the Paddle variable {variable.name[:80]!r} is {shape}, its value {value.shape}; "
            "these are the weights of another program"
        )


def _is_program(head: bytes) -> bool:
    """A block with its number (0) and its parent (-1), then a variable or an operator."""
    try:
        block = next(head_fields(head), None)
        if block is None or (block.number, block.wire) != (1, LENGTH):
            return False
        for position, field in enumerate(head_fields(block.data)):
            if position < 2:
                if (field.number, field.wire) != (position + 1, VARINT):
                    return False
                if field.value != (0, (1 << 64) - 1)[position]:
                    return False
            else:
                return _is_variable(field) or _is_operator(field)
    except FormatError:
        pass
    return False


def _is_variable(field: HeadField) -> bool:
    inner = list(head_fields(field.data))
    return field.number == 3 and [each.number for each in inner[:2]] == [1, 2]


def _is_operator(field: HeadField) -> bool:
    inner = next(head_fields(field.data), None)
    return field.number == 4 and inner is not None and inner.number in (1, 2, 3)


def _is_values(head: bytes) -> bool:
    """Zeros, then a short description that begins with a known type of elements."""
    if not head.startswith(_ZEROS) or len(head) < 22:
        return False
    size = int.from_bytes(head[16:20], "little")
    try:
        fields = list(head_fields(head[20 : 20 + size], whole=True))
    except FormatError:
        return False
    kinds = [(field.number, field.value in TYPES) for field in fields[:1]]
    return (
        0 < size <= _LARGEST_DESCRIPTION
        and kinds == [(1, True)]
        and all(field.number in (1, 2) for field in fields)
    )

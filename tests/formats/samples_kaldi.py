"""Kaldi samples, put together by hand from the documented layout."""

import struct

import numpy as np

from tests.formats.samples import Sample

TEXT = """
input-node name=ivector dim=2
input-node name=input dim=4
component-node name=lda component=lda input=Append(Offset(input,-1),input,ReplaceIndex(ivector,t,0))
component-node name=tdnn.affine component=tdnn.affine input=lda
component-node name=tdnn.relu component=tdnn.relu input=tdnn.affine
component-node name=tdnn.norm component=tdnn.norm input=tdnn.relu
dim-range-node name=part input-node=tdnn.norm dim-offset=1 dim=5
component-node name=small component=small input=part
component-node name=back component=back input=Sum(Scale(0.5, small), Offset(small, -3))
component-node name=odd component=odd input=back
output-node name=output input=odd objective=linear
"""


def whole(value: int) -> bytes:
    """A number with its width before it."""
    return b"\4" + struct.pack("<i", value)


def matrix(*shape: int) -> bytes:
    """A matrix or a vector."""
    values = np.random.default_rng(sum(shape)).normal(size=shape).astype("<f4")
    return (b"FM " if len(shape) == 2 else b"FV ") + b"".join(map(whole, shape)) + values.tobytes()


def component(name: str, kind: str, *parts: tuple[str, bytes]) -> bytes:
    """A component with its tokens and values."""
    inner = b"".join(f"<{token}> ".encode() + value for token, value in parts)
    head = f"<ComponentName> {name} <{kind}Component> ".encode()
    return head + b"<LearningRate> \4\0\0\0\0" + inner + f"</{kind}Component> ".encode()


def components() -> list[bytes]:
    """What the nodes of the text compute."""
    offsets = b"\4" + struct.pack("<3i", 2, -1, 0)
    return [
        component("lda", "FixedAffine", ("LinearParams", matrix(6, 10)), ("BiasParams", matrix(6))),
        component(
            *("tdnn.affine", "Tdnn"),
            ("TimeOffsets", offsets),
            ("LinearParams", matrix(8, 12)),
            ("BiasParams", matrix(8)),
        ),
        component("tdnn.relu", "RectifiedLinear", ("Dim", whole(8))),
        component(
            *("tdnn.norm", "BatchNorm"),
            ("Dim", whole(8)),
            ("StatsMean", matrix(8)),
            ("StatsVar", matrix(8)),
        ),
        component("small", "Linear", ("Params", matrix(3, 5))),
        component(
            *("back", "NaturalGradientAffine"),
            ("LinearParams", matrix(7, 3)),
            ("BiasParams", matrix(7)),
        ),
        component("odd", "Pnorm", ("InputDim", whole(7)), ("OutputDim", whole(7))),
    ]


def network(text: str = TEXT, parts: list[bytes] | None = None) -> bytes:
    """The network in a model, behind its transitions."""
    held = components() if parts is None else parts
    head = b"\0B<TransitionModel> <Topology> " + bytes(40) + b"</TransitionModel> <Nnet3> "
    counted = b"<NumComponents> " + whole(len(held))
    return (
        head
        + text.encode()
        + b"\n"
        + counted
        + b"".join(held)
        + b"</Nnet3> <LeftContext> "
        + whole(3)
    )


def samples() -> tuple[Sample, ...]:
    """A network with transitions, and one that takes its own past."""
    loop = TEXT.replace("input=lda\n", "input=Sum(lda, Offset(tdnn.norm, -1))\n")
    loop = loop.replace("Sum(lda, Offset(tdnn.norm, -1))", "Append(lda, Offset(back, -3))")
    parts = components()
    parts[1] = component("tdnn.affine", "Affine", ("LinearParams", matrix(8, 13)))
    return (
        Sample(name="model", format="kaldi", source=network, file_name="final.mdl"),
        Sample(
            name="recurrent",
            format="kaldi",
            source=lambda: network(loop, parts),
            file_name="final.mdl",
        ),
    )

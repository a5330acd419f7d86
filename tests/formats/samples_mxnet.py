"""MXNet samples, put together by hand from the documented layout."""

import json
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from tests.formats.samples import Sample

Json = dict[str, object]
_TYPES = {"f": 0, "d": 1, "e": 2, "B": 3, "i": 4, "b": 5, "l": 6, "q": 6}


def node(op: str, name: str, inputs: Sequence[Sequence[int]] = (), **attrs: str) -> Json:
    """A node; its attributes are texts."""
    found: Json = {"op": op, "name": name}
    if attrs:
        found["attrs"] = attrs
    return {**found, "inputs": [list(each) for each in inputs]}


def symbol(nodes: Sequence[Json], heads: Sequence[Sequence[int]], version: int = 10901) -> bytes:
    """A graph."""
    places = [place for place, each in enumerate(nodes) if each["op"] == "null"]
    found = {
        "nodes": list(nodes),
        "arg_nodes": places,
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [list(head) for head in heads],
        "attrs": {"mxnet_version": ["int", version]},
    }
    return json.dumps(found, indent=2).encode()


def network() -> bytes:
    """A classifier whose input was given a shape."""
    return symbol(
        [
            node("null", "data", __shape__="(1, 3, 8, 8)", __dtype__="0"),
            node("null", "conv_weight"),
            node("null", "conv_bias"),
            node(
                "Convolution",
                "conv",
                ((0, 0, 0), (1, 0, 0), (2, 0, 0)),
                kernel="(3, 3)",
                stride="(2, 2)",
                pad="(1, 1)",
                num_filter="4",
                no_bias="False",
            ),
            *(node("null", f"bn_{name}") for name in ("gamma", "beta", "moving_mean")),
            node("null", "bn_moving_var", __init__='["ones", {}]'),
            node("BatchNorm", "bn", [(at, 0, 0) for at in (3, 4, 5, 6, 7)], eps="0.001"),
            node("Activation", "relu", ((8, 0, 0),), act_type="relu"),
            node("SliceChannel", "halves", ((9, 0, 0),), num_outputs="2", axis="1"),
            node("Concat", "joined", ((10, 1, 0), (10, 0, 0)), num_args="2", dim="1"),
            node("_mul_scalar", "scaled", ((11, 0, 0),), scalar="0.5"),
            node(
                "Pooling",
                "pool",
                ((12, 0, 0),),
                global_pool="True",
                kernel="(1, 1)",
                pool_type="avg",
            ),
            node("null", "fc_weight"),
            node("FullyConnected", "fc", ((13, 0, 0), (14, 0, 0)), num_hidden="5", no_bias="True"),
            node("null", "softmax_label"),
            node("SoftmaxOutput", "softmax", ((15, 0, 0), (16, 0, 0))),
        ],
        ((17, 0, 0),),
    )


def array(values: np.ndarray, version: int = 2) -> bytes:
    """An array of a version; 0 is the oldest."""
    wide = "Q" if version else "I"
    head = struct.pack("<I", 0xF993FAC7 + version) if version else b""
    head += struct.pack("<i", 0) if version >= 2 else b""
    head += struct.pack(f"<I{values.ndim}{wide}", values.ndim, *values.shape)
    return head + struct.pack("<iii", 1, 0, _TYPES[values.dtype.char]) + values.tobytes()


def arrays(held: Mapping[str, np.ndarray], version: int = 2) -> bytes:
    """A file of arrays."""
    head = struct.pack("<QQQ", 0x112, 0, len(held))
    names = b"".join(struct.pack("<Q", len(name)) + name.encode() for name in held)
    body = b"".join(array(values, version) for values in held.values())
    return head + body + struct.pack("<Q", len(held)) + names


def weights() -> dict[str, np.ndarray]:
    """What the network of `network` learned."""
    generator = np.random.default_rng(11)
    shapes = {
        "arg:conv_weight": (4, 3, 3, 3),
        "arg:conv_bias": (4,),
        "arg:bn_gamma": (4,),
        "arg:bn_beta": (4,),
        "aux:bn_moving_mean": (4,),
        "aux:bn_moving_var": (4,),
        "arg:fc_weight": (5, 4),
    }
    return {name: generator.normal(size=shape).astype("<f4") for name, shape in shapes.items()}


def samples() -> tuple[Sample, ...]:
    """A graph with its arrays and without, and arrays alone."""
    return (
        Sample(
            name="pair",
            format="mxnet",
            source=network,
            file_name="net-symbol.json",
            neighbours={"net-0003.params": arrays(weights())},
        ),
        Sample(name="alone", format="mxnet", source=network, file_name="net-symbol.json"),
        Sample(
            name="arrays",
            format="mxnet",
            source=lambda: arrays(weights()),
            file_name="net-0000.params",
        ),
    )

"""Shapes of matrix products, recurrent layers and attention."""

from gaugenn.analysis._node_view import (
    MICROSOFT_DOMAIN,
    NodeView,
    Rule,
    Shape,
    UnknownShapeError,
    broadcast,
    check,
    elements,
    floor_div,
)

PRODUCTS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("MatMul", "MatMulInteger", "FusedMatMul", "FusedMatMulActivation"), (0, 1)),
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "TransposeMatMul"), (0, 1)),
    **dict.fromkeys(("MatMulInteger16", "GemmFloat8", "SparseToDenseMatMul"), (0, 1)),
    "QLinearMatMul": (0, 3),
    "QGemm": (0, 3),
    "Gemm": (0, 1),
    "FusedGemm": (0, 1),
}
"""Matrix products and the positions of their two factors."""

BLOCKWISE = frozenset({"MatMulNBits", "MatMulBnb4", "MatMulFpQ4"})
"""Products with a packed weight matrix whose true sizes are the attributes K and N."""

GATES = {"LSTM": 4, "DynamicQuantizeLSTM": 4, "GRU": 3, "RNN": 1}
"""Matrices per direction that a recurrent layer's weights stack."""


_LONGEST_EQUATION = 1024


def matmul(left: Shape, right: Shape) -> Shape:
    """Shape of numpy's matrix product.

    **Source:** https://numpy.org/doc/stable/reference/generated/numpy.matmul.html
    """
    if not left or not right:
        raise UnknownShapeError("a matrix product with a scalar")
    rows = left[-2:-1] if len(left) > 1 else ()
    columns = right[-1:] if len(right) > 1 else ()
    depth = right[-2] if len(right) > 1 else right[-1]
    if left[-1] != depth:
        raise UnknownShapeError(f"{left} and {right} cannot be multiplied")
    return broadcast([left[:-2], right[:-2]]) + rows + columns


def factors(view: NodeView) -> tuple[Shape, Shape]:
    """The shapes of a matrix product's two factors as they are multiplied."""
    first, second = PRODUCTS[view.kind]
    left, right = view.shape(first), view.shape(second)
    if view.flag("transBatchA"):
        left = (*left[1:-1], left[0], left[-1])
    if view.flag("transBatchB"):
        right = (*right[1:-1], right[0], right[-1])
    if view.flag("transA"):
        left = _transposed(left)
    if view.flag("transB"):
        right = _transposed(right)
    return left, right


def _transposed(shape: Shape) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if len(shape) > 1 else shape


def _matmul(view: NodeView) -> list[Shape | None]:
    if "keep_num_dims" in view.node.attributes:
        return _gemm(view)
    return [matmul(*factors(view))]


def _gemm(view: NodeView) -> list[Shape | None]:
    """A fully connected layer: rows that are too long or too short are cut anew."""
    left, right = factors(view)
    if len(right) != 2:
        return [matmul(left, right)]
    depth, width = right
    if view.flag("keep_num_dims", True) and left and left[-1] == depth:
        return [(*left[:-1], width)]
    if depth <= 0 or elements(left) % depth:
        raise UnknownShapeError(f"{left} and {right} cannot be multiplied")
    return [(elements(left) // depth, width)]


def _blockwise(view: NodeView) -> list[Shape | None]:
    return [check((*view.shape(0)[:-1], *view.required("N")))]


def _einsum(view: NodeView) -> list[Shape | None]:
    terms, result, sizes = einsum_terms(view)
    del terms
    return [tuple(size for label in result for size in sizes[label])]


def einsum_terms(view: NodeView) -> tuple[list[list[str]], list[str], dict[str, Shape]]:
    """The labels of an Einsum node's operands and result, and each label's size.

    The label `...` stands for any number of dimensions, every other for one.

    **Source:** https://onnx.ai/onnx/operators/onnx__Einsum.html
    """
    equation = view.text("equation").replace(" ", "")
    if len(equation) > _LONGEST_EQUATION:
        raise UnknownShapeError(f"an equation of {len(equation)} characters")
    left, arrow, right = equation.partition("->")
    terms = [_labels(term) for term in left.split(",")]
    shapes = view.present_shapes()
    if len(terms) != len(shapes):
        raise UnknownShapeError(f"{equation!r} has {len(terms)} terms for {len(shapes)} inputs")
    sizes: dict[str, Shape] = {"...": ()}
    for labels, shape in zip(terms, shapes, strict=True):
        hidden = len(shape) - sum(label != "..." for label in labels)
        if hidden < 0 or (hidden and "..." not in labels):
            raise UnknownShapeError(f"{equation!r} does not fit a tensor of {shape}")
        position = 0
        for label in labels:
            width = hidden if label == "..." else 1
            found = shape[position : position + width]
            sizes[label] = broadcast([sizes.get(label, ()), found])
            position += width
    if arrow:
        result = _labels(right)
    else:
        flat = [label for labels in terms for label in labels]
        once = sorted(label for label in set(flat) if flat.count(label) == 1 and label != "...")
        result = [*(["..."] if "..." in flat else []), *once]
    if any(label not in sizes for label in result):
        raise UnknownShapeError(f"{equation!r} makes a label from nothing")
    return terms, result, sizes


def _labels(term: str) -> list[str]:
    head, dots, tail = term.partition("...")
    return [*head, *(["..."] if dots else []), *tail]


def recurrent_sizes(view: NodeView) -> tuple[int, int, int, int]:
    """(steps, batch, directions, hidden size) of an ONNX recurrent layer.

    **Source:** https://onnx.ai/onnx/operators/onnx__LSTM.html
    """
    data = view.shape(0)
    if len(data) != 3:
        raise UnknownShapeError(f"a recurrent layer over {data}")
    steps, batch = (data[1], data[0]) if view.flag("layout") else (data[0], data[1])
    directions = 2 if view.text("direction") == "bidirectional" else 1
    hidden = view.ints("hidden_size")
    if hidden is None:
        hidden = (floor_div(view.shape(1)[-2], GATES[view.kind]),)
    return steps, batch, directions, hidden[0]


def _recurrent(view: NodeView) -> list[Shape | None]:
    if not view.has(1):
        return _gatewise_recurrent(view)
    if view.flag("merge_outputs"):
        recurrent = view.shape(2)
        return [(*view.shape(0)[:-1], recurrent[0] * recurrent[-1])]
    steps, batch, directions, hidden = recurrent_sizes(view)
    if view.flag("layout"):
        state: Shape = (batch, directions, hidden)
        return [(batch, steps, directions, hidden), state, state]
    state = (directions, batch, hidden)
    return [(steps, directions, batch, hidden), state, state]


def _gatewise_recurrent(view: NodeView) -> list[Shape | None]:
    """A layer with a weight matrix a gate has no dimension for directions."""
    data = view.shape(0)
    hidden = view.required("hidden_size")[0]
    if view.flag("merge_outputs"):
        return [(*data[:-1], 2 * hidden)]
    return [(*data[:-1], hidden)] * view.outputs


def _attention(view: NodeView) -> list[Shape | None]:
    """ONNX Attention (operator set 23); `com.microsoft`'s namesake has weights as second input.

    **Source:** https://onnx.ai/onnx/operators/onnx__Attention.html
    """
    if view.node.domain == MICROSOFT_DOMAIN:
        return _projected_attention(view)
    query, key, value = view.shape(0), view.shape(1), view.shape(2)
    past = view.optional_shape(4)
    if len(query) == 3:
        heads = view.integer("q_num_heads", 1)
        key_heads = view.integer("kv_num_heads", heads)
        width = floor_div(value[2], key_heads)
        total = key[1] + (past[2] if past else 0)
        return [
            (query[0], query[1], heads * width),
            (key[0], key_heads, total, floor_div(key[2], key_heads)),
            (value[0], key_heads, total, width),
            (query[0], heads, query[1], total),
        ]
    if len(query) != 4:
        raise UnknownShapeError(f"attention over {query}")
    total = key[2] + (past[2] if past else 0)
    return [
        (*query[:3], value[3]),
        (*key[:2], total, key[3]),
        (*value[:2], total, value[3]),
        (*query[:3], total),
    ]


def _projected_attention(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    sizes = view.ints("qkv_hidden_sizes")
    width = sizes[2] if sizes and len(sizes) == 3 else floor_div(view.shape(1)[-1], 3)
    index = 8 if view.kind == "QAttention" else 4
    past = view.optional_shape(index)
    heads = view.integer("num_heads", 1)
    length = data[1] + (past[3] if past and len(past) == 5 else 0)
    present: Shape = (2, data[0], heads, length, floor_div(width, heads))
    return [(*data[:-1], width), present]


def _multi_head_attention(view: NodeView) -> list[Shape | None]:
    query = view.shape(0)
    heads = view.integer("num_heads", 1)
    key, value = view.optional_shape(1), view.optional_shape(2)
    if len(query) == 5:  # packed: (batch, length, heads, 3, head size)
        width, length = query[2] * query[4], query[1]
    else:
        width = value[-1] if value and len(value) == 3 else query[-1]
        if value and len(value) == 4:
            width = value[1] * value[3]
        source = key or query
        length = source[2] if len(source) == 4 else source[1]
    past = view.optional_shape(6)
    length += past[2] if past and len(past) == 4 else 0
    present: Shape = (query[0], heads, length, floor_div(width, heads))
    return [(query[0], query[1], width), present, present]


def _group_query_attention(view: NodeView) -> list[Shape | None]:
    query = view.shape(0)
    heads, key_heads = view.integer("num_heads", 1), view.integer("kv_num_heads", 1)
    packed = not view.has(1)
    head = floor_div(query[-1], heads + 2 * key_heads if packed else heads)
    past = view.optional_shape(3)
    length = query[1] + (past[2] if past and len(past) == 4 else 0)
    present: Shape = (query[0], key_heads, length, head)
    return [(query[0], query[1], heads * head), present, present]


def _flex_attention(view: NodeView) -> list[Shape | None]:
    return [(*view.shape(0)[:-1], view.shape(2)[-1])]


def linear_attention_sizes(view: NodeView) -> tuple[int, int, int, int]:
    """(query heads, key heads, key width, value width) of a LinearAttention node."""
    heads, key_heads = view.required("q_num_heads")[0], view.required("kv_num_heads")[0]
    return (
        heads,
        key_heads,
        floor_div(view.shape(1)[-1], key_heads),
        floor_div(view.shape(2)[-1], key_heads),
    )


def _linear_attention(view: NodeView) -> list[Shape | None]:
    query = view.shape(0)
    heads, key_heads, width, value_width = linear_attention_sizes(view)
    return [(*query[:-1], heads * value_width), (query[0], key_heads, width, value_width)]


def _causal_convolution(view: NodeView) -> list[Shape | None]:
    data, weights = view.shape(0), view.shape(1)
    return [data, check((*data[:-1], weights[-1] - 1))]


def _determinant(view: NodeView) -> list[Shape | None]:
    return [view.shape(0)[:-2]]


RULES: dict[str, Rule] = {
    **dict.fromkeys(PRODUCTS, _matmul),
    **dict.fromkeys(("Gemm", "FusedGemm", "QGemm", "GemmFloat8"), _gemm),
    **dict.fromkeys(BLOCKWISE, _blockwise),
    "Einsum": _einsum,
    **dict.fromkeys(GATES, _recurrent),
    "Attention": _attention,
    "QAttention": _projected_attention,
    **dict.fromkeys(
        ("MultiHeadAttention", "DecoderMaskedMultiHeadAttention"), _multi_head_attention
    ),
    "GroupQueryAttention": _group_query_attention,
    "FlexAttention": _flex_attention,
    "LinearAttention": _linear_attention,
    "CausalConvWithState": _causal_convolution,
    "Det": _determinant,
}
"""Rules by ONNX operator name, Microsoft's extensions included.

**Source:** https://onnx.ai/onnx/operators/ and
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

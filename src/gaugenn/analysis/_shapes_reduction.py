"""Shapes of reductions, searches, losses, signal processing, text and classical learning."""

from gaugenn.analysis._node_view import (
    NodeView,
    Rule,
    Shape,
    UnknownShapeError,
    check,
    elements,
    floor_div,
    replaced,
    without,
    wrap,
)

REDUCTIONS = frozenset(
    """
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare ReduceSumInteger
    """.split()  # noqa: SIM905
)
"""Operators that combine elements along axes."""


def reduced_axes(view: NodeView) -> tuple[int, ...]:
    """The axes that a reduction removes; all by default."""
    rank = len(view.shape(0))
    axes = view.ints("axes", 1)
    if axes is None and isinstance(view.node.attributes.get("axis"), int):
        axes = view.ints("axis")
    if not axes:
        return () if view.flag("noop_with_empty_axes") else tuple(range(rank))
    return tuple(wrap(axis, rank) for axis in axes)


def _reduce(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    axes = set(reduced_axes(view))
    if view.flag("keepdims", True):
        return [tuple(1 if i in axes else size for i, size in enumerate(data))]
    return [tuple(size for i, size in enumerate(data) if i not in axes)]


def _arg_reduce(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    axis = view.integer("axis", 0, 1)
    keep = view.flag("keepdims", True)
    return [replaced(data, axis, 1) if keep else without(data, axis)]


def _top_k(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    kept = check(replaced(data, view.integer("axis", -1), view.required("k", 1)[0]))
    return [kept, kept]


def _non_max_suppression(view: NodeView) -> list[Shape | None]:
    view.assume("NonMaxSuppression keeps one box")
    return [(1, 3)]


def _multinomial(view: NodeView) -> list[Shape | None]:
    return [check((view.shape(0)[0], view.integer("sample_size", 1)))]


def _loss(view: NodeView) -> list[Shape | None]:
    labels = view.shape(1)
    return [labels if view.text("reduction", "mean") == "none" else (), view.shape(0)]


def _window(view: NodeView) -> list[Shape | None]:
    return [check(view.required("size", 0))]


def _mel_weights(view: NodeView) -> list[Shape | None]:
    bins, length = view.required("num_mel_bins", 0)[0], view.required("dft_length", 1)[0]
    return [check((length // 2 + 1, bins))]


def _dft(view: NodeView) -> list[Shape | None]:
    """**Source:** https://onnx.ai/onnx/operators/onnx__DFT.html."""
    data = view.shape(0)
    axis = view.ints("axis", 2)
    place = wrap(axis[0] if axis else (-2 if view.has(2) or len(data) > 2 else 1), len(data))
    inverse, onesided = view.flag("inverse"), view.flag("onesided")
    whole = 2 * (data[place] - 1) if onesided and inverse else data[place]
    length = view.integer("dft_length", whole, 1)
    if onesided and not inverse:
        length = length // 2 + 1
    last = 1 if onesided and inverse else 2
    return [check((*replaced(data, place, length)[:-1], last))]


def _stft(view: NodeView) -> list[Shape | None]:
    """**Source:** https://onnx.ai/onnx/operators/onnx__STFT.html."""
    signal = view.shape(0)
    step = view.required("frame_step", 1)[0]
    window = view.optional_shape(2)
    length = window[0] if window else view.required("frame_length", 3)[0]
    frames = floor_div(signal[1] - length, step) + 1
    bins = length // 2 + 1 if view.flag("onesided", True) else length
    return [check((signal[0], frames, bins, 2))]


def _fourier(view: NodeView) -> list[Shape | None]:
    data = view.shape(0)
    rank = view.integer("signal_ndim", 1)
    if view.kind == "Rfft":
        return [(*data[:-1], data[-1] // 2 + 1, 2)]
    if rank != 1 or len(data) < 2:
        raise UnknownShapeError("only one-dimensional signals")
    return [(*data[:-2], (data[-2] - 1) * 2)]


def _tf_idf(view: NodeView) -> list[Shape | None]:
    width = max(view.required("ngram_indexes"), default=-1) + 1
    return [(*view.shape(0)[:-1], width)]


def _string_split(view: NodeView) -> list[Shape | None]:
    view.assume("StringSplit finds one part")
    return [(*view.shape(0), 1), view.shape(0)]


def _rows(data: Shape) -> int:
    return data[0] if len(data) > 1 else 1


def class_count(view: NodeView) -> int:
    """How many classes a classifier of the `ai.onnx.ml` domain tells apart."""
    for name in ("classlabels_ints", "classlabels_int64s", "classlabels_strings"):
        labels = view.node.attributes.get(name)
        if isinstance(labels, tuple) and labels:
            return len(labels)
    raise UnknownShapeError("the classes are not listed")


def _classifier(view: NodeView) -> list[Shape | None]:
    rows = _rows(view.shape(0))
    return [(rows,), (rows, class_count(view))]


def _regressor(view: NodeView) -> list[Shape | None]:
    targets = view.integer("targets", view.integer("n_targets", 1))
    return [check((_rows(view.shape(0)), targets))]


def _svm_regressor(view: NodeView) -> list[Shape | None]:
    return [(_rows(view.shape(0)), 1)]


def _one_hot_encoder(view: NodeView) -> list[Shape | None]:
    for name in ("cats_int64s", "cats_strings"):
        categories = view.node.attributes.get(name)
        if isinstance(categories, tuple) and categories:
            return [(*view.shape(0), len(categories))]
    raise UnknownShapeError("the categories are not listed")


def _feature_vectorizer(view: NodeView) -> list[Shape | None]:
    shapes = view.present_shapes()
    width = sum(elements(shape[1:]) if len(shape) > 1 else 1 for shape in shapes)
    return [(_rows(shapes[0]) if shapes else 1, width)]


def _same(view: NodeView) -> list[Shape | None]:
    return [view.shape(0)]


def _string_normalizer(view: NodeView) -> list[Shape | None]:
    if view.node.attributes.get("stopwords"):
        view.assume("StringNormalizer drops no word")
    return [view.shape(0)]


def _image_decoder(view: NodeView) -> list[Shape | None]:
    declared = view.declared[0] if view.declared else None
    if declared is not None:
        return [declared]
    view.assume("the decoded image has one pixel")
    return [(1, 1, 1 if view.text("pixel_format", "RGB") == "Grayscale" else 3)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(REDUCTIONS, _reduce),
    "QLinearReduceMean": _reduce,
    "ArgMax": _arg_reduce,
    "ArgMin": _arg_reduce,
    "TopK": _top_k,
    "NonMaxSuppression": _non_max_suppression,
    "Multinomial": _multinomial,
    "SoftmaxCrossEntropyLoss": _loss,
    "NegativeLogLikelihoodLoss": _loss,
    **dict.fromkeys(("BlackmanWindow", "HammingWindow", "HannWindow"), _window),
    "MelWeightMatrix": _mel_weights,
    "DFT": _dft,
    "STFT": _stft,
    "Rfft": _fourier,
    "Irfft": _fourier,
    "TfIdfVectorizer": _tf_idf,
    "StringSplit": _string_split,
    "StringNormalizer": _string_normalizer,
    "ImageDecoder": _image_decoder,
    **dict.fromkeys(("TreeEnsembleClassifier", "LinearClassifier", "SVMClassifier"), _classifier),
    **dict.fromkeys(("TreeEnsembleRegressor", "TreeEnsemble", "LinearRegressor"), _regressor),
    "SVMRegressor": _svm_regressor,
    "OneHotEncoder": _one_hot_encoder,
    "FeatureVectorizer": _feature_vectorizer,
    "ZipMap": _same,
    "CastMap": _same,
}
"""Rules by ONNX operator name, the classical-learning domain included.

**Source:** https://onnx.ai/onnx/operators/
"""

"""Architecture families by the patterns of their blocks.

A network is called by its whole, not by its backbone: what makes a detector or a segmenter weighs more
(0.9 and up) than the pattern of the layers below.

**Source:** the papers that introduced the families, named at each rule.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gaugenn.analysis._portrait import Block, Portrait
from gaugenn.records import LayerClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A reason to believe something of a model.

    Attributes:
        subject: a modality, a task or a family.
        weight: 0 to 1; how far the reason alone would convince.
        reason: a short text for the evidence.
    """

    subject: str
    weight: float
    reason: str


def family_votes(seen: Portrait) -> list[Vote]:
    """What the blocks say about the family."""
    return [vote for rule in _RULES for vote in rule(seen)]


def _vote(subject: str, weight: float, reason: str) -> Vote:
    return Vote(subject=subject, weight=weight, reason=reason)


def _sources(seen: Portrait, block: Block) -> list[Block]:
    return [seen.blocks[position] for position in block.sources if position >= 0]


def _only_source(seen: Portrait, block: Block) -> Block | None:
    sources = _sources(seen, block)
    return sources[0] if len(sources) == 1 else None


def _users(seen: Portrait, position: int) -> list[Block]:
    return [seen.blocks[user] for user in seen.users[position]]


def inverted_residuals(seen: Portrait) -> list[Block]:
    """Depthwise blocks between an expansion and a projection, both 1x1; the depthwise is given."""
    found = []
    for position, block in enumerate(seen.blocks):
        if block.kind != "depthwise":
            continue
        before = _only_source(seen, block)
        expands = before is not None and before.is_pointwise
        wide = block.channels_in
        if not expands or before is None or not 0 < before.channels_in < wide:
            continue
        if any(user.is_pointwise and user.channels_out < wide for user in _after(seen, position)):
            found.append(block)
    return found


def _after(seen: Portrait, position: int) -> list[Block]:
    """The blocks behind one, and behind the gate that its output may pass."""
    direct = _users(seen, position)
    gated = [
        other for user in seen.users[position] if seen.blocks[user].kind == "Mul"
        for other in _users(seen, user)
    ]  # fmt: skip
    return direct + gated


def gates(seen: Portrait) -> int:
    """Squeeze-and-excitation: products with what two small layers make of a global pool."""
    return sum(
        block.kind == "Mul"
        and any(
            (first := _only_source(seen, source)) is not None
            and source.kind in ("conv", "dense")
            and first.kind in ("conv", "dense")
            and (pool := _only_source(seen, first)) is not None
            and pool.kind in ("global-pool", "pool")
            for source in _sources(seen, block)
        )
        for block in seen.blocks
    )


def _mobilenets(seen: Portrait) -> Iterator[Vote]:
    """https://arxiv.org/abs/1704.04861, 1801.04381, 1905.02244, 2404.10518, 1905.11946, 1807.11626.

    EfficientNet-Lite and ProxylessNAS have the blocks of MnasNet and go by its name.
    """
    depthwise = [block for block in seen.blocks if block.kind == "depthwise"]
    flat = [block for block in depthwise if len(block.kernel) == 2]
    inverted = inverted_residuals(seen)
    sums = seen.count("Add")
    if len(inverted) >= 3:
        gated = gates(seen)
        large = sum(max(block.kernel, default=0) >= 5 for block in inverted)
        reason = f"{len(inverted)} inverted residuals"
        hard = seen.kinds["HardSwish"] + seen.kinds["HardSigmoid"] + seen.kinds["HARD_SWISH"]
        early = sum(
            block.is_pointwise and any(s.kind == "depthwise" for s in _sources(seen, block))
            and block.channels_out >= 2 * block.channels_in
            for block in seen.blocks
        )  # fmt: skip
        if hard:
            yield _vote("mobilenet-v3", 0.85, f"{reason} with hard swish")
        elif gated >= 3:
            yield _vote("efficientnet", 0.85, f"{reason}, {gated} with squeeze-and-excitation")
        elif early >= 3 and large:
            yield _vote("mobilenet-v4", 0.6, f"{reason}, filtered before they expand")
        elif large * 3 >= len(inverted):
            yield _vote("mnasnet", 0.6, f"{reason}, {large} with 5x5 windows")
        else:
            yield _vote("mobilenet-v2", 0.85, reason)
        return
    separable = sum(
        any(
            user.is_pointwise and user.channels_out >= block.channels_in for user in _users(seen, p)
        )
        for p, block in enumerate(seen.blocks)
        if block.kind == "depthwise" and len(block.kernel) == 2
    )
    if len(flat) >= 8 and separable * 5 >= len(flat) * 4 and not sums and not seen.count("concat"):
        yield _vote("mobilenet-v1", 0.85, f"{separable} depthwise separable layers in a chain")
    elif 3 <= len(flat) < 8 and separable * 5 >= len(flat) * 4 and not sums:
        yield _vote("ds-cnn", 0.6, f"{separable} depthwise separable layers in a chain")


def _residual(seen: Portrait) -> Iterator[Vote]:
    """https://arxiv.org/abs/1512.03385."""
    bottlenecks = basic = 0
    for block in seen.blocks:
        if block.kind != "Add":
            continue
        for last in _sources(seen, block):
            middle = _only_source(seen, last) if last.kind == "conv" else None
            if middle is None or not middle.is_conv(3):
                continue
            first = _only_source(seen, middle)
            bottlenecks += last.is_pointwise and first is not None and first.is_pointwise
            basic += last.is_conv(3)
    if seen.count("depthwise") > 2 or seen.kinds["InstanceNormalization"] > 3:
        return
    if bottlenecks >= 3:
        yield _vote("resnet", 0.85, f"{bottlenecks} residual bottlenecks")
    elif basic >= 3:
        yield _vote("resnet", 0.7, f"{basic} residual blocks of two 3x3 convolutions")


def _branches(seen: Portrait) -> Iterator[Vote]:
    """https://arxiv.org/abs/1602.07360 (fire), 1409.4842 (inception), 1608.06993 (dense)."""
    fires = modules = chained = 0
    for block in seen.blocks:
        if block.kind != "concat":
            continue
        parts = _sources(seen, block)
        convs = [part for part in parts if part.kind == "conv"]
        windows = {max(part.kernel, default=0) for part in convs}
        same = len({part.sources for part in convs}) == 1
        squeeze = _only_source(seen, convs[0]) if convs else None
        if len(parts) == len(convs) == 2 and windows == {1, 3} and same:
            fires += squeeze is not None and squeeze.is_pointwise
        elif len(parts) >= 3 and len(convs) >= 2 and (len(windows) > 1 or len(parts) > len(convs)):
            modules += max((part.dilation for part in convs), default=1) == 1
        chained += any(part.kind == "concat" for part in parts) and bool(convs)
    if fires >= 4:
        yield _vote("squeezenet", 0.9, f"{fires} fire modules")
    if modules >= 3 and not _is_detector(seen):
        yield _vote("inception", 0.8, f"{modules} inception modules")
    if chained >= 10:
        yield _vote("densenet", 0.85, f"{chained} chained concatenations")


def _is_detector(seen: Portrait) -> bool:
    return len(seen.outputs) > 1


def _plain_networks(seen: Portrait) -> Iterator[Vote]:
    """https://arxiv.org/abs/1409.1556 (VGG), AlexNet (NeurIPS 2012), LeNet (Proc. IEEE 1998)."""
    convs, dense, pools = seen.convolutions, seen.count("dense"), seen.count("pool")
    joined = seen.count("Add") + seen.count("concat") + seen.count("recurrent")
    if joined or not convs or seen.count("attention") or seen.count("depthwise"):
        return
    if len(convs) >= 8 and all(block.is_conv(3) for block in convs) and pools >= 4 and dense:
        yield _vote("vgg", 0.9, f"{len(convs)} convolutions of 3x3 in a chain")
    if 4 <= len(convs) <= 6 and max(convs[0].kernel, default=0) == 11 and dense:
        yield _vote("alexnet", 0.9, "five convolutions, the first of 11x11")
    if 2 <= len(convs) <= 3 and 1 <= pools <= 3 and 1 <= dense <= 3 and len(seen.outputs) == 1:
        yield _vote("lenet", 0.65, f"{len(convs)} convolutions with pools, then dense layers")
    if len(convs) <= 8 and seen.kinds["DepthToSpace"] and not dense:
        yield _vote("espcn", 0.7, "a few convolutions, then depth to space")


def _detectors(seen: Portrait) -> Iterator[Vote]:
    """https://arxiv.org/abs/1907.05047 (BlazeFace), 1711.07767 (RFB), 1512.02325 (SSD)."""
    boxes = [port.shape for port in seen.outputs if port.shape and len(port.shape) == 3]
    anchors = {shape[1] for shape in boxes if shape[1] >= 32}
    widths = sorted(shape[2] for shape in boxes)
    dilated = sum(block.dilation > 1 for block in seen.convolutions)
    if len(boxes) == 2 == len(seen.outputs) and len(anchors) == 1:
        if widths == [1, 16]:
            yield _vote("blazeface", 0.92, "one score and 16 coordinates for each anchor")
        elif dilated >= 2:
            yield _vote("rfb", 0.9, f"boxes and scores of anchors, {dilated} dilated convolutions")
        else:
            yield _vote("ssd", 0.9, "boxes and scores of anchors")
    if seen.kinds["TFLite_Detection_PostProcess"] or seen.kinds["DetectionOutput"]:
        yield _vote("ssd", 0.9, "post-processing of anchors")
    if len(anchors) >= 3 and set(widths) >= {32} and len(boxes) == 2 * len(anchors):
        yield _vote("nanodet", 0.92, "scores and distributions of distances at several strides")
    yolo = [kind for kind in seen.kinds if kind.lower().startswith("yolo")]
    if yolo:
        yield _vote("yolo", 0.92, f"the operator {yolo[0]}")
    last = sorted(seen.channels(port) for port in seen.outputs)
    if last in ([2, 4], [2, 4, 10]) and seen.convolutions and not anchors - {1}:
        yield _vote("mtcnn", 0.9, "a score, a box" + (" and five points" if len(last) == 3 else ""))
    shuffles = seen.kinds["ShuffleChannel"]
    if shuffles >= 3 and seen.count("depthwise") >= 3 and len(seen.outputs) == 1:
        yield _vote("shufflenet", 0.85, f"{shuffles} channel shuffles")


def _dense_prediction(seen: Portrait) -> Iterator[Vote]:
    """https://arxiv.org/abs/1505.04597 (U-Net), 1706.05587 (DeepLab v3)."""
    skips = sum(
        block.kind == "concat"
        and any(source.kind == "resize" for source in _sources(seen, block))
        and any(source.kind != "resize" for source in _sources(seen, block))
        for block in seen.blocks
    )
    images = [size for port in seen.outputs if (size := seen.image(port)) is not None]
    wide = any(size[0] >= 32 for size in images)
    maps = wide or seen.kinds["ArgMax"]
    if skips >= 3 and wide:
        yield _vote("u-net", 0.92, f"{skips} skips into an upsampling path")
    pooled = any(
        block.kind == "concat" and any(_from_pool(seen, source) for source in _sources(seen, block))
        for block in seen.blocks
    )
    if pooled and maps and seen.count("resize"):
        yield _vote("deeplab", 0.92, "a global pool is resized and joined to the features")
    if seen.kinds["InstanceNormalization"] >= 5 and wide:
        yield _vote("transformer-net", 0.7, "convolutions with instance normalisation")


def _from_pool(seen: Portrait, block: Block) -> bool:
    for _ in range(3):
        if block.kind in ("pool", "global-pool"):
            return True
        before = _only_source(seen, block)
        if before is None or block.kind not in ("resize", "conv"):
            return False
        block = before
    return False


def _transformers(seen: Portrait) -> Iterator[Vote]:
    """https://arxiv.org/abs/1810.04805, 2005.08100 (Conformer), 2010.11929 (ViT), 2212.04356."""
    attention = seen.classes[LayerClass.ATTENTION]
    if not attention:
        return
    rms = sum(n for kind, n in seen.kinds.items() if "RMSNorm" in kind or "Simplified" in kind)
    rotary = sum(n for kind, n in seen.kinds.items() if kind.startswith("Rotary"))
    cached = sum("past" in p.name or "cache" in p.name for p in seen.inputs)
    beams = seen.kinds["BeamSearch"] + seen.kinds["GreedySearch"] + seen.kinds["Sampling"]
    filters = [block for block in seen.convolutions if min(block.kernel, default=0) == 1]
    one_dimensional = [b for b in seen.convolutions if len(b.kernel) == 1] or [
        block for block in filters if max(block.kernel) > 1
    ]
    patches = [
        b for b in seen.convolutions if len(b.kernel) == 2 and b.stride == max(b.kernel) >= 7
    ]
    if rms or rotary:
        yield _vote("llm-decoder", 0.8, "attention with RMS normalisation or rotary positions")
    elif cached or beams:
        yield _vote(
            "gpt", 0.7, "attention with a cache of the past" if cached else "a token search"
        )
    elif any(block.kind == "depthwise" for block in one_dimensional):
        yield _vote("conformer", 0.75, "attention with depthwise convolution over time")
    elif patches:
        yield _vote("vision-transformer", 0.8, "an image cut into patches, then attention")
    elif seen.classes[LayerClass.EMBEDDING]:
        yield _vote("bert", 0.7, "embeddings, then attention over all positions")


def _simple(seen: Portrait) -> Iterator[Vote]:
    """Networks of one kind of layer."""
    if seen.count("attention"):
        return
    recurrent = seen.count("recurrent")
    spatial = len(seen.convolutions)
    if recurrent and spatial <= 2:
        kinds = {kind.upper() for kind in seen.kinds}
        name = next((n for n in ("SVDF", "GRU", "LSTM") if any(n in kind for kind in kinds)), "RNN")
        yield _vote(name.lower(), 0.75, f"{recurrent} recurrent layers ({name})")
    elif recurrent:
        yield _vote("crnn", 0.6, f"{spatial} convolutions and {recurrent} recurrent layers")
    elif seen.count("dense") and not spatial and seen.classes[LayerClass.DENSE] >= 1:
        learned = seen.classes[LayerClass.DENSE]
        text = seen.classes[LayerClass.EMBEDDING]
        if learned >= 2 or seen.kinds["Softmax"]:
            name = "word-average" if text else "mlp"
            yield _vote(name, 0.7, f"{learned} dense layers" + (" over embeddings" if text else ""))
    trees = sum(n for kind, n in seen.kinds.items() if kind.startswith("TreeEnsemble"))
    if trees:
        yield _vote("tree-ensemble", 0.95, "a tree ensemble")
    linear = seen.kinds["LinearClassifier"] + seen.kinds["LinearRegressor"]
    if linear:
        yield _vote("linear-model", 0.9, "a linear model")


Rule = Callable[[Portrait], Iterator[Vote]]
_RULES: tuple[Rule, ...] = (
    _mobilenets,
    _residual,
    _branches,
    _plain_networks,
    _detectors,
    _dense_prediction,
    _transformers,
    _simple,
)

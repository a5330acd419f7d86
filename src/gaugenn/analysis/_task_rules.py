"""Modality and task by a network's interface and layers.

The numbers are those that data sets and signal processing use: 1,000 classes of ImageNet, 521 of
AudioSet, 17 points of COCO, 68 points of a face, 40 or 80 mel bands, half a power of two plus one
frequencies.
"""

from collections.abc import Callable, Iterator

from gaugenn.analysis._families import Vote
from gaugenn.analysis._portrait import Port, Portrait
from gaugenn.graph import DataType
from gaugenn.records import LayerClass, Modality, Task

IMAGENET_CLASSES = (1000, 1001, 21841)
"""**Source:** https://www.image-net.org/challenges/LSVRC/; 1,001 with a background class."""

AUDIOSET_CLASSES = (521, 527)
"""**Source:** https://research.google.com/audioset/; 521 in YAMNet."""

COCO_POINTS = 17
"""Points of a body. **Source:** https://cocodataset.org/#keypoints-2020"""

POINTS = frozenset({5, 21, 33, 68, 98, 106, 468, 478})
"""Points of a face (68: iBUG 300-W, 98: WFLW, 106: LaPa, 468 and 478: MediaPipe), of a hand (21), of a
body (33)."""

MEL_BANDS = frozenset({10, 13, 40, 64, 80, 96, 128})
"""Bands of the usual spectrograms and cepstra."""

FREQUENCIES = frozenset({129, 161, 201, 257, 321, 401, 513, 769, 1025})
"""Frequencies of a Fourier transform over the usual windows: half its length plus one."""

EMBEDDING_SIZES = frozenset({64, 128, 192, 256, 384, 512, 768, 1024})

_INTEGERS = frozenset({DataType.INT32, DataType.INT64})

_IMAGE_CODECS = frozenset({"DecodeImage", "EncodeImage", "ImageDecoder"})

_DETECTION_OUTPUTS = frozenset(
    {
        *("TFLite_Detection_PostProcess", "DetectionOutput", "DetectionPostProcess"),
        *("YoloDetectionOutput", "Yolov3DetectionOutput", "NonMaxSuppression"),
        *("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"),
    }
)


def _vote(subject: str, weight: float, reason: str) -> Vote:
    return Vote(subject=subject, weight=weight, reason=reason)


def modality_votes(seen: Portrait) -> list[Vote]:
    """What inputs and layers say about the modality."""
    return [vote for rule in _MODALITY_RULES for vote in rule(seen)]


def task_votes(seen: Portrait, modality: Modality) -> list[Vote]:
    """What outputs and layers say about the task, given the modality."""
    votes = [vote for rule in _TASK_RULES.get(modality, ()) for vote in rule(seen)]
    return [*votes, *_any_task(seen)]


def _spatial(seen: Portrait) -> bool:
    return any(len(b.kernel) == 2 and min(b.kernel) > 1 for b in seen.convolutions) or (
        seen.kinds["edgetpu-custom-op"] > 0
    )


def _vision(seen: Portrait) -> Iterator[Vote]:
    for port in seen.inputs:
        size = seen.image(port)
        if size is None:
            continue
        height, width, channels = size
        where = f"input {height}x{width}x{channels}"
        small = min(height, width) < 12 and not _open(port)
        if channels in (3, 4) and not small:
            yield _vote(Modality.VISION, 0.85 if _spatial(seen) else 0.45, f"{where}, an image")
        elif channels == 1 and height == width >= 16:
            yield _vote(Modality.VISION, 0.7, f"{where}, a grey image")
        elif channels == 1 and height in (32, 48, 64) and width > height and _spatial(seen):
            yield _vote(Modality.VISION, 0.55, f"{where}, a line of text")
        if port.dtype is DataType.UINT8 and channels == 3:
            yield _vote(Modality.VISION, 0.4, "bytes of 3 channels")
    codecs = _IMAGE_CODECS & seen.kinds.keys()
    if codecs:
        yield _vote(Modality.VISION, 0.9, f"the operator {min(codecs)}")
    for port in seen.inputs:
        if port.shape and len(port.shape) == 3 and port.sizes in ((28, 28), (32, 32)):
            yield _vote(
                Modality.VISION, 0.6, f"input {port.sizes[0]}x{port.sizes[1]}, as MNIST has"
            )
    inner = [b for b in seen.convolutions if len(b.kernel) == 2 and min(b.kernel) > 1]
    if inner and seen.count("Add") + seen.count("depthwise") > 3:
        yield _vote(Modality.VISION, 0.3, f"{len(inner)} convolutions in two dimensions")


def _open(port: Port) -> bool:
    return len(port.dynamic) >= 2


def _text(seen: Portrait) -> Iterator[Vote]:
    if any(port.dtype is DataType.STRING for port in seen.inputs):
        yield _vote(Modality.TEXT, 0.75, "strings as input")
    tokens = [p for p in seen.inputs if p.dtype in _INTEGERS and p.shape and len(p.shape) == 2]
    if tokens and seen.classes[LayerClass.EMBEDDING]:
        yield _vote(Modality.TEXT, 0.8, "integers that choose rows of an embedding table")
    elif tokens and seen.classes[LayerClass.ATTENTION]:
        yield _vote(Modality.TEXT, 0.6, "integers, then attention")
    tokenizers = [kind for kind in seen.kinds if "Tokenize" in kind or "Sentencepiece" in kind]
    if tokenizers:
        yield _vote(Modality.TEXT, 0.9, f"the operator {tokenizers[0]}")
    rms = sum(n for kind, n in seen.kinds.items() if "RMSNorm" in kind or "Simplified" in kind)
    rotary = sum(n for kind, n in seen.kinds.items() if kind.startswith("Rotary"))
    if rms >= 4 and (rotary or seen.classes[LayerClass.ATTENTION]):
        yield _vote(Modality.TEXT, 0.75, "a decoder with RMS normalisation and rotary positions")
    elif seen.classes[LayerClass.ATTENTION] and any("past" in p.name for p in seen.inputs):
        yield _vote(Modality.TEXT, 0.55, "attention with a cache of the past")


def _audio(seen: Portrait) -> Iterator[Vote]:
    signal = [
        k for k in seen.kinds if k.startswith(("Signal", "STFT", "DFT", "RFFT", "Audio", "Mfcc"))
    ]
    if signal:
        yield _vote(Modality.AUDIO, 0.85, f"the operator {signal[0]}")
    if seen.kinds["SVDF"]:
        yield _vote(Modality.AUDIO, 0.7, "SVDF layers, made for streams of sound")
    first = next((block for block in seen.blocks if block.kind in ("conv", "depthwise")), None)
    for port in seen.inputs:
        if port.shape is None or not (port.dtype.is_floating or port.dtype in _SAMPLES):
            continue
        if len(port.shape) <= 3 and max(port.shape, default=0) >= 4000 and len(port.sizes) == 1:
            yield _vote(Modality.AUDIO, 0.7, f"{max(port.shape)} samples as input")
        line = len(port.shape) == 2 or (len(port.shape) == 3 and len(port.sizes) <= 1)
        if line and first is not None and len(first.kernel) == 1:
            yield _vote(Modality.AUDIO, 0.65, "a one-dimensional convolution over the raw input")
        if FREQUENCIES & set(port.shape) and len(port.shape) <= 4 and not _is_picture(seen, port):
            bins = min(FREQUENCIES & set(port.shape))
            yield _vote(Modality.AUDIO, 0.65, f"{bins} frequencies as input")
        if port is seen.inputs[0] and _is_spectrogram(seen, port):
            yield _vote(
                Modality.AUDIO, 0.6, f"input {'x'.join(map(str, port.sizes))}, bands over time"
            )


_SAMPLES = frozenset({DataType.INT16, DataType.INT8, DataType.UNKNOWN})


def _is_picture(seen: Portrait, port: Port) -> bool:
    size = seen.image(port)
    return size is not None and (size[2] in (3, 4) or size[0] == size[1])


def _is_spectrogram(seen: Portrait, port: Port) -> bool:
    """Bands by time: two unequal sizes of which one is a usual number of bands."""
    if port.shape is None or len(port.shape) not in (3, 4) or _is_picture(seen, port):
        return False
    sizes = port.sizes
    if len(port.shape) == 4:
        image = seen.image(port)
        plain = image is not None and image[2] == 1 and len(sizes) == 2
        return plain and bool(MEL_BANDS & set(sizes)) and sizes[0] != sizes[1]
    layers = seen.classes[LayerClass.ATTENTION] + len(seen.convolutions)
    return bool(MEL_BANDS & set(sizes[-1:])) and len(sizes) >= 2 and sizes[-1] >= 40 and layers > 2


def _sensor(seen: Portrait) -> Iterator[Vote]:
    for port in seen.inputs:
        if port.shape is None or len(port.shape) != 3 or not port.dtype.is_floating:
            continue
        _, steps, channels = port.shape
        runs = seen.count("recurrent") or any(len(b.kernel) == 1 for b in seen.convolutions)
        if 2 <= channels <= 12 and steps >= 16 and runs:
            yield _vote(Modality.SENSOR, 0.6, f"{channels} channels over {steps} steps")


def _other(seen: Portrait) -> Iterator[Vote]:
    classical = [
        kind
        for kind in seen.kinds
        if kind.startswith(("TreeEnsemble", "SVM", "LinearClassifier", "LinearRegressor"))
    ]
    if classical:
        yield _vote(Modality.OTHER, 0.8, f"classical machine learning: {classical[0]}")
    layers = {block.kind for block in seen.blocks}
    numbers = [p for p in seen.inputs if p.shape and 0 < _count(p) <= 64 and len(p.sizes) != 3]
    if layers == {"dense"} and len(seen.inputs) == len(numbers) == 1 and seen.count("dense") > 1:
        yield _vote(Modality.OTHER, 0.6, f"{_count(numbers[0])} numbers through dense layers")


def _count(port: Port) -> int:
    total = 1
    for size in port.shape or ():
        total *= size
    return total


def _vector(port: Port) -> int | None:
    """The length of an output that is one vector."""
    if port.shape is None or len(port.sizes) > 1:
        return None
    return port.sizes[0] if port.sizes else 1


def _ends_in(port: Port, *operators: str) -> bool:
    return port.maker in operators


def _image_classes(seen: Portrait) -> Iterator[Vote]:
    if len(seen.outputs) != 1:
        return
    port = seen.outputs[0]
    length = _vector(port)
    if length is None:
        return
    soft = _ends_in(port, "Softmax", "LogSoftmax")
    if length in IMAGENET_CLASSES:
        yield _vote(Task.CLASSIFICATION, 0.9, f"{length:,} classes, as ImageNet has")
    elif soft:
        yield _vote(Task.CLASSIFICATION, 0.8, f"{length} probabilities by a softmax")
    elif length == 1:
        sigmoid = _ends_in(port, "Sigmoid")
        yield _vote(Task.CLASSIFICATION, 0.55 if sigmoid else 0.3, "one score")
    elif length % 2 == 0 and length // 2 in POINTS and length != 10:
        yield _vote(Task.LANDMARKS, 0.7, f"{length} numbers: {length // 2} points")
    elif length in EMBEDDING_SIZES:
        unit = port.maker.startswith(("Lp", "L2", "Normalize", "Div"))
        yield _vote(Task.EMBEDDING, 0.8 if unit else 0.55, f"a vector of {length}")
    else:
        yield _vote(Task.CLASSIFICATION, 0.55, f"a vector of {length}")


def _boxes(seen: Portrait) -> Iterator[Vote]:
    operators = _DETECTION_OUTPUTS & seen.kinds.keys()
    if operators:
        yield _vote(Task.DETECTION, 0.9, f"the operator {min(operators)}")
    lists = [port.shape for port in seen.outputs if port.shape and len(port.shape) == 3]
    counts = {shape[1] for shape in lists}
    widths = sorted(shape[2] for shape in lists)
    if len(lists) == 2 == len(seen.outputs) and len(counts) == 1 and max(counts) >= 32:
        yield _vote(Task.DETECTION, 0.8, f"boxes and scores of {max(counts):,} anchors")
        if widths == [1, 16]:
            yield _vote(Task.FACE_DETECTION, 0.7, "a box and six points for each anchor")
        if widths == [2, 4]:
            yield _vote(Task.FACE_DETECTION, 0.3, "one class and background")
    elif len(lists) == len(seen.outputs) >= 4 and len(counts) * 2 == len(lists):
        yield _vote(Task.DETECTION, 0.8, f"scores and boxes at {len(counts)} strides")
    last = sorted(seen.channels(port) for port in seen.outputs)
    if last in ([2, 4], [2, 4, 10]) and max(counts, default=0) < 32:
        yield _vote(
            Task.FACE_DETECTION, 0.65, "a score and a box" + " and five points" * (len(last) > 2)
        )
    if len(lists) == len(seen.outputs) == 1 and not operators:
        rows, columns = sorted(lists[0][1:], reverse=True)
        if rows >= 300 and 5 <= columns <= 300:
            yield _vote(Task.DETECTION, 0.65, f"{rows:,} candidates of {columns} numbers")
    grids = [size for port in seen.outputs if (size := seen.image(port)) is not None]
    halves = [a[0] == 2 * b[0] for a, b in zip(sorted(grids)[1:], sorted(grids), strict=False)]
    if len(grids) == len(seen.outputs) >= 2 and all(halves) and grids[0][2] > 4:
        yield _vote(Task.DETECTION, 0.65, f"grids at {len(grids)} strides")


def _maps(seen: Portrait) -> Iterator[Vote]:
    given = next((size for port in seen.inputs if (size := seen.image(port)) is not None), None)
    if seen.kinds["EncodeImage"]:
        scaled = seen.kinds["DepthToSpace"] > 0
        task = Task.SUPER_RESOLUTION if scaled else Task.IMAGE_ENHANCEMENT
        yield _vote(task, 0.8, "an image file as output" + " after depth to space" * scaled)
    if given is None or given[0] < 32:
        return
    for port in seen.outputs:
        size = seen.image(port)
        labels = port.maker == "ArgMax" or (port.maker == "Cast" and seen.kinds["ArgMax"] > 0)
        if labels and len(port.sizes) == 2 and min(port.sizes) >= 32:
            yield _vote(Task.SEGMENTATION, 0.85, "the largest class of each pixel")
        if size is None or len(seen.outputs) > 2:
            continue
        height, width, channels = size
        scale = height / given[0]
        where = f"output {height}x{width}x{channels}"
        if scale >= 1.5 and channels == given[2] and width * given[0] == height * given[1]:
            yield _vote(Task.SUPER_RESOLUTION, 0.85, f"{where} of input {given[0]}x{given[1]}")
        elif scale == 1 and channels == 3 == given[2]:
            styled = seen.kinds["InstanceNormalization"] >= 3
            task = Task.STYLE_TRANSFER if styled else Task.IMAGE_ENHANCEMENT
            reason = " with instance normalisation" * styled
            yield _vote(task, 0.75 if styled else 0.6, f"{where}, an image again{reason}")
        elif scale == 1 and channels <= 256:
            yield _vote(Task.SEGMENTATION, 0.75, f"{where}, a score for each pixel")
        elif channels in (14, 16, COCO_POINTS, 18, 19, 25) and 1 / 16 <= scale <= 0.5:
            yield _vote(Task.POSE, 0.65, f"{where}, a heat map for each joint")


def _points(seen: Portrait) -> Iterator[Vote]:
    for port in seen.outputs:
        length = _vector(port)
        if length and length % 3 == 0 and length // 3 in POINTS and len(seen.outputs) <= 4:
            yield _vote(Task.LANDMARKS, 0.75, f"{length} numbers: {length // 3} points in space")
        if port.sizes in ((COCO_POINTS, 3), (COCO_POINTS, 2)):
            yield _vote(Task.POSE, 0.8, f"{COCO_POINTS} joints")


def _characters(seen: Portrait) -> Iterator[Vote]:
    for port in seen.outputs:
        if len(port.sizes) == 2 and len(port.shape or ()) == 3 and len(seen.outputs) == 1:
            steps, characters = port.sizes
            if steps < 400 and characters >= 30 and seen.count("recurrent"):
                yield _vote(
                    Task.TEXT_RECOGNITION, 0.75, f"{characters} characters at {steps} places"
                )


def _sentences(seen: Portrait) -> Iterator[Vote]:
    if not any(block.kind in ("dense", "recurrent", "attention", "conv") for block in seen.blocks):
        return  # a tokenizer, or a piece of text processing
    rows = max(seen.tables, default=0)
    cached = sum("cache" in port.name or "past" in port.name for port in seen.inputs)
    searches = [k for k in ("BeamSearch", "GreedySearch", "Sampling") if seen.kinds[k]]
    if searches:
        yield _vote(Task.LANGUAGE_MODEL, 0.7, f"the operator {searches[0]}")
    if cached >= 2 or seen.kinds["RMSNorm"] + seen.kinds["RMSNormalization"] >= 4:
        yield _vote(Task.LANGUAGE_MODEL, 0.75, "a decoder that keeps keys and values")
    for port in seen.outputs:
        last = port.shape[-1] if port.shape else 0
        length = _vector(port)
        if rows and last == rows:
            yield _vote(Task.LANGUAGE_MODEL, 0.85, f"a score for each of {rows:,} words")
        elif length is not None and 2 <= length <= 64 and len(seen.outputs) == 1:
            soft = _ends_in(port, "Softmax", "LogSoftmax", "Sigmoid")
            yield _vote(Task.TEXT_CLASSIFICATION, 0.8 if soft else 0.6, f"{length} classes")
        elif length in EMBEDDING_SIZES and rows:
            yield _vote(Task.EMBEDDING, 0.65, f"a vector of {length}")
    spans = [port for port in seen.outputs if len(port.sizes) == 1 and port.sizes[0] >= 64]
    if len(spans) == len(seen.outputs) == 2 and spans[0].sizes == spans[1].sizes:
        yield _vote(Task.QUESTION_ANSWERING, 0.7, "two scores for each token: start and end")


def _sounds(seen: Portrait) -> Iterator[Vote]:
    trained = sum(
        block.kind in ("conv", "depthwise", "dense", "recurrent") for block in seen.blocks
    )
    if not trained and any(kind.startswith("Signal") for kind in seen.kinds):
        yield _vote(Task.AUDIO_FEATURES, 0.8, "signal processing without trained layers")
        return
    given = [port for port in seen.inputs if port.sizes and port.dtype not in _INTEGERS]
    states = len(seen.inputs) > 1
    attention = seen.classes[LayerClass.ATTENTION]
    for port in seen.outputs[:1]:
        length = _vector(port)
        if length in AUDIOSET_CLASSES:
            yield _vote(Task.SOUND_EVENTS, 0.9, f"{length} classes, as AudioSet has")
        elif length == 1 and (states or _ends_in(port, "Sigmoid")):
            yield _vote(Task.VOICE_ACTIVITY, 0.65, "one score for a piece of sound")
        elif length is not None and 2 <= length <= 64 and not attention:
            yield _vote(Task.KEYWORD_SPOTTING, 0.65, f"{length} classes of a short sound")
        same = given and port.sizes == given[0].sizes and sum(port.sizes) > 64
        if same and _ends_in(port, "Sigmoid"):
            yield _vote(Task.NOISE_SUPPRESSION, 0.8, "a mask of the size of the input")
        elif same and not attention:
            yield _vote(Task.NOISE_SUPPRESSION, 0.6, "an output like the input")
        if attention and len(port.sizes) >= 2:
            yield _vote(Task.SPEECH_RECOGNITION, 0.6, "attention over frames of sound")
        elif len(port.sizes) == 2 and port.sizes[-1] >= 27 and not same:
            yield _vote(Task.SPEECH_RECOGNITION, 0.6, f"{port.sizes[-1]} letters for each frame")


def _movements(seen: Portrait) -> Iterator[Vote]:
    length = _vector(seen.outputs[0]) if len(seen.outputs) == 1 else None
    if length is not None and 2 <= length <= 200:
        yield _vote(Task.MOVEMENT, 0.7, f"{length} classes of a movement")


def _tables(seen: Portrait) -> Iterator[Vote]:
    if any(kind.startswith(("TreeEnsemble", "Linear", "SVM")) for kind in seen.kinds):
        yield _vote(Task.TABULAR_PREDICTION, 0.8, "classical machine learning")


def _any_task(seen: Portrait) -> Iterator[Vote]:
    identifiers = [p for p in seen.inputs if p.dtype in _INTEGERS and len(p.sizes) == 0]
    if len(identifiers) >= 2 and len(seen.tables) >= 2 and _vector(seen.outputs[0]) == 1:
        yield _vote(
            Task.RECOMMENDATION, 0.7, f"{len(seen.tables)} tables of identifiers, one score"
        )


Rule = Callable[[Portrait], Iterator[Vote]]
_MODALITY_RULES: tuple[Rule, ...] = (_vision, _text, _audio, _sensor, _other)
_TASK_RULES: dict[Modality, tuple[Rule, ...]] = {
    Modality.VISION: (_image_classes, _boxes, _maps, _points, _characters),
    Modality.TEXT: (_sentences,),
    Modality.AUDIO: (_sounds,),
    Modality.SENSOR: (_movements,),
    Modality.OTHER: (_tables,),
}

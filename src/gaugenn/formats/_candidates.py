"""Which names make a file worth a row, whatever its bytes are.

Content decides what a file is; the name only nominates. Without nomination an unclaimed file is
dropped silently, with it the study records why nothing could read it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

HISTORIC = frozenset(
    """
    .armnn .bigdl .bin .bson .caffemodel .cfg .cfg.ncnn .chkpt .ckpt .cmf .cntk .dlc .dms
    .dnn .engine .graphdef .h5 .hd5 .hdf5 .index .joblib .joblib.z .json .keras .lite .mar
    .meta .mlmodel .mnn .model .ms .nn .npy .npz .onnx .paddle .param .params .pb .pbtxt
    .pdmodel .pdparams .pickle .pkl .pkl.z .prototxt .pt .pt1 .pth .pyt .rknn .t7 .tar
    .tar.gz .tckpt .tfl .tflite .tmfile .tnnmodel .tnnproto .trt .txt .uff .uff.txt .weights
    .weights.ncnn .xml .zip __model__
    """.split()  # noqa: SIM905
)
"""The 69 distinct extensions that the Netron viewer registered in April 2021, frozen so that
snapshots years apart are counted by one rule. The in-the-wild study of that month searched for files
of 69 formats, taken from the same viewer. `__model__` is a whole base name.

**Source:** https://github.com/lutzroeder/netron; Almeida et al., "Smart at what cost? Characterising
Mobile Deep Neural Networks in the wild", IMC 2021, https://arxiv.org/abs/2109.13963.
"""

ADDED = frozenset(
    """
    .androidmodel .binarypb .caffe .circle .daq .dat .data .feathermodel .gguf .hef .kmodel
    .litertlm .mdl .mindir .mlmodelc .mlpackage .modle .nb .om .ort .pbmm .pdiparams .proto .ptd
    .pte .ptl .rf .rpnmodel .safetensors .scorer .task .tensorflow .timfile .xnn
    """.split()  # noqa: SIM905
)
"""Extensions of formats that came later, and names seen in apps (`.modle` is no slip of ours)."""

GENERIC = frozenset(
    """
    .bin .bson .cfg .dat .data .index .json .mdl .meta .params .proto .rf .tar .tar.gz .task .txt
    .xml .zip
    """.split()  # noqa: SIM905
)
"""Extensions that say nothing about neural networks; such a file is suspected of hiding a model only
when more of its name says so."""

_SPEAKING = (HISTORIC | ADDED) - GENERIC

_WORDS = re.compile(
    r"model|modle|detect|recogni|track|trained|face|ocr|seg(?:ment|$|[^a-z])|landmark|classif"
    r"|encoder|decoder|weights|neural|network|tflite|ncnn|onnx|mnn|caffe|yolo|(?:mobile|res|unet)net"
)
_REMEMBERED_TAIL = 32  # characters: a hostile name is looked at each time, and fills no memory
_FOLDERS = frozenset(
    """
    model models ml ai nn dnn net nets mlmodels aimodels tflite ncnn mnn tnn onnx snpe
    """.split()  # noqa: SIM905
)
"""Words seen in names and asset folders of models in apps."""


def nomination(name: str, more: Iterable[str] = ()) -> str | None:
    """The suffix that makes a file a candidate, longest first; `__model__` as a whole name.

    Args:
        name: file name or member path.
        more: further suffixes, with dots.

    Returns:
        The suffix in lower case, or None.
    """
    base = name.replace("\\", "/").rpartition("/")[2].lower()
    if base == "__model__":
        return base
    at = base.find(".")
    if at < 0:
        return None
    find = _longest_suffix if len(base) - at <= _REMEMBERED_TAIL else _longest_suffix.__wrapped__
    return find(base[at:], frozenset(more))


@lru_cache(maxsize=4096)
def _longest_suffix(tail: str, more: frozenset[str]) -> str | None:
    """The suffix of a name from its first dot on. Most members of a package share a few of them."""
    known = _known(more)
    at = 0
    while at >= 0:
        if tail[at:] in known:
            return tail[at:]
        at = tail.find(".", at + 1)
    return None


@lru_cache(maxsize=8)
def _known(more: frozenset[str]) -> frozenset[str]:
    return HISTORIC | ADDED | more


def is_model_like(name: str) -> bool:
    """Whether folder or file name speak of a model: `assets/ml/x.dat`, `face_detect`, `a.tflite.enc`.

    Stronger than `nomination` for generic suffixes, weaker for all others.
    """
    *folders, base = name.replace("\\", "/").lower().split("/")
    if _FOLDERS.intersection(folders) or _WORDS.search(base):
        return True
    return any(f".{part}" in _SPEAKING for part in base.split(".")[1:])

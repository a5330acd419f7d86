"""Core ML's messages: kinds of models, layers, and the fields that are read.

**Source:** https://github.com/apple/coremltools/tree/main/mlmodel/format (Model, FeatureTypes,
NeuralNetwork)
"""

from collections.abc import Mapping

from gaugenn.formats._protobuf import Schema

NETWORKS: Mapping[str, int] = {
    "neuralNetworkRegressor": 303,
    "neuralNetworkClassifier": 403,
    "neuralNetwork": 500,
}
PIPELINES: Mapping[str, int] = {
    "pipelineClassifier": 200,
    "pipelineRegressor": 201,
    "pipeline": 202,
}
PROGRAM = 502
OTHERS: Mapping[str, int] = {
    "glmRegressor": 300,
    "supportVectorRegressor": 301,
    "treeEnsembleRegressor": 302,
    "bayesianProbitRegressor": 304,
    "glmClassifier": 400,
    "supportVectorClassifier": 401,
    "treeEnsembleClassifier": 402,
    "kNearestNeighborsClassifier": 404,
    "itemSimilarityRecommender": 501,
    "customModel": 555,
    "linkedModel": 556,
    "classConfidenceThresholding": 560,
    "oneHotEncoder": 600,
    "imputer": 601,
    "featureVectorizer": 602,
    "dictVectorizer": 603,
    "scaler": 604,
    "categoricalMapping": 606,
    "normalizer": 607,
    "arrayFeatureExtractor": 609,
    "nonMaximumSuppression": 610,
    "identity": 900,
    "textClassifier": 2000,
    "wordTagger": 2001,
    "visionFeaturePrint": 2002,
    "soundAnalysisPreprocessing": 2003,
    "gazetteer": 2004,
    "wordEmbedding": 2005,
    "audioFeaturePrint": 2006,
    "serializedModel": 3000,
}
"""Models that are one step and no network."""

KINDS: Mapping[int, str] = {
    number: name
    for table in (NETWORKS, PIPELINES, OTHERS, {"mlProgram": PROGRAM})
    for name, number in table.items()
}

MODEL = Schema(
    "Model",
    version=1,
    description=2,
    **NETWORKS,
    **PIPELINES,
    **OTHERS,
    mlProgram=PROGRAM,
)
DESCRIPTION = Schema("ModelDescription", input=1, output=10, metadata=100)
METADATA = Schema("Metadata", short_description=1, version=2, author=3, license=4, user_defined=100)
ENTRY = Schema("MapEntry", key=1, value=2)
FEATURE = Schema("FeatureDescription", name=1, type=3)
TYPE = Schema("FeatureType", int64=1, double=2, string=3, image=4, array=5)
IMAGE = Schema("ImageFeatureType", width=1, height=2, color=3)
ARRAY = Schema("ArrayFeatureType", shape=1, dtype=2)
PIPELINE = Schema("Pipeline", models=1)
WRAPPED_PIPELINE = Schema("PipelineClassifier", pipeline=1)

LAYERS: Mapping[int, str] = {
    int(number): name
    for name, _, number in (
        each.partition("=")
        for each in """
        convolution=100 pooling=120 activation=130 innerProduct=140 embedding=150 batchnorm=160 mvn=165
        l2normalize=170 softmax=175 lrn=180 crop=190 padding=200 upsample=210 resizeBilinear=211
        cropResize=212 unary=220 add=230 multiply=231 average=240 scale=245 bias=250 max=260 min=261
        dot=270 reduce=280 loadConstant=290 reshape=300 flatten=301 permute=310 concat=320 split=330
        sequenceRepeat=340 reorganizeData=345 slice=350 simpleRecurrent=400 gru=410
        uniDirectionalLSTM=420 biDirectionalLSTM=430 custom=500 copy=600 branch=605 loop=615
        loopBreak=620 loopContinue=625 rangeStatic=635 rangeDynamic=640 clip=660 ceil=665 floor=670
        sign=680 round=685 exp2=700 sin=710 cos=715 tan=720 asin=730 acos=735 atan=740 sinh=750
        cosh=755 tanh=760 asinh=770 acosh=775 atanh=780 erf=790 gelu=795 equal=815 notEqual=820
        lessThan=825 lessEqual=827 greaterThan=830 greaterEqual=832 logicalOr=840 logicalXor=845
        logicalNot=850 logicalAnd=855 modBroadcastable=865 minBroadcastable=870 maxBroadcastable=875
        addBroadcastable=880 powBroadcastable=885 divideBroadcastable=890 floorDivBroadcastable=895
        multiplyBroadcastable=900 subtractBroadcastable=905 tile=920 stack=925 gather=930 scatter=935
        gatherND=940 scatterND=945 softmaxND=950 gatherAlongAxis=952 scatterAlongAxis=954 reverse=960
        reverseSeq=965 splitND=975 concatND=980 transpose=985 sliceStatic=995 sliceDynamic=1000
        slidingWindows=1005 topK=1015 argMin=1020 argMax=1025 embeddingND=1040 batchedMatmul=1045
        getShape=1065 loadConstantND=1070 fillLike=1080 fillStatic=1085 fillDynamic=1090
        broadcastToLike=1100 broadcastToStatic=1105 broadcastToDynamic=1110 squeeze=1120
        expandDims=1125 flattenTo2D=1130 reshapeLike=1135 reshapeStatic=1140 reshapeDynamic=1145
        rankPreservingReshape=1150 constantPad=1155 randomNormalLike=1170 randomNormalStatic=1175
        randomNormalDynamic=1180 randomUniformLike=1190 randomUniformStatic=1195
        randomUniformDynamic=1200 randomBernoulliLike=1210 randomBernoulliStatic=1215
        randomBernoulliDynamic=1220 categoricalDistribution=1230 reduceL1=1250 reduceL2=1255
        reduceMax=1260 reduceMin=1265 reduceSum=1270 reduceProd=1275 reduceMean=1280
        reduceLogSum=1285 reduceSumSquare=1290 reduceLogSumExp=1295 whereNonZero=1313
        matrixBandPart=1315 lowerTriangular=1320 upperTriangular=1325 whereBroadcastable=1330
        layerNormalization=1350 NonMaximumSuppression=1400 oneHot=1450 cumSum=1455 clampedReLU=1460
        argSort=1461 pooling3d=1465 globalPooling3d=1466 sliceBySize=1470 convolution3d=1471
        """.split()  # noqa: SIM905
    )
}
"""Layer types by the number of their field."""

NETWORK = Schema("NeuralNetwork", layers=1, array_mapping=5)
LAYER = Schema(
    "NeuralNetworkLayer",
    name=1,
    input=2,
    output=3,
    output_tensor=5,
    **{f"layer_{number}": number for number in LAYERS},
)
TENSOR = Schema("Tensor", rank=1, sizes=2)
WEIGHTS = Schema("WeightParams", floats=1, halves=2, raw=30, signed=31, quantization=40)
QUANTIZATION = Schema("QuantizationParams", bits=1, linear=101, table=102)
LINEAR = Schema("LinearQuantizationParams", scale=1, bias=2)
BORDERS = Schema("BorderAmounts", amounts=10)
EDGES = Schema("EdgeSizes", start=1, end=2)
VALID = Schema("ValidPadding", amounts=1)
SAME = Schema("SamePadding", mode=1)
COMPLETE = Schema("ValidCompletePadding", amounts=10)
EMPTY = Schema("LayerParams")
CONVOLUTION = Schema(
    "ConvolutionLayerParams",
    outputs=1,
    channels=2,
    groups=10,
    kernel=20,
    stride=30,
    dilation=40,
    valid=50,
    same=51,
    transposed=60,
    biased=70,
    weights=90,
    bias=91,
    output_shape=100,
)
POOLING = Schema(
    "PoolingLayerParams",
    type=1,
    kernel=10,
    stride=20,
    valid=30,
    same=31,
    complete=32,
    exclude_padding=50,
    whole=60,
)
PRODUCT = Schema("InnerProductLayerParams", inputs=1, outputs=2, biased=10, weights=20, bias=21)
NORMALISATION = Schema(
    "BatchnormLayerParams",
    channels=1,
    computed=5,
    instance=6,
    epsilon=10,
    gamma=15,
    beta=16,
    mean=17,
    variance=18,
)
LOCAL = Schema("LRNLayerParams", alpha=1, beta=2, size=3, k=4)
UNARY = Schema("UnaryFunctionLayerParams", type=1, alpha=2, shift=4, scale=5)
UPSAMPLE = Schema("UpsampleLayerParams", factor=1, mode=5, linear_mode=6)
SCALE = Schema("ScaleLayerParams", shape=1, scale=2, biased=3, bias_shape=4, bias=5)
BIAS = Schema("BiasLayerParams", shape=1, bias=2)
CONSTANT = Schema("LoadConstantLayerParams", shape=1, data=2)
INTEGERS = Schema("LayerWithSizes", values=1, mode=2)
AXIS = Schema("LayerWithAxis", axis=1)
REDUCTION = Schema("ReduceLayerParams", axes=1, keep=2, all=3)
MATRICES = Schema(
    "BatchedMatMulLayerParams",
    transpose_a=1,
    transpose_b=2,
    rows=5,
    columns=6,
    biased=7,
    weights=8,
    bias=9,
)
ACTIVATION = Schema(
    "ActivationParams",
    linear=5,
    Relu=10,
    LeakyRelu=15,
    ThresholdedRelu=20,
    PRelu=25,
    Tanh=30,
    scaledTanh=31,
    Sigmoid=40,
    HardSigmoid=41,
    Elu=50,
    Softsign=60,
    Softplus=70,
    parametricSoftplus=71,
)
"""Activations under the names of their ONNX operators, where there is one."""
SLOPES = Schema("ActivationWithNumbers", alpha=1, beta=2)
BRANCH = Schema("BranchLayerParams", then=1, otherwise=2)
LOOP = Schema("LoopLayerParams", condition=3, body=4)

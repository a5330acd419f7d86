# ONNX Runtime; the models come out of a zip among the assets.
.class public Lcom/example/gaugenn/camera/Filters;
.super Ljava/lang/Object;

.method public static open([B)Lai/onnxruntime/OrtSession;
    .locals 2
    invoke-static {}, Lai/onnxruntime/OrtEnvironment;->getEnvironment()Lai/onnxruntime/OrtEnvironment;
    move-result-object v0
    new-instance v1, Lai/onnxruntime/OrtSession$SessionOptions;
    invoke-direct {v1}, Lai/onnxruntime/OrtSession$SessionOptions;-><init>()V
    invoke-virtual {v0, p0, v1}, Lai/onnxruntime/OrtEnvironment;->createSession([BLai/onnxruntime/OrtSession$SessionOptions;)Lai/onnxruntime/OrtSession;
    move-result-object v0
    return-object v0
.end method

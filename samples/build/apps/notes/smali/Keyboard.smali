# ONNX Runtime with its NNAPI provider, on a model that hides behind a font's name.
.class public Lcom/example/gaugenn/notes/Keyboard;
.super Ljava/lang/Object;

.method public static open([B)Lai/onnxruntime/OrtSession;
    .locals 2
    invoke-static {}, Lai/onnxruntime/OrtEnvironment;->getEnvironment()Lai/onnxruntime/OrtEnvironment;
    move-result-object v0
    new-instance v1, Lai/onnxruntime/OrtSession$SessionOptions;
    invoke-direct {v1}, Lai/onnxruntime/OrtSession$SessionOptions;-><init>()V
    invoke-virtual {v1}, Lai/onnxruntime/OrtSession$SessionOptions;->addNnapi()V
    invoke-virtual {v0, p0, v1}, Lai/onnxruntime/OrtEnvironment;->createSession([BLai/onnxruntime/OrtSession$SessionOptions;)Lai/onnxruntime/OrtSession;
    move-result-object v0
    return-object v0
.end method

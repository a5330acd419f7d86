# TFLite with both of its delegates: what is in view, by NNAPI or GPU where the phone has them.
.class public Lcom/example/gaugenn/camera/SceneClassifier;
.super Ljava/lang/Object;

.field private final interpreter:Lorg/tensorflow/lite/Interpreter;

.method public constructor <init>(Ljava/nio/ByteBuffer;Z)V
    .locals 3
    invoke-direct {p0}, Ljava/lang/Object;-><init>()V
    new-instance v0, Lorg/tensorflow/lite/Interpreter$Options;
    invoke-direct {v0}, Lorg/tensorflow/lite/Interpreter$Options;-><init>()V
    const/4 v2, 0x4
    invoke-virtual {v0, v2}, Lorg/tensorflow/lite/Interpreter$Options;->setNumThreads(I)Lorg/tensorflow/lite/Interpreter$Options;
    if-eqz p2, :on_gpu
    new-instance v1, Lorg/tensorflow/lite/nnapi/NnApiDelegate;
    invoke-direct {v1}, Lorg/tensorflow/lite/nnapi/NnApiDelegate;-><init>()V
    goto :delegated
    :on_gpu
    new-instance v1, Lorg/tensorflow/lite/gpu/GpuDelegate;
    invoke-direct {v1}, Lorg/tensorflow/lite/gpu/GpuDelegate;-><init>()V
    :delegated
    invoke-virtual {v0, v1}, Lorg/tensorflow/lite/Interpreter$Options;->addDelegate(Lorg/tensorflow/lite/Delegate;)Lorg/tensorflow/lite/Interpreter$Options;
    new-instance v1, Lorg/tensorflow/lite/Interpreter;
    invoke-direct {v1, p1, v0}, Lorg/tensorflow/lite/Interpreter;-><init>(Ljava/nio/ByteBuffer;Lorg/tensorflow/lite/Interpreter$Options;)V
    iput-object v1, p0, Lcom/example/gaugenn/camera/SceneClassifier;->interpreter:Lorg/tensorflow/lite/Interpreter;
    return-void
.end method

.method public classify(Ljava/lang/Object;Ljava/lang/Object;)V
    .locals 1
    iget-object v0, p0, Lcom/example/gaugenn/camera/SceneClassifier;->interpreter:Lorg/tensorflow/lite/Interpreter;
    invoke-virtual {v0, p1, p2}, Lorg/tensorflow/lite/Interpreter;->run(Ljava/lang/Object;Ljava/lang/Object;)V
    return-void
.end method

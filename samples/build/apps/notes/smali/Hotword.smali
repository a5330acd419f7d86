# TFLite on the CPU.
.class public Lcom/example/gaugenn/notes/Hotword;
.super Ljava/lang/Object;

.method public static listen(Ljava/nio/ByteBuffer;Ljava/lang/Object;Ljava/lang/Object;)V
    .locals 1
    new-instance v0, Lorg/tensorflow/lite/Interpreter;
    invoke-direct {v0, p0}, Lorg/tensorflow/lite/Interpreter;-><init>(Ljava/nio/ByteBuffer;)V
    invoke-virtual {v0, p1, p2}, Lorg/tensorflow/lite/Interpreter;->run(Ljava/lang/Object;Ljava/lang/Object;)V
    return-void
.end method

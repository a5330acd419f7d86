# No runtime's class is named here: ncnn is linked into the app's own native library.
.class public Lcom/example/gaugenn/notes/Ink;
.super Ljava/lang/Object;

.method static constructor <clinit>()V
    .locals 1
    const-string v0, "ink"
    invoke-static {v0}, Ljava/lang/System;->loadLibrary(Ljava/lang/String;)V
    return-void
.end method

.method public native read([F)I
.end method

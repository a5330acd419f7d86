# ncnn behind a native library of the app's own.
.class public Lcom/example/gaugenn/camera/FaceTracker;
.super Ljava/lang/Object;

.method static constructor <clinit>()V
    .locals 1
    const-string v0, "camera_native"
    invoke-static {v0}, Ljava/lang/System;->loadLibrary(Ljava/lang/String;)V
    return-void
.end method

.method public native landmarks([B)[F
.end method

.method public open(Landroid/content/res/AssetManager;)Z
    .locals 2
    new-instance v0, Lcom/tencent/ncnn/Net;
    invoke-direct {v0}, Lcom/tencent/ncnn/Net;-><init>()V
    const-string v1, "face/landmarks.param"
    invoke-virtual {v0, p1, v1}, Lcom/tencent/ncnn/Net;->loadParam(Landroid/content/res/AssetManager;Ljava/lang/String;)Z
    move-result v0
    return v0
.end method

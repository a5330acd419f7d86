# Firebase ML, the part of it that runs on Google's servers.
.class public Lcom/example/gaugenn/cloud/Places;
.super Ljava/lang/Object;

.method public static detector()Lcom/google/firebase/ml/vision/cloud/landmark/FirebaseVisionCloudLandmarkDetector;
    .locals 1
    invoke-static {}, Lcom/google/firebase/ml/vision/FirebaseVision;->getInstance()Lcom/google/firebase/ml/vision/FirebaseVision;
    move-result-object v0
    invoke-virtual {v0}, Lcom/google/firebase/ml/vision/FirebaseVision;->getVisionCloudLandmarkDetector()Lcom/google/firebase/ml/vision/cloud/landmark/FirebaseVisionCloudLandmarkDetector;
    move-result-object v0
    return-object v0
.end method

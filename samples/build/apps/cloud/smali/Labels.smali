# Amazon Rekognition: the picture leaves the phone.
.class public Lcom/example/gaugenn/cloud/Labels;
.super Ljava/lang/Object;

.method public static find(Lcom/amazonaws/auth/AWSCredentialsProvider;)Lcom/amazonaws/services/rekognition/model/DetectLabelsResult;
    .locals 2
    new-instance v0, Lcom/amazonaws/services/rekognition/AmazonRekognitionClient;
    invoke-direct {v0, p0}, Lcom/amazonaws/services/rekognition/AmazonRekognitionClient;-><init>(Lcom/amazonaws/auth/AWSCredentialsProvider;)V
    const-string v1, "https://rekognition.eu-west-1.amazonaws.com"
    invoke-virtual {v0, v1}, Lcom/amazonaws/services/rekognition/AmazonRekognitionClient;->setEndpoint(Ljava/lang/String;)V
    new-instance v1, Lcom/amazonaws/services/rekognition/model/DetectLabelsRequest;
    invoke-direct {v1}, Lcom/amazonaws/services/rekognition/model/DetectLabelsRequest;-><init>()V
    invoke-virtual {v0, v1}, Lcom/amazonaws/services/rekognition/AmazonRekognitionClient;->detectLabels(Lcom/amazonaws/services/rekognition/model/DetectLabelsRequest;)Lcom/amazonaws/services/rekognition/model/DetectLabelsResult;
    move-result-object v0
    return-object v0
.end method

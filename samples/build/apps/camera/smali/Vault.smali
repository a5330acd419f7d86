# Opens the encrypted model: its key comes from the app's server.
.class public Lcom/example/gaugenn/camera/Vault;
.super Ljava/lang/Object;

.method public static open([BLjavax/crypto/spec/SecretKeySpec;Ljavax/crypto/spec/IvParameterSpec;)[B
    .locals 2
    const-string v0, "AES/CBC/PKCS5Padding"
    invoke-static {v0}, Ljavax/crypto/Cipher;->getInstance(Ljava/lang/String;)Ljavax/crypto/Cipher;
    move-result-object v0
    const/4 v1, 0x2
    invoke-virtual {v0, v1, p1, p2}, Ljavax/crypto/Cipher;->init(ILjava/security/Key;Ljava/security/spec/AlgorithmParameterSpec;)V
    invoke-virtual {v0, p0}, Ljavax/crypto/Cipher;->doFinal([B)[B
    move-result-object v0
    return-object v0
.end method

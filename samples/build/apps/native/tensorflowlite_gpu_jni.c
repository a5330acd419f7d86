/* Stand-in for the GPU delegate: names and texts of the real one, no code. */
const char kept[] __attribute__((used)) = "libOpenCL.so\0clCreateCommandQueue";
void *TfLiteGpuDelegateV2Create(const void *options) { return (void *)options; }
long Java_org_tensorflow_lite_gpu_GpuDelegate_createDelegate(void) { return 0; }

/* Stand-in for ONNX Runtime's Java binding. */
extern const void *OrtGetApiBase(void);
long Java_ai_onnxruntime_OrtEnvironment_createHandle(void) { return (long)OrtGetApiBase(); }

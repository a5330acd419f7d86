/* Stand-in for LiteRT's JNI library: names and texts of the real one, no code. */
const char kept[] __attribute__((used)) = "kTfLiteNullBufferHandle\0tensorflow/lite/core/subgraph.cc\0N6tflite11InterpreterE";
void *TfLiteModelCreate(const void *data, unsigned long size) { (void)size; return (void *)data; }
void *TfLiteInterpreterCreate(const void *model, const void *options) { (void)options; return (void *)model; }
long Java_org_tensorflow_lite_NativeInterpreterWrapper_createInterpreter(void) { return 0; }

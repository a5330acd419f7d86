/* Stand-in for ONNX Runtime: names and texts of the real one, no code. */
const char kept[] __attribute__((used)) = "onnxruntime::InferenceSession\0CPUExecutionProvider";
const void *OrtGetApiBase(void) { return kept; }

/* Stand-in for ncnn as a shared library: names and texts of the real one, no code. */
const char kept[] __attribute__((used)) = "N4ncnn5LayerE\0layer load_param failed\0layer load_model failed";
void *ncnn_net_create(void) { return (void *)kept; }
int ncnn_net_load_param(void *net, const char *path) { (void)net; return !path; }
int ncnn_net_load_model(void *net, const char *path) { (void)net; return !path; }
void *ncnn_extractor_create(void *net) { return net; }

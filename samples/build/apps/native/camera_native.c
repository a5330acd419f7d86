/* The camera's own native code: calls ncnn's C interface. */
extern void *ncnn_net_create(void);
extern int ncnn_net_load_param(void *net, const char *path);
extern int ncnn_net_load_model(void *net, const char *path);
void *Java_com_example_gaugenn_camera_FaceTracker_landmarks(void)
{
    void *net = ncnn_net_create();
    ncnn_net_load_param(net, "landmarks.param");
    ncnn_net_load_model(net, "landmarks.bin");
    return net;
}

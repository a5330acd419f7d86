/* The notes' own native code with ncnn linked in: only the texts tell, as in a stripped release. */
const char kept[] __attribute__((used)) = "N4ncnn5LayerE\0layer load_param failed\0overwrite existing custom layer index";
int Java_com_example_gaugenn_notes_Ink_read(void) { return kept[0]; }

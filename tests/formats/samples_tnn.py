"""A TNN sample, written by hand in the form that TNN's converters give it."""

from tests.formats.samples import Sample

TEXT = """"1 9 1 4206624770 ,"
"data 1 3 16 16 ,"
" c1 c2 cat data fc p1 prob r1 shaped ,"
"prob ,"
" 8 ,"
"Convolution conv1 1 1 data c1 1 3 8 3 3 2 2 1 1 1 -1 1 1 ,"
"ReLU relu1 1 1 c1 r1 ,"
"Convolution dw 1 1 r1 c2 8 1 8 3 3 1 1 1 1 1 -1 1 1 2 ,"
"Concat cat 2 1 r1 c2 cat 1 ,"
"Pooling pool 1 1 cat p1 1 2 2 2 2 0 0 -1 -1 -1 1 ,"
"Reshape shape 1 1 p1 shaped 0 4 4 0 -1 1 1 0 ,"
"InnerProduct fc 1 1 shaped fc 10 1 0 1 ,"
"SoftmaxCaffe prob 1 1 fc prob 1 ,"
"""


def samples() -> tuple[Sample, ...]:
    """A graph of the first version."""
    return (Sample(name="text", format="tnn", source=TEXT.encode, file_name="net.tnnproto"),)

"""OpenVINO samples: two saved by OpenVINO, and one of an old version put together by hand."""

import struct

from tests.formats.samples import FOLDER, Sample

OLD = """<?xml version="1.0" ?>
<net name="old" version="7">
 <layers>
  <layer id="0" name="data" precision="FP32" type="Input">
   <output><port id="0"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></output>
  </layer>
  <layer id="1" name="conv" precision="FP32" type="Convolution">
   <data auto_pad="same_upper" dilations="1,1" group="1" kernel="3,3" output="4" pads_begin="0,0"
    pads_end="0,0" strides="2,2"/>
   <input><port id="0"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></input>
   <output><port id="3"><dim>1</dim><dim>4</dim><dim>4</dim><dim>4</dim></port></output>
   <blobs><weights offset="0" size="432"/><biases offset="432" size="16"/></blobs>
  </layer>
  <layer id="2" name="relu" precision="FP32" type="ReLU">
   <data negative_slope="0.1"/>
   <input><port id="0"><dim>1</dim><dim>4</dim><dim>4</dim><dim>4</dim></port></input>
   <output><port id="1"><dim>1</dim><dim>4</dim><dim>4</dim><dim>4</dim></port></output>
  </layer>
 </layers>
 <edges>
  <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
  <edge from-layer="1" from-port="3" to-layer="2" to-port="0"/>
 </edges>
</net>
"""

LOOP = """<net name="loop" version="11">
 <layers>
  <layer id="0" name="x" type="Parameter" version="opset1">
   <data shape="5,4" element_type="f32"/>
   <output><port id="0" precision="FP32"><dim>5</dim><dim>4</dim></port></output>
  </layer>
  <layer id="1" name="steps" type="TensorIterator" version="opset1">
   <input><port id="0" precision="FP32"><dim>5</dim><dim>4</dim></port></input>
   <output><port id="1" precision="FP32"><dim>5</dim><dim>4</dim></port></output>
   <port_map><input axis="0" external_port_id="0" internal_layer_id="0"/>
    <output axis="0" external_port_id="1" internal_layer_id="2"/></port_map>
   <body>
    <layers>
     <layer id="0" name="row" type="Parameter" version="opset1">
      <data shape="1,4" element_type="f32"/>
      <output><port id="0" precision="FP32"><dim>1</dim><dim>4</dim></port></output>
     </layer>
     <layer id="1" name="bent" type="Tanh" version="opset1">
      <input><port id="0" precision="FP32"><dim>1</dim><dim>4</dim></port></input>
      <output><port id="1" precision="FP32"><dim>1</dim><dim>4</dim></port></output>
     </layer>
     <layer id="2" name="out" type="Result" version="opset1">
      <input><port id="0" precision="FP32"><dim>1</dim><dim>4</dim></port></input>
     </layer>
    </layers>
    <edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
     <edge from-layer="1" from-port="1" to-layer="2" to-port="0"/></edges>
   </body>
  </layer>
 </layers>
 <edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges>
</net>
"""


def old_weights() -> bytes:
    """A convolution's weights and biases."""
    return struct.pack("<112f", *(i / 64 for i in range(112)))


def samples() -> tuple[Sample, ...]:
    """32-bit and 16-bit weights, an old version, a loop."""
    saved = tuple(
        Sample(
            name=name,
            format="openvino",
            source=f"openvino/{name}.xml",
            file_name=f"{name}.xml",
            neighbours={f"{name}.bin": (FOLDER / f"openvino/{name}.bin").read_bytes()},
        )
        for name in ("net", "half")
    )
    return (
        *saved,
        Sample(
            name="old",
            format="openvino",
            source=OLD.encode,
            file_name="old.xml",
            neighbours={"old.bin": old_weights()},
        ),
        Sample(name="loop", format="openvino", source=LOOP.encode, file_name="loop.xml"),
    )

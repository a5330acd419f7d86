"""TensorFlow Lite's recurrent operators in ONNX terms; see `_tflite_operators` for the differences.

**Source:** https://github.com/google-ai-edge/LiteRT/tree/main/tflite/kernels (`lstm_shared.h`,
`bidirectional_sequence_lstm.cc`, `unidirectional_sequence_rnn.cc`, ...), order of inputs.
"""

from gaugenn.formats._operator_call import OMITTED, Call, Rule, Translation
from gaugenn.graph import AttributeValue

_ACTIVATIONS = {1: "Relu", 4: "Tanh"}
"""Cell activations that ONNX has by the schema's number."""


def _shared(call: Call) -> dict[str, AttributeValue]:
    """Options of every recurrent operator; `layout` is 0 for (time, batch, features)."""
    attributes = call.other_options("fused_activation_function", "time_major")
    if "time_major" in call.options:
        attributes["layout"] = 0 if call.whole("time_major") else 1
    return attributes


def _rows(call: Call, index: int) -> int:
    """First size of a weight matrix; 0 when unknown."""
    shape = call.shape(index)
    first = shape[0] if shape else 0
    return first if isinstance(first, int) else 0


def _cell_activation(call: Call) -> str | None:
    return _ACTIVATIONS.get(call.whole("fused_activation_function"))


def _lstm(call: Call) -> Translation:
    """One direction. Inputs: 0 input; 1-4 input weights, 5-8 recurrent weights and 12-15 biases of the
    input, forget, cell and output gates; 9-11 peepholes; 16-17 projection; 18 output state; 19 cell
    state; 20-23 layer normalisation.
    """
    attributes = _shared(call)
    attributes["hidden_size"] = _rows(call, 4)
    if call.input(1) is None:
        attributes["input_forget"] = 1
    if call.input(16) is not None:
        attributes["projection_size"] = _rows(call, 16)
    has_normalization = any(call.input(i) is not None for i in range(20, 24))
    cell = _cell_activation(call)
    is_sequence = call.source == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    if is_sequence:
        attributes["direction"] = "forward"
    is_plain = not has_normalization and "projection_size" not in attributes
    if not (is_sequence and is_plain and cell) or call.whole("diagonal_recurrent_tensors"):
        return Translation(operator="", attributes=_with_code(call, attributes))
    attributes["activations"] = ("Sigmoid", cell, cell)
    initial = (call.present(18), call.present(19))
    return Translation(
        operator="LSTM", attributes=attributes, inputs=(0, *[OMITTED] * 4, *initial, OMITTED)
    )


def _one_step_lstm(call: Call) -> Translation:
    """One step. The basic kernel's inputs: input, state, weights of all gates, biases, cell state."""
    if call.options.get("kernel_type") != "BASIC":
        return _lstm(call)
    attributes = _shared(call)
    attributes["hidden_size"] = _rows(call, 2) // 4
    return Translation(operator="", attributes=_with_code(call, attributes))


def _bidirectional_lstm(call: Call) -> Translation:
    """Both directions. Inputs: 0 input; 1-17 forward and 18-34 backward as 1-17 of one direction;
    35-38 states; 39-47 auxiliary input and its weights.
    """
    attributes = _shared(call)
    attributes["hidden_size"] = _rows(call, 4)
    attributes["direction"] = "bidirectional"
    if call.input(1) is None:
        attributes["input_forget"] = 1
    if call.input(16) is not None:
        attributes["projection_size"] = _rows(call, 16)
    has_auxiliary = any(call.input(i) is not None for i in range(39, 48))
    cell = _cell_activation(call)
    if has_auxiliary or "projection_size" in attributes or not cell:
        return Translation(operator="", attributes=_with_code(call, attributes))
    attributes["activations"] = ("Sigmoid", cell, cell) * 2
    return Translation(operator="LSTM", attributes=attributes, inputs=(0, *[OMITTED] * 7))


def _rnn(call: Call) -> Translation:
    """Inputs: input, input weights, recurrent weights, bias, state; for both directions 1-4 forward,
    5-8 backward, 9-11 auxiliary input and its weights.
    """
    attributes = _shared(call)
    attributes["hidden_size"] = _rows(call, 1)
    cell = _cell_activation(call)
    if call.source == "RNN" or not cell or any(call.input(i) is not None for i in range(9, 12)):
        return Translation(operator="", attributes=_with_code(call, attributes))
    both = call.source == "BIDIRECTIONAL_SEQUENCE_RNN"
    attributes["direction"] = "bidirectional" if both else "forward"
    attributes["activations"] = (cell,) * (2 if both else 1)
    state = OMITTED if both else call.present(4)
    return Translation(operator="RNN", attributes=attributes, inputs=(0, *[OMITTED] * 4, state))


def _with_code(call: Call, attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    code = call.whole("fused_activation_function")
    return attributes | {"cell_activation": _ACTIVATIONS.get(code, str(code))}


RULES: dict[str, Rule] = {
    "LSTM": _one_step_lstm,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _bidirectional_lstm,
    "RNN": _rnn,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _rnn,
    "BIDIRECTIONAL_SEQUENCE_RNN": _rnn,
}
"""Rules by operator name. Their fused activation is the cell's, not the output's."""

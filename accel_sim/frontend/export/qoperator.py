"""Writing an integer graph as QOperator ONNX: QLinearConv, QLinearMatMul, QLinearAdd, ... on codes.

The file computes in ONNX Runtime the codes that the arithmetic profile `onnxruntime` does. Inputs and outputs are
float32 as in a QDQ file, quantized and dequantized at the ends. Operators without an integer form (minimum, tanh, ...)
stand between a DequantizeLinear and a QuantizeLinear. Of ONNX Runtime's own operators (domain com.microsoft) the file
uses QGemm, QLinearAdd, QLinearMul, QLinearConcat, QLinearAveragePool, QLinearGlobalAveragePool, QLinearSigmoid,
QLinearLeakyRelu and QLinearSoftmax.

What a runtime decides (see `qdq`): on x86 without VNNI, uint8 by int8 saturates in pairs unless the weights are stored
as `WeightStorage.UINT8`; layers with 16-bit codes are real-valued. Signed activations stay as they are: no operator is
turned into an unsigned one. (There, leave the session option `session.x64quantprecision` alone: with it, ONNX Runtime
1.32 makes weights uint8 beside int8 activations, for which it has no QLinearConv.)
"""

from pathlib import Path

from accel_sim.frontend.export import emit_integer
from accel_sim.frontend.export.code_values import CodeValues
from accel_sim.frontend.export.emitters import EMITTERS
from accel_sim.frontend.export.qdq import WeightStorage, with_unsigned_weights
from accel_sim.frontend.export.writer import Form, written
from accel_sim.ir import (
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    FullyConnected,
    GlobalAveragePool2D,
    Graph,
    LeakyRelu,
    Logistic,
    MatMul,
    MaxPool2D,
    Multiply,
    Pad,
    Reshape,
    Slice,
    Softmax,
    Transpose,
)

QOPERATOR = Form(
    "QOperator ONNX",
    CodeValues,
    {
        **EMITTERS,
        Conv2D: emit_integer.emit_convolution,
        FullyConnected: emit_integer.emit_fully_connected,
        MatMul: emit_integer.emit_matmul,
        Add: emit_integer.emit_binary,
        Multiply: emit_integer.emit_binary,
        Concat: emit_integer.emit_concat,
        AveragePool2D: emit_integer.emit_average_pool,
        GlobalAveragePool2D: emit_integer.emit_global_average_pool,
        Logistic: emit_integer.emit_logistic,
        LeakyRelu: emit_integer.emit_leaky_relu,
        Softmax: emit_integer.emit_softmax,
        MaxPool2D: emit_integer.emit_max_pool,
        Reshape: emit_integer.emit_reshape,
        Transpose: emit_integer.emit_transpose,
        Slice: emit_integer.emit_slice,
        Pad: emit_integer.emit_pad,
    },
)


def write_qoperator_onnx(
    graph: Graph, path: str | Path | None = None, *, weights: WeightStorage = WeightStorage.INT8
) -> bytes:
    """An integer graph as the bytes of a QOperator ONNX file; written to `path` as a whole or not at all.

    Inputs, outputs, batch axis and operator sets as `write_qdq_onnx` has them.

    Raises:
        UnsupportedModelError: listing everything that ONNX cannot say: float tensors, operators without an ONNX form.
        OSError: `path` cannot be written.
    """
    return written(with_unsigned_weights(graph) if weights is WeightStorage.UINT8 else graph, QOPERATOR, path)

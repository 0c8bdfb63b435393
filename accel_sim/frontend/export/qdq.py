"""Writing an integer graph as QDQ ONNX, the float-looking form in which ONNX Runtime reads integer networks.

The file computes in ONNX Runtime (CPU, all optimizations) the codes that the arithmetic profile `onnxruntime` does:
every tensor passes a QuantizeLinear and a DequantizeLinear on its grid, so that the runtime fuses each operator into
its integer kernel. Weights are int8 (or what their grid is) initializers, per channel where their grid is; a bias is
int32. Codes narrower than 8 bits are stored in 8 and clamped where needed: runtimes have no kernels for them.

Three things a runtime decides, not the file:

- On x86 processors without VNNI, ONNX Runtime multiplies uint8 by int8 in pairs that saturate at 16 bits. There, pass
  `WeightStorage.UINT8` (the same weights, stored with zero point 128: exact everywhere), or set the runtime's
  session option `session.x64quantprecision` to "1".
- Layers with 16-bit codes run in float32 in ONNX Runtime.
- On x86, ONNX Runtime turns int8 activations into uint8 ones first. That changes no sum, but average pooling, Add and
  Mul add the zero point before they round: on signed grids their codes can differ by one from the graph's. The file
  read back is the graph that ONNX Runtime computes. Unsigned activations, the default, are exact either way.
- Where several operators read an int8 activation, ONNX Runtime runs a Conv, MatMul or Gemm beside it in float32.
"""

from dataclasses import replace
from enum import Enum
from pathlib import Path

import numpy as np

from accel_sim.frontend.export.writer import QDQ, written
from accel_sim.ir import ElementType, Graph
from accel_sim.transforms.rewriting import Uses, rebuilt


class WeightStorage(Enum):
    """How the codes of signed 8-bit weights are stored."""

    INT8 = "int8"
    """As they are: what every reader of QDQ files expects."""
    UINT8 = "uint8"
    """With 128 added to codes and zero points."""


def write_qdq_onnx(
    graph: Graph, path: str | Path | None = None, *, weights: WeightStorage = WeightStorage.INT8
) -> bytes:
    """An integer graph as the bytes of a QDQ ONNX file; written to `path` as a whole or not at all.

    Inputs and outputs are float32, named and ordered as in the graph's own file. Where no operator mixes the samples of
    a batch, the batch axis is symbolic ("N"). Opset 13; 14 for HardSwish; 21 for 16-bit codes.

    Raises:
        UnsupportedModelError: listing everything that QDQ ONNX cannot say: float tensors, operators without an ONNX
            form, attributes that ONNX lacks.
        OSError: `path` cannot be written.
    """
    return written(with_unsigned_weights(graph) if weights is WeightStorage.UINT8 else graph, QDQ, path)


def with_unsigned_weights(graph: Graph) -> Graph:
    """`WeightStorage.UINT8`: constants that are second operands of linear layers, and nothing else's."""
    changed = []
    for name, readers in Uses.of(graph).readers.items():
        tensor = graph.tensors[name]
        grid = tensor.quant
        if not tensor.is_constant or grid is None or not grid.signed or grid.bits > 8:
            continue
        if all(n.op.name in _LINEAR and n.inputs[1] == name for n in readers):
            codes = (tensor.constant.astype(np.int16) + 128).astype(np.uint8)
            zeros = tuple(z + 128 for z in grid.zero_point)
            unsigned = replace(grid, zero_point=zeros, bits=8, signed=False)
            changed.append(replace(tensor, element=ElementType.UINT8, quant=unsigned, data=codes))
    return rebuilt(graph, graph.nodes, changed)


_LINEAR = ("Conv2D", "TransposeConv2D", "FullyConnected", "MatMul")

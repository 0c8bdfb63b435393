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

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from accel_sim.errors import Fault, UnsupportedModelError
from accel_sim.frontend.export.batch import has_free_batch
from accel_sim.frontend.export.emitters import EMITTERS
from accel_sim.frontend.export.layout import choose_orders, ordered
from accel_sim.frontend.export.model_builder import ModelBuilder, value_info
from accel_sim.frontend.export.values import InexpressibleError, Values, container
from accel_sim.ir import ArgMax, ElementType, Graph, HardSwish, Node, Tensor
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
    faults = list(_graph_faults(graph))
    if faults:
        raise UnsupportedModelError(f"graph {graph.name!r} as QDQ ONNX", faults)
    if weights is WeightStorage.UINT8:
        graph = _with_unsigned_weights(graph)
    content = _serialized(graph)
    if path is not None:
        _write_atomically(Path(path), content)
    return content


def _serialized(graph: Graph) -> bytes:
    builder = ModelBuilder(_opset(graph), (t.name for t in graph.activations()), (n.name for n in graph.nodes))
    values = Values(graph, builder, choose_orders(graph), free_batch=has_free_batch(graph))
    for name in graph.inputs:
        values.write_input(graph.tensors[name])
    faults: list[Fault] = []
    for node in graph.nodes:
        try:
            EMITTERS[type(node.op)](values, node, node.op)
        except InexpressibleError as error:
            faults += error.faults
            _stand_in(values, node)
    if faults:
        raise UnsupportedModelError(f"graph {graph.name!r} as QDQ ONNX", faults)
    inputs, outputs = ([_declared(values, n) for n in names] for names in (graph.inputs, graph.outputs))
    return builder.serialized(graph.name or "network", inputs, outputs, graph.metadata)


def _stand_in(values: Values, node: Node) -> None:
    """Results for the readers of a node that could not be written, so that their own faults are found too."""
    for name in node.outputs:
        tensor = values.graph.tensors[name]
        values.write(tensor, values.scalar(0.0, "absent"), values.order(tensor))


def _opset(graph: Graph) -> int:
    if any(t.quant is not None and container(t.quant).itemsize == 2 for t in graph.tensors.values()):
        return 21
    return 14 if any(isinstance(n.op, HardSwish) for n in graph.nodes) else 13


def _declared(values: Values, name: str) -> Any:
    tensor = values.graph.tensors[name]
    shape: list[int | str] = list(ordered(tensor.shape, values.order(tensor)))
    if values.free_batch:
        shape[0] = "N"
    return value_info(name, ElementType.FLOAT32 if tensor.quant is not None else _plain_type(values.graph, name), shape)


def _plain_type(graph: Graph, name: str) -> ElementType:
    """The type in the file of a tensor without grid: accumulators as they are, indices int64, wherever moved."""
    maker = graph.producer(name)
    if maker is not None and isinstance(maker.op, ArgMax):
        return ElementType.INT64
    moved = maker is not None and graph.operand(maker, 0).quant is None
    return _plain_type(graph, maker.inputs[0]) if maker is not None and moved else graph.tensors[name].element


def _graph_faults(graph: Graph) -> Iterator[Fault]:
    for tensor in graph.activations():
        if tensor.element.is_float:
            yield Fault(f"tensor {tensor.name!r}", "float32", "every tensor is an integer one", "quantize the graph")
        elif tensor.quant is not None and (tensor.quant.is_per_channel or tensor.quant.bits > 16):
            yield Fault(f"tensor {tensor.name!r}", _grid_text(tensor), "activations have one grid of at most 16 bits")
    for node in graph.nodes:
        if type(node.op) not in EMITTERS:
            yield Fault(node.where, node.op.name, "is an operator of ONNX")
    for name in graph.outputs:
        if name in graph.inputs or graph.tensors[name].is_constant:
            yield Fault(f"output {name!r}", "not computed", "an output is made by an operator")


def _grid_text(tensor: Tensor) -> str:
    assert tensor.quant is not None
    return f"{tensor.quant.bits} bits{', per channel' if tensor.quant.is_per_channel else ''}"


def _with_unsigned_weights(graph: Graph) -> Graph:
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


def _write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's file mode mask, which temporary files ignore."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

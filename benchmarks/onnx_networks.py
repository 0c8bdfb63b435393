"""Graphs of `networks` as ONNX files of integer operators (QOperator), tensors named as in the graph, NCHW."""

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from accel_sim import ir
from accel_sim.ir import Graph, Node

_IR_VERSION = 10
_TO_NCHW = (0, 3, 1, 2)


def onnx_file(graph: Graph) -> bytes:
    """A graph of `networks` with activations of uint8 as an ONNX file."""
    writer = _Writer(graph)
    for node in graph.nodes:
        writer.write(node)
    ends = [[_value(graph, name) for name in names] for names in (graph.inputs, graph.outputs)]
    proto = helper.make_graph(writer.nodes, graph.name, *ends, writer.constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    data: bytes = helper.make_model(proto, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()
    return data


def _value(graph: Graph, name: str) -> object:
    tensor = graph.tensors[name]
    shape = [tensor.shape[axis] for axis in _TO_NCHW] if len(tensor.shape) == 4 else tensor.shape
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(tensor.element.dtype), shape)


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.nodes: list[object] = []
        self.constants: list[object] = []

    def write(self, node: Node) -> None:
        op, (result,) = node.op, node.outputs
        source = node.inputs[0]
        if isinstance(op, ir.Conv2D):
            pad, (_, kh, kw, _) = op.padding, self._graph.tensors[node.inputs[1]].shape
            fields = {"group": op.groups, "kernel_shape": [kh, kw], "strides": op.strides, "pads": _pads(pad)}
            operands = [*self._gridded(source), *self._weights(node.inputs[1]), *self._grid(result)]
            self._node("QLinearConv", [*operands, self._bias(node.inputs[2])], result, **fields)
        elif isinstance(op, ir.MaxPool2D):
            self._node("MaxPool", [source], result, kernel_shape=op.kernel, strides=op.strides, pads=_pads(op.padding))
        elif isinstance(op, ir.Add):
            operands = [*self._gridded(source), *self._gridded(node.inputs[1]), *self._grid(result)]
            self._node("QLinearAdd", operands, result, domain="com.microsoft")
        elif isinstance(op, ir.Mean):
            operands = [*self._gridded(source), *self._grid(result)]
            self._node("QLinearGlobalAveragePool", operands, result, domain="com.microsoft", channels_last=0)
        elif isinstance(op, ir.FullyConnected):
            self._node("Flatten", [source], f"{result}/flat")
            operands = [f"{result}/flat", *self._grid(source), *self._weights(node.inputs[1])]
            operands += [self._bias(node.inputs[2]), *self._grid(result)]
            self._node("QGemm", operands, result, domain="com.microsoft", transB=1)
        else:
            raise NotImplementedError(type(op).__name__)

    def _node(self, kind: str, operands: list[str], result: str, **fields: object) -> None:
        self.nodes.append(helper.make_node(kind, operands, [result], name=f"{kind}/{result}", **fields))

    def _constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def _grid(self, name: str) -> list[str]:
        """Scale and zero point of an activation."""
        tensor = self._graph.tensors[name]
        grid, place = tensor.quant, f"{name}/grid{len(self.constants)}"
        assert grid is not None
        scale, zero = np.array(grid.scale[0], np.float32), np.array(grid.zero_point[0], tensor.element.dtype)
        return [self._constant(f"{place}/scale", scale), self._constant(f"{place}/zero", zero)]

    def _gridded(self, name: str) -> list[str]:
        return [name, *self._grid(name)]

    def _weights(self, name: str) -> list[str]:
        tensor = self._graph.tensors[name]
        grid, codes = tensor.quant, tensor.data
        assert grid is not None
        assert codes is not None
        stored = codes.transpose(_TO_NCHW) if codes.ndim == 4 else codes
        scale = self._constant(f"{name}/scale", np.array(grid.scale, np.float32))
        zero = self._constant(f"{name}/zero", np.zeros(len(grid.scale), codes.dtype))
        return [self._constant(name, stored), scale, zero]

    def _bias(self, name: str) -> str:
        data = self._graph.tensors[name].data
        assert data is not None
        return self._constant(name, data)


def _pads(pad: ir.Padding2D) -> list[int]:
    return [pad.top, pad.left, pad.bottom, pad.right]

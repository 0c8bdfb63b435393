"""Small graphs built in memory, one operator each or a few, for tests of the golden evaluators."""

import numpy as np

from accel_sim.ir import ElementType, Graph, Node, QuantParams, Tensor

FLOAT32 = ElementType.FLOAT32


def activation(name, shape, quant=None, element=None):
    """A float tensor without `quant`, else codes of that grid; `element` overrides the storage."""
    stored = element or (ElementType.for_grid(quant) if quant else FLOAT32)
    return Tensor(name, tuple(shape), stored, quant)


def constant(name, data, quant=None):
    """Constant data as stored; the element type is the array's."""
    array = np.asarray(data)
    return Tensor(name, array.shape, ElementType(array.dtype.name), quant, array)


def single(op, inputs, output):
    """A graph of one operator; None among the inputs is an absent operand."""
    given = [t for t in inputs if t is not None]
    node = Node("node", op, tuple(t.name if t else "" for t in inputs), (output.name,))
    tensors = {t.name: t for t in (*given, output)}
    sources = tuple(t.name for t in given if not t.is_constant)
    return Graph("test", (node,), tensors, sources, (output.name,))


def int8(scale=2.0**-4, zero_point=0):
    """An int8 grid."""
    return QuantParams.per_tensor(scale, zero_point)

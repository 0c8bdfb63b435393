"""The float ends of a quantized network: QUANTIZE at its inputs, DEQUANTIZE at its outputs.

They are stripped: the integer tensor behind an input, or before an output, takes the name that the file gives to the
float one. Where that is impossible (one tensor would need two names), a copy is left in the graph.
"""

from collections import Counter
from dataclasses import dataclass, field

from accel_sim.frontend.tflite.reader import FileModel, FileOperator

_INTEGERS = ("int8", "uint8", "int16")


@dataclass
class Ends:
    """What becomes of the ends.

    Attributes:
        stripped: indices of the operators that are left out.
        stands_for: float input -> the integer tensor whose type and grid it takes.
        alias: integer tensor -> the tensor under whose name it appears.
        copies: (integer tensor, float output) pairs that need a copy.
    """

    stripped: set[int] = field(default_factory=set)
    stands_for: dict[int, int] = field(default_factory=dict)
    alias: dict[int, int] = field(default_factory=dict)
    copies: list[tuple[int, int]] = field(default_factory=list)


def find_ends(model: FileModel) -> Ends:
    """The float ends of a model whose tensor indices are valid."""
    ends = Ends()
    for index in model.inputs:
        _strip_input(model, index, ends)
    readers = Counter(i for op in model.operators for i in op.inputs)
    named = Counter((*model.inputs, *model.outputs))
    for op in model.operators:
        if _is_end(model, op) and op.outputs[0] in model.outputs and not readers[op.outputs[0]]:
            _strip_output(op, named, ends)
    return ends


def _strip_input(model: FileModel, index: int, ends: Ends) -> None:
    readers = [op for op in model.operators if index in op.inputs]
    if model.tensors[index].type != "float32" or index in model.outputs or not readers:
        return
    if not all(op.operator == "QUANTIZE" and len(op.inputs) == len(op.outputs) == 1 for op in readers):
        return
    results = [op.outputs[0] for op in readers]
    if len({_code(model, r) for r in results}) != 1 or model.tensors[results[0]].type not in _INTEGERS:
        return
    ends.stripped |= {op.index for op in readers}
    ends.stands_for[index] = results[0]
    ends.alias |= dict.fromkeys(results, index)


def _code(model: FileModel, index: int) -> tuple[object, ...]:
    tensor = model.tensors[index]
    q = tensor.quantization
    return (tensor.type, q and q.scale.tobytes(), q and q.zero_point.tobytes())


def _is_end(model: FileModel, op: FileOperator) -> bool:
    if op.operator != "DEQUANTIZE" or len(op.inputs) != 1 or len(op.outputs) != 1 or op.inputs[0] < 0:
        return False
    source, result = model.tensors[op.inputs[0]], model.tensors[op.outputs[0]]
    return source.data is None and source.type in _INTEGERS and result.type == "float32"


def _strip_output(op: FileOperator, named: "Counter[int]", ends: Ends) -> None:
    source, result = op.inputs[0], op.outputs[0]
    ends.stripped.add(op.index)
    if named[source] or source in ends.alias:
        ends.copies.append((source, result))
    else:
        ends.alias[source] = result

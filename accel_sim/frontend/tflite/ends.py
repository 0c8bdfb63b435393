"""The float ends of a quantized network: QUANTIZE at its inputs, DEQUANTIZE at its outputs.

They are stripped: the integer tensor behind an input, or before an output, takes the name that the file gives to the
float one. Where that is impossible (one tensor would need two names), a copy is left in the graph.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from accel_sim.frontend.tflite.reader import FileModel, FileOperator

_INTEGERS = ("int8", "uint8", "int16")


@dataclass
class Ends:
    """What becomes of the ends; tensors are numbers of the file.

    Attributes:
        stripped: the operators that are left out.
        behind: float input -> the integer tensors quantized from it, all of one type and grid.
        before: float output -> the integer tensor that it is dequantized from.
        alias: integer tensor -> the float output whose name it takes.
    """

    stripped: set[int] = field(default_factory=set)
    behind: dict[int, list[int]] = field(default_factory=dict)
    before: dict[int, int] = field(default_factory=dict)
    alias: dict[int, int] = field(default_factory=dict)


def find_ends(model: FileModel) -> Ends:
    """The float ends of a model whose tensor numbers are valid."""
    ends = Ends()
    readers: defaultdict[int, list[FileOperator]] = defaultdict(list)
    for op in model.operators:
        for index in set(op.inputs):
            readers[index].append(op)
    outputs = set(model.outputs)
    for index in model.inputs:
        if index not in outputs:
            _strip_input(model, index, readers[index], ends)
    named = Counter((*model.inputs, *outputs, *(i for behind in ends.behind.values() for i in behind)))
    for op in model.operators:
        if _is_dequantized_end(model, op) and op.outputs[0] in outputs and not readers[op.outputs[0]]:
            _strip_output(op, named, ends)
    return ends


def _strip_input(model: FileModel, index: int, readers: list[FileOperator], ends: Ends) -> None:
    if model.tensors[index].type != "float32" or not readers:
        return
    if not all(op.operator == "QUANTIZE" and len(op.inputs) == len(op.outputs) == 1 for op in readers):
        return
    results = [op.outputs[0] for op in readers]
    if len({_code(model, r) for r in results}) != 1 or model.tensors[results[0]].type not in _INTEGERS:
        return
    ends.stripped |= {op.index for op in readers}
    ends.behind[index] = results


def _code(model: FileModel, index: int) -> tuple[object, ...]:
    tensor = model.tensors[index]
    q = tensor.quantization
    return (tensor.type, q and q.scale.tobytes(), q and q.zero_point.tobytes())


def _is_dequantized_end(model: FileModel, op: FileOperator) -> bool:
    if op.operator != "DEQUANTIZE" or len(op.inputs) != 1 or len(op.outputs) != 1 or op.inputs[0] < 0:
        return False
    source, result = model.tensors[op.inputs[0]], model.tensors[op.outputs[0]]
    return source.data is None and source.type in _INTEGERS and result.type == "float32"


def _strip_output(op: FileOperator, named: "Counter[int]", ends: Ends) -> None:
    source, result = op.inputs[0], op.outputs[0]
    ends.stripped.add(op.index)
    ends.before[result] = source
    if not named[source]:
        named[source] += 1
        ends.alias[source] = result

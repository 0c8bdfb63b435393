"""The LiteRT oracle: the reference kernels, never a delegate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def _interpreter(model: bytes, *, preserve: bool) -> Interpreter:
    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=preserve,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    operators = [op["op_name"] for op in interpreter._get_ops_details()]
    if any("DELEGATE" in name.upper() for name in operators):
        raise AssertionError(f"a delegate took over: {operators}")
    return interpreter


def _invoke(interpreter: Interpreter, inputs: Mapping[str, np.ndarray]) -> None:
    details = interpreter.get_input_details()
    if sorted(d["name"] for d in details) != sorted(inputs):
        raise AssertionError(f"inputs {sorted(inputs)} for {[d['name'] for d in details]}")
    for detail in details:
        interpreter.set_tensor(detail["index"], inputs[detail["name"]])
    interpreter.invoke()


def run_reference(model: bytes, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs of `model`, in the file's order, as LiteRT's BUILTIN_REF kernels compute them."""
    interpreter = _interpreter(model, preserve=False)
    _invoke(interpreter, inputs)
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def run_reference_tensors(
    model: bytes, inputs: Mapping[str, np.ndarray]
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Outputs, and every tensor of the main subgraph by name (constants and intermediates too).

    The interpreter's own scratch tensors, which have no name in the file, are left out.
    """
    interpreter = _interpreter(model, preserve=True)
    _invoke(interpreter, inputs)
    tensors = {}
    for detail in interpreter.get_tensor_details():
        if detail["name"] and detail["dtype"] is not np.bytes_:
            tensors[detail["name"]] = interpreter.get_tensor(detail["index"])
    outputs = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
    return outputs, tensors

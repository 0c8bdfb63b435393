"""ONNX: the bytes of an .onnx file -> a Graph.

The stages, in order: `proto` parses and checks the container (`external` reads weights kept beside it, `ordering`
puts the nodes in order); `prepare` computes constant nodes (`folding`); `double_pairs` makes one of two pairs of
QuantizeLinear and DequantizeLinear in a row; `quantization` turns QuantizeLinear, DequantizeLinear and the QLinear
operators (`qoperator`) into grids of values, `dialect` does so for Deeploy's files;
`propagation` fuses clamps and gives every value its grid (`float_constants` those of constants left in float);
`unsigned` gives int8 activations the uint8 grids that ONNX Runtime computes on, where that matters; `importer`
translates step by step (`operators`), after the constraints of `rules` that `registry` lists, those of one dimension
as images (`lines`); `emitter` lays tensors out, channels last. `view` reads attributes and operands, `network` is the
graph between the stages.
"""

from accel_sim.frontend._listing import SupportedOperator
from accel_sim.frontend.onnx.importer import list_onnx, load_onnx
from accel_sim.frontend.onnx.registry import support_rows


def supported_onnx() -> tuple[SupportedOperator, ...]:
    """The rows of the table of supported ONNX operators."""
    return tuple(support_rows())


__all__ = ["list_onnx", "load_onnx", "supported_onnx"]

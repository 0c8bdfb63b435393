"""The ONNX front end: a file's bytes -> Graph. README.md tells the stages."""

from accel_sim.frontend._listing import SupportedOperator
from accel_sim.frontend.onnx.importer import list_onnx, load_onnx
from accel_sim.frontend.onnx.registry import support_rows


def supported_onnx() -> tuple[SupportedOperator, ...]:
    """The rows of the table of supported ONNX operators."""
    return tuple(support_rows())


__all__ = ["list_onnx", "load_onnx", "supported_onnx"]

"""Graphs as files that other software runs."""

from accel_sim.frontend.export.floating import write_float_onnx
from accel_sim.frontend.export.qdq import WeightStorage, write_qdq_onnx
from accel_sim.frontend.export.qoperator import write_qoperator_onnx

__all__ = ["WeightStorage", "write_float_onnx", "write_qdq_onnx", "write_qoperator_onnx"]

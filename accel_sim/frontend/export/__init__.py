"""Integer graphs as files that other software runs."""

from accel_sim.frontend.export.qdq import WeightStorage, write_qdq_onnx

__all__ = ["WeightStorage", "write_qdq_onnx"]

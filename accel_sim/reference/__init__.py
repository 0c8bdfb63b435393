"""Golden evaluators of a Graph, slow and independent of the machine: integer, float, fake-quant."""

from accel_sim.reference.integer import evaluate_integer

__all__ = ["evaluate_integer"]

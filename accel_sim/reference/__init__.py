"""Golden evaluators of a Graph, slow and independent of the machine: integer, float, fake-quant."""

from accel_sim.reference.integer import evaluate_integer
from accel_sim.reference.real import evaluate_fake_quant, evaluate_float

__all__ = ["evaluate_fake_quant", "evaluate_float", "evaluate_integer"]

"""The compiler: Graph + AcceleratorConfig -> Program."""

from accel_sim.compiler.compile import compile_graph, default_profile

__all__ = ["compile_graph", "default_profile"]

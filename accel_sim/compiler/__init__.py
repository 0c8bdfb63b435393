"""The compiler: Graph + AcceleratorConfig -> Program."""

from accel_sim.compiler.compile import DEFAULT_PROFILES, compile_graph, default_profile

__all__ = ["DEFAULT_PROFILES", "compile_graph", "default_profile"]

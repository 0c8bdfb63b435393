"""Graph rewrites: pure functions Graph -> Graph, one per file, with their rules numbered in its docstring."""

from accel_sim.transforms.center_weights import center_weights
from accel_sim.transforms.deduplicate_constants import deduplicate_constants
from accel_sim.transforms.eliminate_dead import eliminate_dead
from accel_sim.transforms.eliminate_identities import eliminate_identities
from accel_sim.transforms.fold_batchnorm import fold_batchnorm
from accel_sim.transforms.fuse_activation import fuse_activation
from accel_sim.transforms.matmul_to_fully_connected import matmul_to_fully_connected
from accel_sim.transforms.passes import CANONICAL_FLOAT, Pass, run_passes

__all__ = [
    "CANONICAL_FLOAT",
    "Pass",
    "center_weights",
    "deduplicate_constants",
    "eliminate_dead",
    "eliminate_identities",
    "fold_batchnorm",
    "fuse_activation",
    "matmul_to_fully_connected",
    "run_passes",
]

"""Analysis of a network on a machine: simulation mismatch, accumulator overflow."""

"""Steps: kernels that run whole commands on addresses, called one after the other by an interpreter without Python.

- `objects`: machine code by name, from the cache on disk; `compile` makes it where it is missing.
- `translate`: the language in which steps are written, Python's syntax for integers. `emit`: vector instructions.
- `tier`: what the processor offers. `products`, `epilogues`: the micro-kernels of matrix
  products. `convolve`, `depthwise`, ...: the steps. `interpreter`: runs a list of them.

A step is a function of six int64: the address of its row of arguments (`fields`), the addresses of the activations and
of the scratch memory of the thread, the thread's share of the work, and the number of shares. It raises nothing and
allocates nothing, so its machine code needs no runtime library. numba has no part in it: its front end takes ten times
as long. Reads may go up to `SLACK` bytes past the end of an operand, writes never do.
"""

import os

SLACK = 256
"""Readable bytes that must follow activations and scratch memory."""


def compiled() -> bool:
    """Whether steps may be used: kernels are compiled, and need not check every index."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0") and os.environ.get("ACCEL_KERNELS_BOUNDSCHECK") != "1"

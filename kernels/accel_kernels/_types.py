"""What kernels take, for readers: numba gives the exact type at each call; type checkers know no scalar that fits."""

from typing import Any

Array = Any
"""A C-contiguous array; its element type is the caller's choice within what the kernel's docstring allows."""
Int64 = Any
"""An integer of 64 bits: np.int64, or a Python int that fits."""
Float32 = Any
"""np.float32."""
Float64 = Any
"""np.float64, or a Python float."""

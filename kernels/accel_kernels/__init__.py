"""Numba kernels: pure functions of arrays that write into arrays given to them. They know nothing of networks.

A module's name is a grammar: what it does, element types, accumulator, overflow, rounding, as far as each applies
(`gemm_wrap`, `gemm_watch_saturate_int32`, `requantize_exact`). Multiply-accumulate kernels come in pairs with equal
bits: `gemm_wrap` is fast; the `gemm_watch_*` modules add one product at a time and report what the accumulators held.

Conventions:

- Arrays are C-contiguous, aligned and writable, so that each kernel is compiled once per set of element types.
- Elements are widened to int64 when they are loaded (`np.int64(a[i])`) and narrowed once, on purpose, when they are
  stored: compiled code and plain Python (`NUMBA_DISABLE_JIT=1`) then compute the same numbers.
- `record` is int64[3]: the smallest and the largest value held by an accumulator, and how many additions overflowed.
  Kernels lower, raise and add to what stands there. `lanes.new_record` makes an empty one.
"""

"""Arrays as words of memory: one hexadecimal word per line, as Verilog's $readmemh reads it."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from accel_sim.records import dataclass

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Words:
    """Numbers in row-major order.

    Attributes:
        dtype: what a word is: a NumPy name, or `int<bits>` for integers wider than 64 bits.
        shape: row-major.
        bits: of a word, a multiple of 8.
        values: each as its unsigned bit pattern: two's complement, or IEEE 754.
    """

    dtype: str
    shape: tuple[int, ...]
    bits: int
    values: tuple[int, ...]

    @classmethod
    def of_array(cls, array: Array) -> "Words":
        """The words of an array of integers or floats."""
        bits = 8 * array.dtype.itemsize
        patterns = np.ascontiguousarray(array).view(f"uint{bits}").ravel()
        return cls(array.dtype.name, array.shape, bits, tuple(patterns.tolist()))

    @classmethod
    def of_integers(cls, values: tuple[int, ...]) -> "Words":
        """Integers in the smallest of int32, int64 and the byte-wise widths beyond that holds all of them."""
        needed = 1 + max((max(value, ~value).bit_length() for value in values), default=0)
        bits = next((n for n in (32, 64) if needed <= n), -(-needed // 8) * 8)
        return cls(f"int{bits}", (len(values),), bits, tuple(value & ((1 << bits) - 1) for value in values))

    def to_array(self) -> Array:
        """The array; words beyond 64 bits as uint8 [..., bytes], least significant byte first."""
        content = b"".join(value.to_bytes(self.bits // 8, "little") for value in self.values)
        if self.bits > 64:
            return np.frombuffer(content, np.uint8).reshape(*self.shape, self.bits // 8)
        return np.frombuffer(content, np.dtype(self.dtype).newbyteorder("<")).reshape(self.shape)

    def to_hex(self) -> str:
        """One word per line, the first element first."""
        return "".join(f"{value:0{self.bits // 4}x}\n" for value in self.values)

    @property
    def count(self) -> int:
        """Words."""
        return prod(self.shape)

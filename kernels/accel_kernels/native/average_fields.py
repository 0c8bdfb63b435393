"""The parameters of average pooling, as its steps read them; nothing here needs numba."""

from collections.abc import Mapping

AVERAGE_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "truncating": (("low", "i32"), ("high", "i32")),
    "reciprocal": (("low", "i32"), ("high", "i32"), ("zero_point", "i32")),
    "float32": (
        *((name, "f32") for name in ("input_scale", "scale", "zero_point", "low", "high")),
        ("input_zero", "i32"),
        ("offset", "i32"),
    ),
}
"""Form of an average -> (name, element) of its parameters.

"reciprocal" has, in the table at EXTRA_2, for each divisor n a multiplier, a shift and what is added to the product.
"""

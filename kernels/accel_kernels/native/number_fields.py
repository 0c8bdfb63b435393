"""The parameters of averages and of the inputs' quantization, as steps read them."""

from collections.abc import Mapping

AVERAGE_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "truncating": (("low", "i32"), ("high", "i32")),
    "reciprocal": (("low", "i32"), ("high", "i32"), ("zero_point", "i32")),
    "rational": (("low", "f64"), ("high", "f64"), ("zero_point", "i32"), ("input_zero", "i32")),
    "float32": (
        *((name, "f32") for name in ("input_scale", "scale", "zero_point", "low", "high")),
        ("input_zero", "i32"),
        ("offset", "i32"),
    ),
}
"""Form of an average -> (name, element) of its parameters.

"reciprocal" has, in the table at EXTRA_2, for each divisor n a multiplier, a shift and what is added to the product;
"rational" a float64 factor and divisor, and limits less the zero point.
"""

MEAN_FIELDS: tuple[tuple[str, str], ...] = (
    *((name, "f32") for name in ("input_scale", "scale", "low", "high", "count")),
    ("input_zero", "i32"),
    ("zero_point", "i32"),
)
"""(name, element) of the parameters of a mean in float32; limits are codes less the zero point."""

BOUNDARY_FIELDS: tuple[tuple[str, str], ...] = (
    *((name, "f32") for name in ("scale", "low", "high")),
    ("zero_point", "i32"),
)
"""(name, element) of the parameters of an input's quantization; limits are codes less the zero point."""

BILINEAR_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "fixed32": (),
    "fixed64": (),
    "rescaled": (("offset", "i32"),),
    "raw": (),
    "float": (
        *((name, "f32") for name in ("input_scale", "scale", "low", "high")),
        ("input_zero", "i32"),
        ("zero_point", "i32"),
    ),
}
"""Form of a bilinear resizing -> (name, element) of its parameters; limits are codes less the zero point."""

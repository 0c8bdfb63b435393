"""Run as a program by `test_native_tiers`: random convolutions and products in the tier that the environment chooses.

    python tier_cases.py CASES VARIANTS

Prints the tier, then the number of cases whose bytes were compared with unbounded integers. Cases whose step is none of
the first VARIANTS to occur are left out: each variant takes a second to compile.
"""

import sys

import numpy as np
from native_cases import RECIPES, Case, convolution, matrix_product, transposed

from accel_kernels.native.tier import tier
from accel_sim.numerics.requantization import Requantization

WIDE = [RECIPES[kind] for kind in ("single rounding, 16-bit multiplier", "float64", "rational")]


def draw(rng: np.random.Generator, seed: int) -> tuple[Case, Requantization | None]:
    """Codes of 8 bits three times out of four; else of 16 bits, or other commands."""
    kind = (*RECIPES, None)[seed % (len(RECIPES) + 1)]
    recipe = RECIPES[kind] if kind else None
    if seed % 4 < 3:
        return convolution(rng, recipe, depthwise=seed % 3 == 2)
    others = (
        lambda: convolution(rng, RECIPES["double rounding"], depthwise=bool(seed % 8 < 4), x_type="int16"),
        lambda: convolution(rng, WIDE[seed % len(WIDE)], depthwise=False, x_type="int16", wide=True),
        lambda: transposed(rng, RECIPES["double rounding"]),
        lambda: transposed(rng, RECIPES["double rounding"], x_type="int16"),
        lambda: matrix_product(rng, RECIPES["float32"]),
    )
    return others[seed // 4 % len(others)]()


def main(cases: int, variants: int) -> None:
    """Compare that many cases."""
    seen: set[str] = set()
    compared, seed = 0, 0
    sys.stdout.write(f"{tier().name}\n")
    while compared < cases:
        rng = np.random.default_rng(seed)
        case, recipe = draw(rng, seed)
        seed += 1
        name = case.step().name
        if name not in seen and len(seen) >= variants:
            continue
        seen.add(name)
        expected = case.expected(recipe)
        for parts in (1, int(rng.integers(2, 6))):
            np.testing.assert_array_equal(case.run(parts), expected, err_msg=f"seed {seed - 1}, {name}")
        compared += 1
    sys.stdout.write(f"{compared} {' '.join(sorted(seen))}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

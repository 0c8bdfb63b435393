"""Run as a program by `test_native_tiers`: random convolutions in the tier that the environment chooses.

    python tier_cases.py CASES VARIANTS

Prints the tier, then the number of cases whose bytes were compared with unbounded integers. Cases whose step is none of
the first VARIANTS to occur are left out: each variant takes a second to compile.
"""

import sys

import numpy as np
from native_cases import RECIPES, convolution

from accel_kernels.native.tier import tier


def main(cases: int, variants: int) -> None:
    """Compare that many cases."""
    seen: set[str] = set()
    compared, seed = 0, 0
    sys.stdout.write(f"{tier().name}\n")
    while compared < cases:
        rng = np.random.default_rng(seed)
        kind = (*RECIPES, None)[seed % (len(RECIPES) + 1)]
        case, recipe = convolution(rng, RECIPES[kind] if kind else None, depthwise=seed % 3 == 2)
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

"""Accumulators of several stages in plain Python, written apart from the specification; random structures."""

from accel_sim.hardware import load_structure, structure_names
from accel_sim.numerics.accumulators import AccumulatorStructure, OverflowPolicy, Stage, plain

POLICIES = tuple(OverflowPolicy)


class PlainStructure:
    """One dot product of operands relative to their zero points, as a structure adds it."""

    def __init__(self, structure, x, w, bias, zeros, tree=1):
        raw = structure.raw_codes
        self.inputs = [int(v) + raw * zeros[0] for v in x]
        self.weights = [int(v) + raw * zeros[1] for v in w]
        self.products = [a * b for a, b in zip(self.inputs, self.weights, strict=True)]
        exact = int(bias) + sum(int(a) * int(b) for a, b in zip(x, w, strict=True))
        self.start, self.events, self._stages = exact - sum(self.products), [], structure.stages
        last = structure.stages[-1]
        self.persistent = not -(1 << (last.bits - 1)) <= exact < 1 << (last.bits - 1)
        total = self._sum(-1, len(structure.stages) - 1, 0, self.start)
        terms = self._first_terms(structure.spacing, tree)
        for stage in range(len(structure.stages) - 1):
            terms = self._spills(terms, stage, structure.stages[stage].terms)
        for place, step, term in terms:
            total = self._sum(step, len(structure.stages) - 1, total, term, place)
        self.value = total
        self.events = [e[1:] for e in sorted(self.events, key=lambda e: e[0])] if len(structure.stages) > 1 else [
            e[1:] for e in self.events
        ]  # fmt: skip

    def _first_terms(self, spacing, tree):
        """(place, step, term): products in the order in which they enter the first stage."""
        count = len(self.products)
        if len(self._stages) == 1:
            return [(k, min(k + tree, count) - 1, sum(self.products[k : k + tree])) for k in range(0, count, tree)]
        size, step, terms = self._stages[0].terms, -1, []
        if spacing == 1:
            return [(k, k, product) for k, product in enumerate(self.products)]
        for block in range(0, count, size * spacing):
            for lane in range(spacing):
                for k in range(block + lane, block + size * spacing, spacing):
                    step = k if k < count else step
                    terms.append((len(terms), step, self.products[k] if k < count else 0))
        return terms

    def _spills(self, terms, stage, size):
        """What a stage hands to the next: one term for each `size` of its own."""
        found = []
        for first in range(0, len(terms), size):
            held = 0
            for place, step, term in terms[first : first + size]:
                held = self._sum(step, stage, held, term, place)
            found.append((*terms[min(first + size, len(terms)) - 1][:2], held))
        return found

    def _sum(self, step, stage, held, term, place=-1):
        bits, saturates = self._stages[stage].bits, self._stages[stage].policy is OverflowPolicy.SATURATE
        exact, half = held + term, 1 << (bits - 1)
        kept = max(-half, min(half - 1, exact)) if saturates else (exact + half) % (2 * half) - half
        if kept != exact:
            self.events.append(((place, stage), step, stage, exact, kept))
        return kept


def random_structure(rng):
    """A preset, a plain accumulator of any width, or up to three stages of any."""
    choice = rng.integers(4)
    if choice == 0:
        return load_structure(str(rng.choice(structure_names())), rows=int(rng.integers(2, 20)))
    if choice == 1:
        return plain(int(rng.integers(8, 65)), POLICIES[rng.integers(2)])
    stages = [
        Stage(int(rng.choice([17, 18, 20, 24, 40, 63, 64])), POLICIES[rng.integers(2)], int(rng.integers(1, 9)))
        for _ in range(rng.integers(1, 3))
    ]
    last = Stage(int(rng.integers(17, 65)), POLICIES[rng.integers(2)])
    kinds = ("uint8", "int8") if rng.integers(2) else (None, None)
    return AccumulatorStructure(
        "random",
        (*stages, last),
        raw_codes=bool(rng.integers(2)),
        inputs=kinds[0],
        weights=kinds[1],
        spacing=int(rng.choice([1, 1, 2, 5])),
    )

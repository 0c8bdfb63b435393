"""PE grids in plain Python: each register from its neighbours' registers of the cycle before, one PE at a time.

Control (when a fold begins, which PE takes over its operand) is written down as formulas of the cycle, from the
dataflows' descriptions; data only moves from register to register.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class PlainGrid:
    """x @ w.T + start on an R x C grid; after `run`, `history[t]` are the registers after cycle t."""

    rows: int
    columns: int
    shadow: bool
    x: np.ndarray  # [M, K]; streams (weights and inputs change places for input_stationary)
    w: np.ndarray  # [N, K]
    starts: np.ndarray  # [M, N]
    tiles: tuple[int, int, int]
    order: tuple[int, int]  # which of x and w is cut in the outer loop
    bits: int
    saturates: bool
    history: list[dict[str, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.acc = self.starts.astype(object).copy()
        self.first = int(self.starts[0, 0])

    def hold(self, exact: int) -> int:
        half = 1 << (self.bits - 1)
        return min(max(exact, -half), half - 1) if self.saturates else (exact + half) % (2 * half) - half

    def folds(self) -> list[tuple[range, range, range]]:
        """(rows of x, rows of w, reduction) in order."""
        cut = lambda n, size: [range(a, min(a + size, n)) for a in range(0, n, size)]  # noqa: E731
        (m, k, n), (rows, depth, columns) = (len(self.x), self.x.shape[1], len(self.w)), self.tiles
        pairs = [(a, c) for a in cut(m, rows) for c in cut(n, columns)]
        pairs.sort(key=lambda pair: [pair[axis][0] for axis in self.order])
        return [(a, c, b) for a, c in pairs for b in cut(k, depth)]

    def grid(self, value: int = 0) -> list[list[int]]:
        return [[value] * self.columns for _ in range(self.rows)]

    def note(self, **registers: list) -> None:
        self.history.append({name: np.array(value, np.int64) for name, value in registers.items()})

    def resting_operand(self) -> int:
        """Weights rest, sums move down; the number of cycles."""
        size, depth = self.rows, self.rows + self.columns - 2
        begins, loads, t = [], [], 0
        for m, _, _ in self.folds():
            loads.append(begins[-1] if begins and self.shadow else t)  # while the fold before streams, if it can
            begins.append(t + size)
            t += max(len(m), size) if self.shadow else size + len(m) + depth
        last = begins[-1] + len(self.folds()[-1][0]) + depth
        x, w, s, p = self.grid(), self.grid(), self.grid(), self.grid(self.first)
        port = [self.first] * self.columns
        for t in range(last):
            old_x, old_s, old_p = ([row[:] for row in registers] for registers in (x, s, p))
            into_rows, arriving = [0] * self.rows, [0] * self.columns
            takes, moves = self.grid(), self.grid()
            for (ms, ns, ks), begin, load in zip(self.folds(), begins, loads, strict=True):
                for i in range(self.rows):
                    if 0 <= t - begin - i < len(ms) and i < len(ks):
                        into_rows[i] = int(self.x[ms[t - begin - i], ks[i]])
                    for j in range(self.columns):
                        takes[i][j] |= t == begin + i + j
                        moves[i][j] |= i <= t - load - j < size
                for j in range(self.columns):
                    if 0 <= t - begin - j < len(ms):  # an idle column carries what its neighbour began with
                        held = self.acc[:, ns[j]] if j < len(ns) else self.starts[:, ns[-1]]
                        port[j] = int(held[ms[t - begin - j]])
                    row = size - 1 - (t - load - j)
                    if 0 <= row < len(ks) and j < len(ns):
                        arriving[j] = int(self.w[ns[j], ks[row]])
            for i in range(self.rows):
                for j in range(self.columns):
                    x[i][j] = old_x[i][j - 1] if j else into_rows[i]
                    if takes[i][j] and self.shadow:
                        w[i][j] = old_s[i][j]
                    p[i][j] = self.hold((old_p[i - 1][j] if i else port[j]) + x[i][j] * w[i][j])
            for i in range(self.rows):
                for j in range(self.columns):
                    if moves[i][j]:
                        s[i][j] = old_s[i - 1][j] if i else arriving[j]
            if not self.shadow:
                w = s
            for (ms, ns, _), begin in zip(self.folds(), begins, strict=True):
                for j in range(len(ns)):
                    m = t - begin - (size - 1) - j
                    if 0 <= m < len(ms):
                        self.acc[ms[m], ns[j]] = p[size - 1][j]
            self.note(inputs=x, resting=w, sums=p, **({"shadow": s} if self.shadow else {}))
        return last

    def resting_sums(self) -> int:
        """Accumulators rest, both operands move; the number of cycles."""
        depth = self.rows + self.columns - 2
        begins, t = [], 0
        for _, _, ks in self.folds():
            begins.append(t)
            ends = ks[-1] == self.x.shape[1] - 1
            wait = self.rows if ends else 0
            t += max(len(ks), wait) if self.shadow else len(ks) + (depth if ends else 0)
        last = begins[-1] + len(self.folds()[-1][2]) + depth
        x, w, p, s = self.grid(), self.grid(), self.grid(self.first), self.grid()
        for t in range(last):
            old_x, old_w = [row[:] for row in x], [row[:] for row in w]
            into_rows, into_columns = [0] * self.rows, [0] * self.columns
            for (ms, ns, ks), begin in zip(self.folds(), begins, strict=True):
                for i in range(len(ms)):
                    if 0 <= t - begin - i < len(ks):
                        into_rows[i] = int(self.x[ms[i], ks[t - begin - i]])
                for j in range(len(ns)):
                    if 0 <= t - begin - j < len(ks):
                        into_columns[j] = int(self.w[ns[j], ks[t - begin - j]])
                    for i in range(self.rows):
                        if ks[0] == 0 and t == begin + i + j:
                            p[i][j] = int(self.starts[ms[0], ns[j]])
            for i in range(self.rows):
                for j in range(self.columns):
                    x[i][j] = old_x[i][j - 1] if j else into_rows[i]
                    w[i][j] = old_w[i - 1][j] if i else into_columns[j]
                    p[i][j] = self.hold(p[i][j] + x[i][j] * w[i][j])
            for (ms, ns, ks), begin in zip(self.folds(), begins, strict=True):
                for i in range(self.rows):
                    for j in range(self.columns):
                        if ks[-1] == self.x.shape[1] - 1 and t == begin + len(ks) - 1 + i + j:
                            s[i][j] = p[i][j]
                            if i < len(ms) and j < len(ns):
                                self.acc[ms[i], ns[j]] = p[i][j]
            self.note(inputs=x, resting=w, sums=p, **({"shadow": s} if self.shadow else {}))
        return last

    def adder_tree(self) -> int:
        """One vector and one tile of weights in each cycle; the number of cycles."""
        for ms, ns, ks in self.folds():
            for m in ms:
                x = [int(self.x[m, ks[i]]) if i < len(ks) else 0 for i in range(self.rows)]
                w = self.grid()
                for i, k in enumerate(ks):
                    for j, n in enumerate(ns):
                        w[i][j] = int(self.w[n, k])
                trees = [sum(x[i] * w[i][j] for i in range(self.rows)) for j in range(self.columns)]
                for j, n in enumerate(ns):
                    self.acc[m, n] = self.hold(self.acc[m, n] + trees[j])
                self.note(inputs=x, resting=w, sums=trees)
        return len(self.history)

"""Speed of the stepped PE grid: against Verilator on the same array, and against the functional level on ResNet-50.

    PYTHONPATH=.:kernels python benchmarks/bench_stepped.py [--size 32] [--verilator verilator]

Verilator (Debian's package of that name) compiles a weight-stationary array of the same size, written here in Verilog,
with shadow registers, shift-in and skewed streams; both step in alternation, on one thread. The array is one block of
loops: Verilator steps that 2.5 times as fast as a module for each PE. Ours also watches the extremes of every sum.
All times are CPU times, so that other work on the machine disturbs them less.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np

import accel_sim
from accel_kernels import step_grid as fields
from accel_sim.hardware import GridConfig, OverflowPolicy, load_hardware
from accel_sim.sim.multiply_accumulate import Accumulator
from accel_sim.sim.stepped.grid import Products, SteppedGrid

VERILOG = """
module grid(input clk, input [9*SIZE-1:0] x, input [32*SIZE-1:0] p, input [9*SIZE-1:0] s, input take, input move,
            output [32*SIZE-1:0] y);
  reg signed [8:0] xs [0:SIZE*SIZE-1];
  reg signed [31:0] ps [0:SIZE*SIZE-1];
  reg signed [8:0] ss [0:SIZE*SIZE-1];
  reg signed [8:0] ws [0:SIZE*SIZE-1];
  reg [2*SIZE-1:0] takes, moves;
  integer i, j;
  always @(posedge clk) begin
    takes <= {takes[2*SIZE-2:0], take};
    moves <= {moves[2*SIZE-2:0], move};
  end
  reg signed [8:0] xin, used, sin;
  reg signed [31:0] pin;
  always @(posedge clk) begin
    for (i = SIZE-1; i >= 0; i = i - 1)
      for (j = SIZE-1; j >= 0; j = j - 1) begin
        xin = (j == 0) ? x[9*i+:9] : xs[i*SIZE+j-1];
        pin = (i == 0) ? p[32*j+:32] : ps[(i-1)*SIZE+j];
        sin = (i == 0) ? s[9*j+:9] : ss[(i-1)*SIZE+j];
        used = takes[i+j] ? ss[i*SIZE+j] : ws[i*SIZE+j];
        xs[i*SIZE+j] = xin;
        ws[i*SIZE+j] = used;
        ps[i*SIZE+j] = pin + xin * used;
        if (moves[i+j]) ss[i*SIZE+j] = sin;
      end
  end
  genvar k;
  generate for (k = 0; k < SIZE; k = k + 1) begin : o assign y[32*k+:32] = ps[(SIZE-1)*SIZE+k]; end endgenerate
endmodule
"""

DRIVER = """
#include <ctime>
#include <cstdio>
#include <cstdlib>
#include "Vgrid.h"
#include "verilated.h"
int main(int argc, char** argv) {
  Vgrid grid;
  const long cycles = std::atol(argv[1]);
  unsigned seed = 1, check = 0;
  const std::clock_t start = std::clock();
  for (long t = 0; t < cycles; ++t) {
    for (auto i = 0u; i < sizeof(grid.x) / 4; ++i) grid.x[i] = seed = seed * 1664525u + 1013904223u;
    for (auto i = 0u; i < sizeof(grid.s) / 4; ++i) grid.s[i] = seed;
    grid.take = t % 512 == 0;
    grid.move = t % 512 < SIZE;
    grid.clk = 0; grid.eval();
    grid.clk = 1; grid.eval();
    check += grid.y[0];
  }
  std::printf("%.9f %u\\n", double(std::clock() - start) / CLOCKS_PER_SEC, check);
}
"""


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--verilator", default="verilator", help="the command, or its path")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    compare_with_verilator(options.size, options.verilator, options.rounds)
    compare_levels(options.size, options.rounds)


def compare_with_verilator(size: int, verilator: str, rounds: int) -> None:
    """PE updates per second of both, alternating; medians."""
    stepper = grid_work(size)
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        program = build(size, verilator, Path(folder))
        for _ in range(rounds):
            cycles, seconds = stepper()
            ours.append(cycles * size * size / seconds)
            if program:
                theirs.append(20_000 * size * size / float(subprocess.check_output([program, "20000"]).split()[0]))
    rate, best = np.median(ours) / 1e9, max(ours) / 1e9
    print(f"stepped {size}x{size} weight_stationary: {rate:.2f} G PE updates/s (best {best:.2f})")
    if theirs:
        ratio = np.median(ours) / np.median(theirs)
        print(f"Verilator, the same array: {np.median(theirs) / 1e9:.3f} G PE updates/s; ratio {ratio:.1f}")


def grid_work(size: int) -> Callable[[], tuple[int, float]]:
    """A grid that streams 16,384 vectors through each of four weight tiles; gives (cycles, seconds)."""
    rng = np.random.default_rng(0)
    vectors, tiles = 16_384, 4
    x, w = (rng.integers(-128, 128, (1, n, tiles * size)).astype(np.int16) for n in (vectors, size))
    folds = np.zeros((tiles, fields.FIELDS), np.int64)
    folds[:, fields.STREAM] = folds[:, fields.REAL_STREAM] = vectors
    folds[:, fields.REAL_ACROSS] = folds[:, fields.K] = size
    folds[:, fields.SLICE] = np.arange(tiles)
    folds[:, fields.K_FROM] = size * np.arange(tiles)
    folds[0, fields.FIRST] = folds[-1, fields.LAST] = 1
    accumulator = Accumulator(32, OverflowPolicy.WRAP)
    products = Products(x, w, np.zeros((1, size), np.int64), accumulator, safe=True)

    def run() -> tuple[int, float]:
        grid = SteppedGrid(GridConfig(size, size), folds, products)
        start = time.process_time()
        grid.step()
        return grid.cycles, time.process_time() - start

    run()
    return run


def build(size: int, verilator: str, folder: Path) -> Path | None:
    """The compiled array, or None where Verilator is absent."""
    command = shutil.which(verilator)
    if command is None:
        print(f"skipped: no {verilator} on the path; Debian's package is called verilator", file=sys.stderr)
        return None
    (folder / "grid.v").write_text(VERILOG.replace("SIZE", str(size)))
    (folder / "main.cpp").write_text(DRIVER.replace("SIZE", str(size)))
    flags = [
        "--cc",
        "--exe",
        "--build",
        "-O3",
        "--x-assign",
        "fast",
        "--x-initial",
        "fast",
        "--noassert",
        "-Wno-fatal",
        "-Wno-lint",
    ]
    subprocess.run(
        [command, *flags, "-CFLAGS", "-O3 -march=native", "--top-module", "grid", "grid.v", "main.cpp"],
        cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    return folder / "obj_dir" / "Vgrid"


def compare_levels(size: int, rounds: int) -> None:
    """ResNet-50 on one thread: stepped over functional, on arithmetic whose functional level is native steps."""
    hardware = load_hardware(
        "scalesim-32x32", [f"grid.rows={size}", f"grid.columns={size}", "grid.shadow_registers=true"]
    )
    for profile in ("onnxruntime", "tflite"):
        _compare_levels(accel_sim.compile(networks.resnet50(), hardware, profile), size, rounds)


def _compare_levels(program: accel_sim.Program, size: int, rounds: int) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (1, 224, 224, 3)).astype(np.int8)
    seconds: dict[str, list[float]] = {"functional": [], "stepped": []}
    cycles = 0
    for level in seconds:
        accel_sim.run(program, x, level, threads=1)
    for _ in range(rounds):
        for level, spent in seconds.items():
            start = time.process_time()
            result = accel_sim.run(program, x, level, threads=1)
            spent.append(time.process_time() - start)
            cycles = sum(layer.grid_cycles or 0 for layer in result.layers)
    functional, stepped = (float(np.median(seconds[level])) for level in ("functional", "stepped"))
    print(
        f"ResNet-50 on {size}x{size}, {program.profile}: {cycles:,} grid cycles; functional {functional * 1e3:.0f} ms, "
        f"stepped {stepped * 1e3:.0f} ms; ratio {stepped / functional:.1f}"
    )


if __name__ == "__main__":
    main()

"""The first TPU against what its paper publishes (Jouppi et al., ISCA 2017).

Table 1 gives layers, weights and batch; where it gives totals only, the shapes here are layers of equal size with
about that many weights in all. LSTM1's 600x600 is the paper's.
"""

import pytest
from matrix_commands import convolve, multiply

from accel_sim.hardware import load_hardware
from accel_sim.sim.timing.commands import time_command

TPU = load_hardware("tpu-v1")
TILE = 256 * 256


@pytest.mark.parametrize(
    ("batch", "inputs", "outputs", "count", "weights", "published"),
    [
        pytest.param(200, 2000, 2000, 5, 20e6, 12.3, id="MLP0"),
        pytest.param(168, 1024, 1280, 4, 5e6, 9.7, id="MLP1"),
        pytest.param(64, 1472, 1472, 24, 52e6, 3.7, id="LSTM0"),
        pytest.param(96, 600, 600, 94, 34e6, 2.8, id="LSTM1"),
    ],
)
def test_weight_bound_networks_run_at_the_published_rate(batch, inputs, outputs, count, weights, published):
    assert count * inputs * outputs == pytest.approx(weights, rel=0.05)
    timing = time_command(convolve(TPU, (1, 1, batch, inputs), (1, 1), outputs), TPU)
    seconds = timing.cycles / (TPU.clock_mhz * 1e6)
    assert 2e-12 * timing.macs / seconds == pytest.approx(published, rel=0.15)
    assert timing.stall_cycles > timing.cycles / 2  # bound by weights


def test_a_600x600_matrix_is_9_tiles_and_18_microseconds():
    timing = time_command(convolve(TPU, (1, 1, 1, 600), (1, 1), 600), TPU)
    assert timing.cycles / TPU.clock_mhz == pytest.approx(18, rel=0.05)
    assert timing.traffic["dram_read"] == 9 * TILE + 600 + 4 * 600
    exact = load_hardware("tpu-v1", ["memory.whole_weight_tiles=false"])
    assert time_command(convolve(exact, (1, 1, 1, 600), (1, 1), 600), exact).traffic["dram_read"] == 600 * 600 + 5 * 600


def test_whole_tiles_of_products_and_groups():
    assert time_command(multiply(TPU, 16, 300, 10, (3,)), TPU).traffic["dram_read"] == 3 * (2 * TILE + 16 * 300)
    grouped = convolve(TPU, (1, 8, 8, 32), (3, 3), 32, groups=32, pad=1)
    assert time_command(grouped, TPU).traffic["dram_read"] == 32 * TILE + 8 * 8 * 32 + 4 * 32

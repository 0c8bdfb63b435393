"""What quantization costs real networks on the simulated hardware: the bars that the recipes are held to.

All slow: those of MobileNetV2 with AdaRound take minutes each.
"""

import pytest
from quantize_networks import NETWORKS, RUNS, accuracy

from accel_sim.quantization import get_recipe, quantize

pytestmark = pytest.mark.slow

BARS = {
    ("mobilenetv2", "W8A8 per tensor, plain"): (0, 30),
    ("mobilenetv2", "W8A8 per tensor, bias correction"): (60, 100),
    ("mobilenetv2", "W8A8 per tensor, CLE"): (76, 100),
    ("mobilenetv2", "W8A8 per tensor, CLE + bias correction"): (81, 100),
    ("mobilenetv2", "W8A8 per tensor, CLE + AdaRound"): (82, 100),
    ("mobilenetv2", "W8A8 per channel, plain"): (78, 100),
    ("mobilenetv2", "W8A8 per channel, standard"): (82, 100),
    ("mobilenetv2", "W4A8 per channel, nearest"): (0, 10),
    ("mobilenetv2", "W4A8 per channel, AdaRound"): (74, 100),
    ("mobilenetv2", "W4A8 per tensor, CLE, nearest"): (0, 10),
    ("mobilenetv2", "W4A8 per tensor, CLE + AdaRound"): (70, 100),
    ("squeezenet", "W8A8 per channel, standard"): (64, 100),  # float: 65 of 100
    ("resnet20", "W8A8 per channel, standard"): (158, 200),  # float: 160 of 200
    ("digits", "W8A8 per channel, standard"): (356, 360),  # float: 359 of 360
}
"""By network and row: fewest and most pictures that are right."""


@pytest.fixture(scope="module")
def right(data):
    """How many pictures are right, by network and row."""
    assert (data / "onnx").exists()
    tasks, found = {}, {}

    def count(network: str, row: str) -> int:
        if (network, row) not in found:
            task = tasks.setdefault(network, NETWORKS[network]())
            made = quantize(task.graph, task.calibration, get_recipe(*RUNS[row]))
            found[network, row] = accuracy(made, task, threads=2)
        return found[network, row]

    return count


@pytest.mark.parametrize(("network", "row"), BARS)
def test_bars(right, network: str, row: str) -> None:
    low, high = BARS[network, row]
    assert low <= right(network, row) <= high


@pytest.mark.parametrize(("network", "pictures"), [("resnet20", 200), ("digits", 360), ("squeezenet", 100)])
def test_four_bit_adaround_is_ten_points_over_nearest_on_the_same_grids(right, network: str, pictures: int) -> None:
    nearest, learned = (right(network, f"W4A8 per tensor, CLE, min-max, {how}") for how in ("nearest", "AdaRound"))
    assert 100 * (learned - nearest) >= 10 * pictures


@pytest.mark.parametrize("network", ["resnet20", "digits"])
def test_statistics_of_batch_norms_are_as_good_as_data(right, network: str) -> None:
    """Ranges by eq 18-19 and corrections by eq 28 within 2 % of those from data."""
    free, data_based = (right(network, f"W8A8 per channel, {how}") for how in ("data-free", "bias correction"))
    assert free >= 0.98 * data_based

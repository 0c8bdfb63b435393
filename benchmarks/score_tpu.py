"""The model of the first TPU beside what its paper publishes (Jouppi et al., ISCA 2017, tables 1 and 3, section 7).

    PYTHONPATH=.:kernels python benchmarks/score_tpu.py

Of weight-bound networks the paper gives batch, layers and weights in all; the layers here are of equal size. The
600x600 is the paper's.
"""

import tempfile
from pathlib import Path

from accel_sim.analysis.topology import time_topology
from accel_sim.hardware import load_hardware

NETWORKS = {
    "MLP0": (200, 2000, 2000, 12.3),
    "MLP1": (168, 1024, 1280, 9.7),
    "LSTM0": (64, 1472, 1472, 3.7),
    "LSTM1": (96, 600, 600, 2.8),
}
"""Batch, inputs and outputs of a layer, published 10^12 operations per second."""
PUBLISHED_MICROSECONDS = 18.0


def main() -> None:
    """Print each figure beside the published one."""
    hardware = load_hardware("tpu-v1")
    rows = [f"{name}, {batch}, {outputs}, {inputs}," for name, (batch, inputs, outputs, _) in NETWORKS.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tpu.csv"
        path.write_text("\n".join(["Layer, M, N, K,", *rows, "600x600, 1, 600, 600,"]) + "\n")
        _, result = time_topology(path, hardware)
    layers = {layer.name: layer for layer in result.layers}
    for name, (*_, published) in NETWORKS.items():
        layer = layers[name]
        found = 2e-6 * layer.macs * hardware.clock_mhz / (layer.cycles or 1)
        print(f"{name}: {found:.2f} TOPS, published {published}, {found / published - 1:+.1%}")
    microseconds = (layers["600x600"].cycles or 0) / hardware.clock_mhz
    print(f"600x600: {microseconds:.1f} us, published {PUBLISHED_MICROSECONDS:.0f}")


if __name__ == "__main__":
    main()

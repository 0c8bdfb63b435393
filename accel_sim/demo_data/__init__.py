"""The bundled network and its digits: everything `accel-sim demo` needs, without a download.

`digits_cnn.onnx` is a float CNN that reads one 8x8 handwritten digit; `digits_heldout.npz` holds
the digits that calibrate it and the held-out digits that judge it. README.md in this folder tells
where the digits come from (UCI, CC BY 4.0) and `benchmarks/train_digits.py` makes both files.
"""

from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NETWORK = "digits_cnn.onnx"
DIGITS = "digits_heldout.npz"
LARGEST_PIXEL = 16
"""A pixel counts the ink dots in a 4x4 block of the scanned bitmap: 0 to 16."""


def preprocess(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn digits as stored into the network's input: ink as a share of the block, NCHW.

    Args:
        pixels: uint8 [N, 8, 8], 0 to 16.

    Returns:
        float32 [N, 1, 8, 8], 0 to 1 in steps of 1/16 (each exact in float32).
    """
    return pixels[:, np.newaxis].astype(np.float32) / np.float32(LARGEST_PIXEL)


def network_path() -> Path:
    """The float network's file, when the package lies unpacked on disk (as pip installs it)."""
    return Path(str(files(__name__) / NETWORK))


def network_bytes() -> bytes:
    """The float network's file content, also when the package is imported from a zip file."""
    return (files(__name__) / NETWORK).read_bytes()


def calibration() -> NDArray[np.float32]:
    """128 digits from the training set, preprocessed: float32 [128, 1, 8, 8]."""
    return preprocess(_digits()["calibration"])


def heldout() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The 360 digits that training never saw, 36 of each.

    Returns:
        The preprocessed images, float32 [360, 1, 8, 8], and their labels 0-9, int64 [360].
    """
    digits = _digits()
    return preprocess(digits["images"]), digits["labels"].astype(np.int64)


def _digits() -> dict[str, NDArray[np.uint8]]:
    content = BytesIO((files(__name__) / DIGITS).read_bytes())
    with np.load(content, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in ("calibration", "images", "labels")}

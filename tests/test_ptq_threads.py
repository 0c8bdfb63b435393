"""Quantization gives the same bytes on any number of threads."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

import accel_sim
from accel_sim import demo_data
from accel_sim.quantization import get_recipe, quantize, serial_products
from accel_sim.quantization.serial_products import serial_products as serial


@pytest.fixture
def blas() -> Iterator[serial_products._Threads]:
    """The calls of NumPy's BLAS; its threads are put back afterwards."""
    threads = serial_products._threads()
    if threads is None:
        pytest.skip("NumPy's BLAS has no call for its number of threads")
    before = threads.get()
    yield threads
    threads.set(before)


def test_files_and_results_do_not_depend_on_threads(blas: serial_products._Threads) -> None:
    graph, pictures = accel_sim.load(demo_data.network_path()), demo_data.calibration()
    recipe = get_recipe("standard", ("weights.bits=4", "weights.per_channel=false"))
    files, results = [], []
    for count in (1, 2):
        blas.set(count)
        made = quantize(graph, pictures, recipe)
        files.append(accel_sim.write_onnx(made))
        run = accel_sim.run(accel_sim.compile(made), pictures, level="functional", threads=count)
        results.append(run.outputs[made.outputs[0]])
    assert files[0] == files[1]
    np.testing.assert_array_equal(results[0], results[1])


def test_threads_are_put_back_when_the_last_leaves(blas: serial_products._Threads) -> None:
    blas.set(2)
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with serial():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    with pytest.raises(OSError, match="threads 1"), serial(), serial():
        raise OSError(f"threads {blas.get()}")
    assert blas.get() == 1
    leave.set()
    thread.join()
    assert blas.get() == 2

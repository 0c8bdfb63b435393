"""Matrix products of NumPy on one thread.

What a BLAS with threads adds up in which order depends on how many there are, so that a rounding that hangs by a hair
would fall differently on another number of cores. And its threads wait for each other busily: where other programs
use the cores too, the many small products of AdaRound take twenty times as long.

Of the libraries that NumPy is built with, OpenBLAS and MKL have a call for it; another one keeps its threads.
"""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np

_CALLS = (
    ("scipy_openblas_get_num_threads64_", "scipy_openblas_set_num_threads64_"),
    ("scipy_openblas_get_num_threads", "scipy_openblas_set_num_threads"),
    ("openblas_get_num_threads64_", "openblas_set_num_threads64_"),
    ("openblas_get_num_threads", "openblas_set_num_threads"),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)


class _Threads(NamedTuple):
    get: Callable[[], int]
    set: Callable[[int], object]


@cache
def _threads() -> _Threads | None:
    """The calls of the BLAS that NumPy's own library is linked with."""
    core = getattr(np, "_core", None) or np.core
    try:
        library = ctypes.CDLL(core._multiarray_umath.__file__)
    except OSError:
        return None
    for get, set_ in _CALLS:
        if hasattr(library, get) and hasattr(library, set_):
            return _Threads(getattr(library, get), getattr(library, set_))
    return None


_LOCK = threading.Lock()
_inside, _before = 0, 1


@contextmanager
def serial_products() -> Iterator[None]:
    """Products inside run on the thread that asks for them; may be nested, and entered by several threads."""
    global _inside, _before  # the number of threads is one for the whole process
    threads = _threads()
    if threads is None:
        yield
        return
    with _LOCK:
        if not _inside:
            _before = threads.get()
            threads.set(1)
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if not _inside:
                threads.set(_before)

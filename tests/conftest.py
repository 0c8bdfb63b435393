"""What every test may use: the real models and inputs, the size of random campaigns, hypothesis without chance."""

import contextlib
import io
import os
from pathlib import Path

import hypothesis
import pytest

from accel_kernels._cache import say_compiling

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("ACCEL_SIM_DATA") or REPOSITORY.parent / "shared" / "data")

# Machines that run tests differ by an order of magnitude in speed, so no example has a deadline. Examples follow from
# the test's source alone; `--hypothesis-profile=explore` draws new ones.
hypothesis.settings.register_profile("reproducible", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("reproducible")

# Said once in a process: whichever test needs a kernel first would find the line on its stderr, or not find it.
with contextlib.redirect_stderr(io.StringIO()):
    say_compiling()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")
    parser.addoption("--models", type=int, default=60, help="random models per operator in conformance tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


class TestData:
    """The folder of real models, inputs and golden vectors; a test that asks for a missing file is skipped."""

    __test__ = False  # not a test, whatever its name begins with

    def __init__(self, root: Path) -> None:
        self.root = root

    def __truediv__(self, name: str) -> Path:
        path = self.root / name
        if not path.exists():
            pytest.skip(f"test data: no {path} (ACCEL_SIM_DATA names the folder)")
        return path

    def __call__(self, name: str) -> Path:
        return self / name


@pytest.fixture(scope="session")
def data() -> TestData:
    """`data / "tflite/kws_ref_model.tflite"` is that file's path; skips where it does not exist."""
    return TestData(DATA)


@pytest.fixture(scope="session")
def models(pytestconfig: pytest.Config) -> int:
    """How many random models a conformance test runs per operator (`--models`)."""
    return int(pytestconfig.getoption("--models"))

"""What a short run does not import, each in a process of its own: what nobody uses costs time at every start."""

import subprocess
import sys

import pytest

import accel_sim
from accel_sim import demo_data

SHOW = "import sys; print(*sorted(name for name in sys.modules if '.' not in name))"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("model") / "digits.onnx"
    network = accel_sim.load(demo_data.network_bytes())
    accel_sim.write_onnx(accel_sim.quantize(network, demo_data.calibration(), "minmax"), path)
    return str(path)


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def _imported(code: str) -> set[str]:
    return set(_python(f"{code}\n{SHOW}").split())


def test_the_package_alone_imports_nothing() -> None:
    assert not {"numpy", "onnx", "numba", "llvmlite", "rich", "click"} & _imported("import accel_sim")


def test_the_help_page_imports_no_command() -> None:
    names = _imported("from accel_sim.cli import run; assert run(['--help']) == 0")
    assert "click" in names
    assert "numpy" not in names


def test_a_file_is_read_without_package_onnx(model: str) -> None:
    names = _imported(f"import accel_sim; accel_sim.load({model!r})")
    assert "numpy" in names
    assert "llvmlite" not in names
    assert _python(f"import accel_sim, sys; accel_sim.load({model!r}); print('onnx' in sys.modules)") == "False\n"


@pytest.mark.parametrize("first", ["import onnx", "import accel_sim.frontend.onnx.messages"])
def test_messages_are_those_of_package_onnx_whichever_comes_first(model: str, first: str) -> None:
    code = f"""
{first}
import onnx, accel_sim
from accel_sim.frontend.onnx import messages
assert messages.ModelProto is onnx.ModelProto is onnx.onnx_ml_pb2.ModelProto
assert messages.TensorProto is onnx.TensorProto
onnx.checker.check_model(onnx.load({model!r}))
print(accel_sim.load({model!r}).name)
"""
    assert _python(code).strip()

"""What a short run does not import, each in a process of its own: what nobody uses costs time at every start."""

import subprocess
import sys

import pytest

SHOW = "import sys; print(*sorted(name for name in sys.modules if '.' not in name))"
LOAD = "import accel_sim; from accel_sim import demo_data; graph = accel_sim.load(demo_data.network_bytes())"


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def _imported(code: str) -> set[str]:
    return set(_python(f"{code}\n{SHOW}").split())


def test_the_help_page_imports_no_command() -> None:
    names = _imported("from accel_sim.cli import run; assert run(['--help']) == 0")
    assert "click" in names
    assert "numpy" not in names


def test_a_file_is_read_without_package_onnx() -> None:
    names = _imported(LOAD)
    assert "numpy" in names
    assert not {"onnx", "llvmlite", "rich"} & names


@pytest.mark.parametrize("first", ["import onnx", "import accel_sim.frontend.onnx.messages"])
def test_messages_are_those_of_package_onnx_whichever_comes_first(first: str) -> None:
    code = f"""
{first}
import onnx
{LOAD}
from accel_sim.frontend.onnx import messages
assert messages.ModelProto is onnx.ModelProto is onnx.onnx_ml_pb2.ModelProto
assert messages.TensorProto is onnx.TensorProto
onnx.checker.check_model(onnx.load_from_string(demo_data.network_bytes()))
print(graph.name)
"""
    assert _python(code).strip()

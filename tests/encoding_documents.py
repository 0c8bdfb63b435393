"""AIMET encodings in memory: as read, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from accel_sim.errors import InputError
from accel_sim.frontend.encodings import Encodings, parse_encodings
from accel_sim.ir import Graph

ORACLE = Path(__file__).parent / "oracles" / "aimet_encodings.py"


def parsed(document: object) -> Encodings:
    return parse_encodings(json.dumps(document))


def refused(document: object) -> list[str]:
    with pytest.raises(InputError) as caught:
        parsed(document)
    assert str(caught.value).count("\n") == (len(caught.value.faults) if len(caught.value.faults) > 1 else 0)
    return [str(f) for f in caught.value.faults]


def assert_same_network(one: Graph, other: Graph) -> None:
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert other.tensors[name].quant == tensor.quant, name
        if tensor.is_constant:
            np.testing.assert_array_equal(other.tensors[name].constant, tensor.constant, err_msg=name)
    assert [n.op for n in one.nodes] == [n.op for n in other.nodes]


UINT8 = {
    "bitwidth": 8,
    "dtype": "int",
    "is_symmetric": "False",
    "min": -1.0,
    "max": 1.55,
    "offset": -100,
    "scale": 0.01,
}
INT8 = UINT8 | {"is_symmetric": "True", "min": -1.28, "max": 1.27, "offset": -128}
V1 = {"bw": 8, "dtype": "INT", "enc_type": "PER_TENSOR", "is_sym": False, "offset": [-100], "scale": [0.01]}
DOCUMENTS = {
    "0.6.1": {"version": "0.6.1", "activation_encodings": {"x": [UINT8]}, "param_encodings": {"w": [INT8, INT8]}},
    "1.0.0": {
        "version": "1.0.0",
        "activation_encodings": [V1 | {"name": "x"}],
        "param_encodings": [
            V1 | {"name": "w", "enc_type": "PER_CHANNEL", "is_sym": True, "offset": [-128, -128], "scale": [0.01, 0.01]}
        ],
    },
    "2.0.0": {
        "version": "2.0.0",
        "encodings": [
            {"name": "x", "output_dtype": "uint8", "y_scale": 0.01, "y_zero_point": 100},
            {"name": "w", "output_dtype": "int8", "y_scale": [0.01, 0.01], "axis": 0},
        ],
    },
}
DOCUMENTS["2.1.0"] = DOCUMENTS["2.0.0"] | {"version": "2.1.0"}

"""aimet-onnx (pip install aimet-onnx) as a program of its own: it needs torch and other versions of what we need.

python aimet_encodings.py export NET.onnx INPUTS.npz FOLDER   writes FOLDER/{0.6.1,1.0.0,2.0.0}.encodings
python aimet_encodings.py read NET.onnx FILE.json ... OUT     writes, as JSON, the grids that it reads in each file
python aimet_encodings.py simulate NET.onnx INPUTS.npz FILE.json ... OUT.npz
                                                              writes the results of its simulation on each file's grids
"""

import json
import sys
from pathlib import Path
from typing import Any

WRITTEN = ("0.6.1", "1.0.0", "2.0.0")
"""aimet-onnx 2.42 names 2.1.0, but only reads it."""


def export(model: str, inputs: str, folder: str) -> None:
    import numpy as np
    import onnx
    from aimet_onnx import QuantizationSimModel

    with np.load(inputs) as arrays:
        batches = [dict(zip(arrays, sample, strict=True)) for sample in zip(*arrays.values(), strict=True)]
    simulated = QuantizationSimModel(onnx.load(model))
    simulated.compute_encodings([{name: array[np.newaxis] for name, array in b.items()} for b in batches])
    for version in WRITTEN:
        simulated.export(folder, version, export_model=False, encoding_version=version)


def read(model: str, *files: str) -> dict[str, Any]:
    """By file and tensor name: scales, zero points, their type, axis."""
    import onnx
    from aimet_onnx.quantsim import encodings_to_onnx_qdq

    found = {}
    for file in files:
        made = encodings_to_onnx_qdq(model, file, prequantize_constants=True, force_activation_as=None).graph
        constants = {i.name: onnx.numpy_helper.to_array(i) for i in made.initializer}
        found[file] = {
            node.output[0].removesuffix("_qdq"): [
                constants[node.input[1]].ravel().tolist(),
                constants[node.input[2]].ravel().tolist(),
                str(constants[node.input[2]].dtype),
                next((a.i for a in node.attribute if a.name == "axis" and constants[node.input[1]].ndim), None),
            ]
            for node in made.node
            if node.op_type == "DequantizeLinear"
        }
    return found


def simulate(model: str, inputs: str, *files: str) -> dict[str, Any]:
    """The network's first result, samples one after the other, by file."""
    import numpy as np
    import onnx
    from aimet_onnx import QuantizationSimModel
    from aimet_onnx.quantsim import load_encodings_to_sim

    with np.load(inputs) as arrays:
        (name, samples), *_ = arrays.items()
    made = {}
    for file in files:
        simulated = QuantizationSimModel(onnx.load(model))
        load_encodings_to_sim(simulated, file, strict=False)
        made[file] = np.concatenate([simulated.session.run(None, {name: s[np.newaxis]})[0] for s in samples])
    return made


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "export":
        export(*arguments)
    elif command == "simulate":
        import numpy as np

        np.savez(arguments[-1], *simulate(*arguments[:-1]).values())
    else:
        Path(arguments[-1]).write_text(json.dumps(read(*arguments[:-1])))

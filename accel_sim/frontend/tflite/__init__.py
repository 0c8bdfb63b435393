"""TFLite: the bytes of a .tflite file -> a Graph.

`reader` and `options` turn flatbuffers into plain values; `tensors` checks and decodes tensors; `rules` is what a rule
for one operator is, `constraints` the rules' shared parts; one module per family of operators (`convolution`, `dense`,
`elementwise`, `activation`, `reduction`, `movement`, `slicing`, `resample`) holds the rules, `registry` all
of them; `ends`, `fold` and `translate` make the graph.
"""

from accel_sim.frontend.tflite.registry import supported_tflite
from accel_sim.frontend.tflite.translate import list_tflite, load_tflite

__all__ = ["list_tflite", "load_tflite", "supported_tflite"]

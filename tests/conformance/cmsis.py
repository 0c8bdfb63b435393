"""CMSIS-NN's DS-CNN, layer by layer, from its C headers: multipliers and shifts instead of scales.

A pair (m, s) is the real number m * 2^(s - 31). With input and output scales of 1 it is the weights' scale, which a
float64 holds exactly, so QuantizeMultiplier gives the same pair back. The scale of the logits is the one from which
the softmax multiplier m * 2^(s - 31) = scale * 2^26 was made.
"""

import re

import numpy as np

from accel_sim.ir import (
    AveragePool2D,
    Conv2D,
    ElementType,
    FullyConnected,
    Graph,
    ModelFormat,
    Node,
    Padding2D,
    QuantParams,
    Reshape,
    Softmax,
    Tensor,
)

_DTYPES = {"int8_t": np.int8, "int32_t": np.int32}


def arrays(folder):
    """Every array of the headers, by name."""
    found = {}
    for header in sorted(folder.glob("*.h")):
        for dtype, name, body in re.findall(r"const (\w+) ds_cnn_s_(\w+)\[\d+\] = \{([^}]*)\}", header.read_text()):
            found[name] = np.array([int(v) for v in body.split(",") if v.strip()], _DTYPES[dtype])
    return found


def defines(folder, layer):
    """The #defines of a layer's configuration without their prefix."""
    text = (folder / f"layer_{layer[1]}_{layer[0]}_config_data.h").read_text()
    prefix = f"{layer[0].upper()}_{layer[1]}_"
    return {k: int(v) for k, v in re.findall(rf"#define {prefix}(\w+) (-?\d+)", text)}


class Builder:
    """Appends layers to a graph in profile-neutral form."""

    def __init__(self, folder, shape, zero_point):
        self.folder, self.arrays = folder, arrays(folder)
        self.tensors, self.nodes = [], []
        self.last = self.activation("input", shape, zero_point)

    def activation(self, name, shape, zero_point, scale=1.0):
        tensor = Tensor(name, shape, ElementType.INT8, QuantParams.per_tensor(scale, zero_point))
        self.tensors.append(tensor)
        return tensor

    def constant(self, name, data, quant=None):
        self.tensors.append(Tensor(name, data.shape, ElementType(data.dtype.name), quant, data))
        return name

    def node(self, name, op, operands, shape, zero_point, scale=1.0):
        result = self.activation(f"{name}_out", shape, zero_point, scale)
        self.nodes.append(Node(name, op, (self.last.name, *operands), (result.name,)))
        self.last = result

    def convolution(self, kind, index):
        c = defines(self.folder, (kind, index))
        name = f"layer_{index}_{kind}"
        depthwise = kind.startswith("depthwise")
        h, w, co = c["FILTER_H"], c["FILTER_W"], c["OUT_CH"]
        weights = self.arrays[f"{name}_weights"]
        weights = (
            weights.reshape(h, w, co).transpose(2, 0, 1)[..., None] if depthwise else weights.reshape(co, h, w, -1)
        )
        multiplier, shift = self.arrays[f"{name}_output_mult"], self.arrays[f"{name}_output_shift"]
        scales = np.ldexp(multiplier.astype(np.float64), shift - 31)
        after = [
            max((out - 1) * stride + k - size - pad, 0)
            for out, stride, k, size, pad in (
                (c["OUTPUT_H"], c["STRIDE_H"], h, c["INPUT_H"], c["PAD_H"]),
                (c["OUTPUT_W"], c["STRIDE_W"], w, c["INPUT_W"], c["PAD_W"]),
            )
        ]
        op = Conv2D(
            strides=(c["STRIDE_H"], c["STRIDE_W"]),
            padding=Padding2D(c["PAD_H"], after[0], c["PAD_W"], after[1]),
            groups=co if depthwise else 1,
        )
        operands = (
            self.constant(f"{name}_w", np.ascontiguousarray(weights), QuantParams.per_channel(scales, axis=0)),
            self.constant(f"{name}_b", self.arrays[f"{name}_bias"]),
        )
        self.node(name, op, operands, (1, c["OUTPUT_H"], c["OUTPUT_W"], co), c["OUTPUT_OFFSET"])

    def average_pool(self, index):
        c = defines(self.folder, ("average_pool_2d", index))
        op = AveragePool2D(kernel=(c["FILTER_H"], c["FILTER_W"]))
        self.node("pool", op, (), (1, 1, 1, c["OUT_CH"]), self.last.quant.zero_point[0])
        self.node("flatten", Reshape(), (), (1, c["OUT_CH"]), self.last.quant.zero_point[0])

    def fully_connected(self, index, scale):
        c = defines(self.folder, ("fully_connected", index))
        name = f"layer_{index}_fully_connected"
        bias = self.arrays[f"{name}_bias"]
        weights = self.arrays[f"{name}_weights"].reshape(len(bias), -1)
        ratio = float(np.ldexp(c["OUTPUT_MULTIPLIER"], c["OUTPUT_SHIFT"] - 31))
        grid = QuantParams.per_channel([ratio * scale] * len(bias), axis=0)  # per tensor, TFLite rounds it to float32
        operands = self.constant(f"{name}_w", weights, grid), self.constant(f"{name}_b", bias)
        self.node(name, FullyConnected(), operands, (1, len(bias)), c["OUTPUT_OFFSET"], scale)

    def softmax(self):
        self.node("softmax", Softmax(), (), self.last.shape, -128, 1 / 256)

    def graph(self):
        tensors = {t.name: t for t in self.tensors}
        return Graph("ds_cnn_s", tuple(self.nodes), tensors, ("input",), (self.last.name,), ModelFormat.TFLITE)


def ds_cnn(folder):
    """The whole network, from its int8 features to its int8 probabilities."""
    first, last = defines(folder, ("conv_2d", 1)), defines(folder, ("softmax", 13))
    builder = Builder(folder, (1, first["INPUT_H"], first["INPUT_W"], 1), -first["INPUT_OFFSET"])
    builder.convolution("conv_2d", 1)
    for index in (2, 4, 6, 8):
        builder.convolution("depthwise_conv_2d", index)
        builder.convolution("conv_2d", index + 1)
    builder.average_pool(10)
    builder.fully_connected(12, scale=float(np.ldexp(last["MULT"], last["SHIFT"] - 31 - 26)))
    builder.softmax()
    return builder.graph()

"""Makes the models in this folder, and what onnxruntime computes with them.

Each NAME.onnx comes with NAME.logits.npy, its output for the input pattern of tests/import/forward.rs.
Run with: pip install onnx onnxruntime onnxscript torch safetensors; python make.py
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(1)


def pattern(shape):
    i = np.arange(np.prod(shape))
    return ((i * 37 + i // 7 * 11) % 256 / 255).astype(np.float32).reshape(shape)


def finish(name):
    session = onnxruntime.InferenceSession(here / f"{name}.onnx")
    [value] = session.get_inputs()
    shape = [d if isinstance(d, int) else 1 for d in value.shape]
    [logits] = session.run(None, {value.name: pattern(shape)})
    np.save(here / f"{name}.logits.npy", logits.astype(np.float32).reshape(1, -1, 1, 1))
    print(name, shape, logits.shape)


# What PyTorch's two exporters write. ----------------------------------------------------------------------


class Block(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.expand = torch.nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(2 * channels)
        self.depth = torch.nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.bn2 = torch.nn.BatchNorm2d(2 * channels)
        self.project = torch.nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.act = torch.nn.ReLU6()

    def forward(self, x):
        y = self.act(self.bn1(self.expand(x)))
        y = self.act(self.bn2(self.depth(y)))
        return x + self.project(y)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(8)
        self.pool = torch.nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.block = Block(8)
        self.left = torch.nn.Conv2d(8, 6, 1)
        self.right = torch.nn.Conv2d(8, 6, (1, 3), padding=(0, 1))
        self.average = torch.nn.AvgPool2d(2)
        self.drop = torch.nn.Dropout()
        self.gap = torch.nn.AdaptiveAvgPool2d(1)
        self.fc1 = torch.nn.Linear(12, 10)
        self.fc2 = torch.nn.Linear(10, 4)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = self.block(x)
        x = torch.cat([self.left(x), self.right(x)], dim=1)
        x = self.average(torch.relu(x))
        x = torch.flatten(self.gap(x), 1)
        x = torch.relu(self.fc1(self.drop(x)))
        return self.fc2(x)


torch.manual_seed(1)
net = Net()
with torch.no_grad():
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
            module.bias.uniform_(-0.2, 0.2)
net.eval()
example = torch.zeros(1, 3, 20, 18)
for opset in (11, 17):
    name = f"torchscript-opset{opset}"
    batch = {"input": {0: "batch"}, "output": {0: "batch"}}
    torch.onnx.export(
        net, (example,), here / f"{name}.onnx", opset_version=opset, dynamo=False, input_names=["input"],
        output_names=["output"], dynamic_axes=batch,
    )
    finish(name)
torch.onnx.export(
    net, (example,), here / "dynamo-opset18.onnx", opset_version=18, dynamo=True, external_data=False
)
made = onnx.load(here / "dynamo-opset18.onnx")
for part in (made.graph, *made.graph.node, *made.graph.value_info):
    del part.metadata_props[:]  # source paths
    part.ClearField("doc_string")
onnx.save(made, here / "dynamo-opset18.onnx")
finish("dynamo-opset18")
# As exported while batch norms are not folded into the convolutions.
torch.onnx.export(
    net, (example,), here / "unfolded.onnx", opset_version=17, dynamo=False,
    training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
)
finish("unfolded")
save_file(net.state_dict(), here / "unfolded.safetensors")


# Operators by hand. ---------------------------------------------------------------------------------------


def floats(*shape, scale=0.3):
    return rng.uniform(-scale, scale, shape).astype(np.float32)


def model(name, opset, shape, nodes, tensors, packed=False):
    initialisers = []
    for key, value in tensors.items():
        value = np.asarray(value)
        if packed and value.dtype == np.float32:
            initialisers.append(helper.make_tensor(key, TensorProto.FLOAT, value.shape, value.ravel()))
        else:
            initialisers.append(numpy_helper.from_array(value, key))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    if opset < 9:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in initialisers]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", "K"])]
    graph = helper.make_graph(nodes, name, inputs, outputs, initialisers)
    ir = 3 if opset < 9 else 8
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.checker.check_model(made)
    onnx.save(made, here / f"{name}.onnx")
    finish(name)


n = helper.make_node
model(
    "tensorflow-like",
    13,
    [1, 3, 15, 17],
    [
        n("Sub", ["x", "mean"], ["a"]),
        n("Div", ["a", "std"], ["b"]),
        n("Conv", ["b", "w1", "b1"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
        n("Clip", ["c", "zero", "six"], ["d"]),
        n("MaxPool", ["d"], ["e"], kernel_shape=[2, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
        n("Conv", ["e", "w2"], ["f"], auto_pad="SAME_LOWER", kernel_shape=[2, 2], group=2),
        n("Add", ["f", "b2"], ["g"]),
        n("Clip", ["g", "zero"], ["h"]),
        n("AveragePool", ["h"], ["i"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
        n("Mul", ["gain", "i"], ["j"]),
        n("ReduceMean", ["j"], ["k"], axes=[-1, -2], keepdims=1),
        n("Squeeze", ["k", "axes"], ["l"]),
        n("Sub", ["one", "l"], ["m"]),
        n("MatMul", ["m", "w3"], ["o"]),
        n("Add", ["b3", "o"], ["p"]),
        n("Identity", ["w4"], ["w4-again"]),
        n("Gemm", ["p", "w4-again", "b4"], ["y"], alpha=0.5, beta=2.0),
    ],
    {
        "mean": np.array([0.4, 0.5, 0.6], np.float32).reshape(3, 1, 1),
        "std": np.array([0.2, 0.3, 0.25], np.float32).reshape(1, 3, 1, 1),
        "w1": floats(8, 3, 3, 3), "b1": floats(8),
        "zero": np.float32(0), "six": np.float32(6),
        "w2": floats(6, 4, 2, 2), "b2": floats(1, 6, 1, 1), "gain": np.float32(1.5),
        "axes": np.array([2, 3]), "one": np.ones((1, 1), np.float32),
        "w3": floats(6, 5), "b3": floats(5), "w4": floats(5, 4), "b4": floats(1, 4),
    },
)
model(
    "old-opset7",
    7,
    ["N", 1, 9, 9],
    [
        n("Conv", ["x", "w1", "b1"], ["a"], kernel_shape=[3, 3], pads=[0, 1, 2, 1], strides=[1, 2]),
        n("BatchNormalization", ["a", "g", "b", "m", "v"], ["c"], epsilon=1e-3),
        n("Clip", ["c"], ["d"], min=-0.5, max=0.75),
        n("Dropout", ["d"], ["e"], ratio=0.5),
        n("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([0, -1]), "shape")),
        n("AveragePool", ["e"], ["f"], kernel_shape=[2, 2], strides=[3, 2]),
        n("Reshape", ["f", "shape"], ["h"]),
        n("Gemm", ["h", "w2", "b2"], ["y"], transB=1),
    ],
    {
        "w1": floats(4, 1, 3, 3), "b1": floats(4),
        "g": 1 + floats(4), "b": floats(4), "m": floats(4), "v": 1 + floats(4),
        "w2": floats(5, 4 * 3 * 2), "b2": floats(5),
    },
    packed=True,
)
model(
    "vector",
    17,
    [1, 12],
    [
        n("Flatten", ["x"], ["a"], axis=-1),
        n("MatMul", ["a", "w1"], ["b"]),
        n("Relu", ["b"], ["c"]),
        n("Gemm", ["c", "w2"], ["d"]),
        n("Add", ["d", "c"], ["e"]),
        n("Concat", ["d", "e"], ["f"], axis=-1),
        n("Constant", [], ["half"], value_float=0.5),
        n("Mul", ["f", "half"], ["y"]),
    ],
    {"w1": floats(12, 7), "w2": floats(7, 7)},
)
# Masks of activations, broadcast along every axis; with a generator of its own.
draws = np.random.default_rng(2)


def random(*shape):
    return draws.uniform(-0.5, 0.5, shape).astype(np.float32)


def mask(*shape):
    return draws.integers(0, 2, shape).astype(bool)


model(
    "masked",
    17,
    [1, 2, 6, 5],
    [
        n("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1]),
        n("PRelu", ["a", "pixels"], ["b"]),
        n("Conv", ["b", "w2", "b2"], ["c"], pads=[1, 1, 1, 1]),
        n("Clip", ["c", "zero", "half"], ["d"]),
        n("Where", ["channels", "d", "c"], ["e"]),
        n("Relu", ["e"], ["f"]),
        n("Where", ["rows", "e", "f"], ["g"]),
        n("PRelu", ["g", "columns"], ["h"]),
        n("Flatten", ["h"], ["i"]),
        n("Gemm", ["i", "w3", "b3"], ["j"], transB=1),
        n("PRelu", ["j", "some"], ["k"]),
        n("Clip", ["k", "low", "half"], ["l"]),
        n("Where", ["others", "l", "k"], ["y"]),
    ],
    {
        "w1": random(4, 2, 3, 3), "b1": random(4),
        "w2": random(4, 4, 3, 3), "b2": random(4),
        "w3": random(9, 120), "b3": random(9),
        "pixels": mask(4, 6, 5).astype(np.float32), "columns": mask(1, 1, 1, 5).astype(np.float32),
        "channels": mask(4, 1, 1), "rows": mask(6, 1),
        "some": mask(9).astype(np.float32), "others": mask(1, 9),
        "zero": np.float32(0), "half": np.float32(0.5), "low": np.float32(-0.25),
    },
)

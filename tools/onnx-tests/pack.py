#!/usr/bin/env python3
"""Packs the ONNX backend tests of the operators that the evaluator knows.

    pip download --no-deps --only-binary :all: onnx==1.19.1
    python3 tools/onnx-tests/pack.py onnx-1.19.1-*.whl

The wheel is that of the PyPI package `onnx`; 1.19.1 is of opset 24.  (Wheels such as 1.23.2 no longer
carry the node tests.)  A test is taken when every node of its model has one of the operators below and when it is
small.  The result is crates/import/tests/data/onnx-backend-tests.tar.gz with, for each test, SUITE/NAME/{model.onnx,input_N.pb,
output_N.pb}; it is the same, byte for byte, whenever it is made from the same wheel with the same zlib.
"""

import argparse
import collections
import gzip
import io
import pathlib
import re
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHIVE = ROOT / "crates" / "import" / "tests" / "data" / "onnx-backend-tests.tar.gz"

SUITES = ("node", "simple", "pytorch-operator", "pytorch-converted")
MOST_BYTES = 90_000  # of all files of a test
OPERATORS = set(
    """
    Abs Add AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv ConvTranspose
    DepthToSpace DequantizeLinear Div Dropout Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements Gelu
    Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity LeakyRelu Less
    LessOrEqual Log LogSoftmax MatMul Max MaxPool Min Mul Neg PRelu Pad Pow QuantizeLinear Range Reciprocal
    ReduceMean ReduceSum Relu Reshape Resize Round Shape Sigmoid Size Slice Softmax SpaceToDepth Split Sqrt
    Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Upsample Where
    """.split()
)


def fields(message):
    """The fields of a protobuf message, each as its number and value."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        wire = key & 7
        if wire == 0:
            yield key >> 3, varint()
            continue
        length = {1: 8, 5: 4}[wire] if wire != 2 else varint()
        yield key >> 3, message[at : at + length]
        at += length


def operators(model):
    """The operators of a model's nodes, with the domain where it is not the standard one."""
    for graph in (value for number, value in fields(model) if number == 7):
        for node in (value for number, value in fields(graph) if number == 1):
            found = {number: value for number, value in fields(node) if number in (4, 7)}
            domain = found.get(7, b"").decode()
            yield found[4].decode() if domain in ("", "ai.onnx") else f"{domain}::{found[4].decode()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("wheel", type=pathlib.Path)
    wheel = zipfile.ZipFile(parser.parse_args().wheel)

    tests = collections.defaultdict(dict)
    pattern = re.compile(r"onnx/backend/test/data/([^/]+)/test_([^/]+)/(?:test_data_set_0/)?([^/]+\.(?:onnx|pb))")
    for name in wheel.namelist():
        match = pattern.fullmatch(name)
        if match and match[1] in SUITES:
            tests[f"{match[1]}/{match[2]}"][match[3]] = wheel.read(name)

    taken = []
    for name, files in sorted(tests.items()):
        known = set(operators(files["model.onnx"])) <= OPERATORS
        if known and sum(map(len, files.values())) <= MOST_BYTES:
            taken.append(name)

    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in taken:
            for file, data in sorted(tests[name].items()):
                entry = tarfile.TarInfo(f"{name}/{file}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    ARCHIVE.parent.mkdir(exist_ok=True)
    with open(ARCHIVE, "wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as packed:
        packed.write(raw.getvalue())
    print(f"{len(taken)} tests, {ARCHIVE.stat().st_size} bytes")


if __name__ == "__main__":
    main()

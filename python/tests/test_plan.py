"""Plans: costs as plain data."""

import dataclasses
import json

import copriv
import pytest


def test_layers_add_up():
    plan = copriv.plan("zoo:digits")
    assert (plan.model, plan.suite, plan.ot, plan.bits, plan.frac) == ("zoo:digits", "best", "silent", 41, 12)
    assert [plan.layers[0].kind, plan.layers[-1].kind] == ["setup", "reveal"]
    for phase in ("preprocessing", "online"):
        for key in ("bytes_to_client", "bytes_to_server", "rounds", "bytes"):
            total = sum(getattr(getattr(layer, phase), key) for layer in plan.layers)
            assert getattr(getattr(plan, phase), key) == total > 0
    assert plan.bytes == plan.preprocessing.bytes + plan.online.bytes
    assert {layer.kind for layer in plan.layers} >= {"conv", "relu_truncate", "maxpool", "linear"}


def test_is_that_of_the_readme(root):
    """The README's table is written by `cargo xtask tables`."""
    rows = (root / "README.md").read_text().split("<!-- begin: digits -->")[1].split("<!-- end")[0].splitlines()
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("|")][2:]
    plan = copriv.plan("zoo:digits")
    for row, layer in zip(rows[:-1], plan.layers):
        costs = layer.preprocessing, layer.online
        numbers = [f"{n:,}" for c in costs for n in (c.bytes_to_client, c.bytes_to_server, c.rounds)]
        assert row == [layer.name, layer.kind, layer.protocol, *numbers]
    assert len(rows) == len(plan.layers) + 1


def test_as_plain_data():
    plan = copriv.plan("zoo:digits", bits=37, frac=10, reveal="label")
    raw = plan.to_dict()
    assert json.loads(json.dumps(raw)) == raw
    assert raw["bits"] == 37 and raw["total"]["online"]["rounds"] == plan.online.rounds
    raw["layers"].clear()
    assert plan.to_dict()["layers"], "what was given away is a copy"
    assert dataclasses.asdict(plan.layers[1])["preprocessing"]["rounds"] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.bits = 64
    assert plan == copriv.plan("zoo:digits", bits=37, frac=10, reveal="label") != copriv.plan("zoo:digits")


def test_as_tables():
    plan = copriv.plan("zoo:digits")
    lines = str(plan).splitlines()
    assert "zoo:digits under best, 41 bits" in lines[0]
    assert len(lines) == len(plan.layers) + 6
    assert lines[-1].startswith("total") and f"{plan.online.bytes:,}" in lines[-1]
    page = plan._repr_html_()
    assert page.count("<tr>") == len(plan.layers) + 2 and "stem.conv" in page
    assert f"{plan.online.bytes:,} bytes" in repr(plan)


def test_html_is_escaped():
    raw = copriv.plan("zoo:digits").to_dict()
    raw["model"] = raw["layers"][1]["name"] = "<script>"
    page = copriv.Plan._of(raw)._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_suites_differ():
    plans = {suite: copriv.plan("zoo:resnet20-cifar10", suite=suite) for suite in ("cryptflow2", "copriv", "best")}
    assert plans["cryptflow2"].bytes > plans["copriv"].bytes > plans["best"].bytes
    assert plans["cryptflow2"].preprocessing.bytes == 0
    inexact = copriv.plan("zoo:resnet20-cifar10", truncation="one-bit", relu_drop_bits=8)
    assert inexact.online.bytes < plans["best"].online.bytes
    assert copriv.plan("zoo:resnet20-cifar10", ot="iknp").bytes > plans["best"].bytes


def test_latency():
    plan = copriv.plan("zoo:digits")
    before, online = plan.latency(200e6, 0.04)
    assert online == pytest.approx(plan.online.bytes * 8 / 200e6 + sum(la.delays[1] for la in plan.layers) * 0.02)
    assert plan.latency(1e9, 0) < (before, online)
    for wrong in [(0, 0), (1e9, -1), (float("nan"), 0)]:
        with pytest.raises(ValueError):
            plan.latency(*wrong)


def test_a_file(onnx):
    from_file, from_zoo = copriv.plan(onnx), copriv.plan("zoo:digits")
    assert from_file.model == str(onnx) and from_file.layers == from_zoo.layers


def test_the_zoo():
    assert "zoo:digits" in copriv.zoo() and "zoo:resnet18-cifar100" in copriv.zoo()


@pytest.mark.parametrize(
    "arguments",
    [
        {"suite": "worst"},
        {"ot": "quantum"},
        {"reveal": "weights"},
        {"truncation": "random"},
        {"bits": 0},
        {"bits": -1},
        {"bits": 65},
        {"bits": 2**40},
        {"frac": 0},
        {"frac": -1},
        {"frac": 30},
        {"relu_drop_bits": -1},
        {"relu_drop_bits": 41},
        {"relu_drop_bits": 1, "suite": "cryptflow2"},
        {"truncation": "one-bit", "suite": "copriv"},
    ],
)
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError):
        copriv.plan("zoo:digits", **arguments)


def test_wrong_types():
    for arguments in ({"bits": 41.0}, {"suite": 1}, {"weights": 3}):
        with pytest.raises(TypeError):
            copriv.plan("zoo:digits", **arguments)
    with pytest.raises(TypeError):
        copriv.plan(7)


def test_wrong_models(tmp_path):
    for name in ("zoo:nothing", "digits", "model.txt"):
        with pytest.raises(ValueError, match="zoo"):
            copriv.plan(name)
    with pytest.raises(FileNotFoundError, match="none.onnx"):
        copriv.plan(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(copriv.Error, match="bad.onnx"):
        copriv.plan(tmp_path / "bad.onnx")
    with pytest.raises(FileNotFoundError):
        copriv.plan("zoo:digits", weights=tmp_path / "none.safetensors")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(OSError):
        copriv.plan(tmp_path / "folder.onnx")


def test_the_exception():
    assert issubclass(copriv.Error, Exception) and not issubclass(copriv.Error, (ValueError, OSError))
    assert (copriv.Error.__module__, copriv.Error.__name__) == ("copriv", "Error")

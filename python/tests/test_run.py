"""Both parties in this process."""

import copriv
import numpy as np
import pytest


def counted(costs):
    return [(layer.name, layer.preprocessing, layer.online) for layer in costs.layers]


@pytest.mark.parametrize("suite", ["best", "copriv", "cryptflow2"])
def test_is_the_clear_result_at_the_planned_cost(digits, suite):
    pictures, labels = digits
    result = copriv.run("zoo:digits", pictures[0], suite=suite)
    assert result.label == result.clear_label == labels[0]
    assert result.fixed.dtype == np.int64 and np.array_equal(result.fixed, result.clear_fixed)
    assert result.logits.dtype == np.float64 and np.array_equal(result.logits, result.clear)
    assert result.exact is True
    assert counted(result.report) == counted(copriv.plan("zoo:digits", suite=suite))
    assert result.report.bytes == result.plan.bytes and result.report.rounds == result.plan.rounds
    assert result.as_planned and result.differences == ()
    assert result.plan == copriv.plan("zoo:digits", suite=suite)


def test_fixed_point_is_near_the_float_network(picture):
    result, floats = copriv.run("zoo:digits", picture), copriv.evaluate("zoo:digits", picture)
    assert floats.dtype == np.float32 and floats.shape == result.logits.shape == (10,)
    assert np.array_equal(result.logits, result.fixed / 2**result.frac)
    assert np.abs(result.logits - floats).max() < 0.05
    assert floats.argmax() == result.label


def test_a_label_alone(picture):
    result = copriv.run("zoo:digits", picture, reveal="label", bits=37, frac=11)
    assert result.logits is None and result.fixed is None
    assert result.label == result.clear_label and result.exact is True
    assert result.clear.shape == (10,)


def test_without_the_check(picture):
    result = copriv.run("zoo:digits", picture, check=False)
    assert (result.clear, result.clear_fixed, result.clear_label, result.exact) == (None,) * 4
    assert result.logits.shape == (10,)


def test_inexact(picture):
    result = copriv.run("zoo:digits", picture, truncation="one-bit", relu_drop_bits=4)
    assert np.abs(result.fixed - result.clear_fixed).max() < 2**result.frac
    assert result.as_planned


def test_a_report():
    picture = copriv.digits()[0][1]
    result = copriv.run("zoo:digits", picture)
    report = result.report
    assert report.seconds == report.preprocessing_seconds + report.online_seconds > 0
    lines = str(report).splitlines()
    assert len(lines) == len(report.layers) + 6 and lines[-1].startswith("total")
    assert "<td" in report._repr_html_()
    assert report.to_dict()["total"] == result.plan.to_dict()["total"]
    assert f"label {result.label}, exact" in repr(result)


def test_inputs_of_every_layout(picture):
    expected = copriv.evaluate("zoo:digits", picture)
    wide = np.zeros((1, 28, 56))
    wide[:, :, ::2] = picture
    same = {
        "float64": picture.astype(np.float64),
        "with a batch of one": picture[np.newaxis],
        "strided": wide[:, :, ::2],
        "reversed": picture[:, ::-1].copy()[:, ::-1],
        "in Fortran order": np.asfortranarray(picture),
        "big-endian": picture.astype(">f8"),
        "nested lists": picture.tolist(),
    }
    for what, x in same.items():
        assert np.array_equal(copriv.evaluate("zoo:digits", x), expected), what
    assert not same["strided"].flags.c_contiguous
    private = copriv.run("zoo:digits", same["strided"])
    assert private.exact and np.array_equal(private.fixed, copriv.run("zoo:digits", picture).fixed)
    read_only = picture.copy()
    read_only.flags.writeable = False
    assert np.array_equal(copriv.evaluate("zoo:digits", read_only), expected)
    half = copriv.evaluate("zoo:digits", picture.astype(np.float16))
    assert np.allclose(half, expected, atol=0.1)


@pytest.mark.parametrize("call", [copriv.run, copriv.evaluate])
def test_inputs_that_do_not_fit(picture, call):
    for shape in [(28, 28), (2, 1, 28, 28), (784,), (1, 28, 27), (3, 28, 28), (1, 1, 1, 28, 28), (), (0,)]:
        with pytest.raises(ValueError, match=r"takes \(1, 28, 28\)"):
            call("zoo:digits", np.zeros(shape))
    for value in (np.nan, np.inf, -np.inf):
        bad = picture.copy()
        bad[0, 3, 4] = value
        with pytest.raises(ValueError, match="value number 88 is"):
            call("zoo:digits", bad)
    for dtype in (np.uint8, np.int64, bool, complex, object, str):
        with pytest.raises(ValueError, match="dtype"):
            call("zoo:digits", np.zeros((1, 28, 28)).astype(dtype))
    for nothing in (None, "picture.png", [[1.0], [1.0, 2.0]]):
        with pytest.raises(ValueError):
            call("zoo:digits", nothing)


def test_values_that_do_not_fit(picture):
    with pytest.raises(ValueError, match="scale the input"):
        copriv.run("zoo:digits", np.full((1, 28, 28), 1e10))
    with pytest.raises(ValueError, match="32-bit"):
        copriv.evaluate("zoo:digits", np.full((1, 28, 28), 1e300))
    for timeout in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="timeout"):
            copriv.run("zoo:digits", picture, timeout=timeout)


def test_impatience(noise):
    with pytest.raises(TimeoutError):
        copriv.run("zoo:resnet20-cifar10", noise, timeout=0.001)


def test_weights_from_a_file(tmp_path, picture):
    (tmp_path / "w.safetensors").write_bytes(b"none")
    for call in (copriv.run, copriv.evaluate):
        with pytest.raises(copriv.Error, match="safetensors"):
            call("zoo:digits", picture, weights=tmp_path / "w.safetensors")


def test_the_held_out_digits(digits):
    pictures, labels = digits
    assert pictures.dtype == np.float32 and pictures.shape == (len(labels), 1, 28, 28)
    assert labels.dtype == np.int64 and set(labels) == set(range(10))
    right = sum(copriv.evaluate("zoo:digits", x).argmax() == y for x, y in zip(pictures[:50], labels))
    assert right >= 47

"""Functions on one network, and what an inference gives."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _native
from ._arguments import File, Model, floats, options, path
from ._costs import Plan, Report


@dataclass(frozen=True, eq=False)
class Result:
    """What one private inference gave the client.

    Arrays have shape (N,), or (C, H, W) where the network's output is a map. The fixed-point integers are exact;
    ``logits`` are the reals that they stand for, ``fixed / 2**frac``.
    """

    #: The predicted class.
    label: Optional[int]
    #: The network's output; None where the label alone is revealed.
    logits: Optional[NDArray[np.float64]]
    #: The same as integers of the ring, signed.
    fixed: Optional[NDArray[np.int64]]
    #: Fraction bits of the output.
    frac: int
    #: What was predicted.
    plan: Plan
    #: What was counted.
    report: Report
    #: Layers in which the two differ, in words; empty when every byte and round was predicted.
    differences: tuple[str, ...]
    #: The output of the same fixed-point network in the clear; None where that was not computed.
    clear: Optional[NDArray[np.float64]] = None
    #: The same as integers of the ring.
    clear_fixed: Optional[NDArray[np.int64]] = None
    #: The class in the clear.
    clear_label: Optional[int] = None

    @property
    def exact(self) -> Optional[bool]:
        """Whether the private result is the one in the clear, bit for bit; None where that was not computed."""
        if self.clear_fixed is None:
            return None
        if self.fixed is None:
            return self.label == self.clear_label
        return bool(np.array_equal(self.fixed, self.clear_fixed))

    @property
    def as_planned(self) -> bool:
        """Whether every byte and round was predicted."""
        return not self.differences

    def __repr__(self) -> str:
        said = {True: ", exact", False: ", not exact", None: ""}[self.exact]
        return f"<copriv.Result label {self.label}{said}: {self.report!r}>"


def result(answer: dict[str, Any]) -> Result:
    """A ``Result`` of the native half's answer."""
    shape, frac = answer["shape"], answer["frac"]

    def fixed(key: str) -> Optional[NDArray[np.int64]]:
        return None if answer[key] is None else shaped(answer[key], shape)

    def real(fixed: Optional[NDArray[np.int64]]) -> Optional[NDArray[np.float64]]:
        return None if fixed is None else np.ldexp(fixed.astype(np.float64), -frac)

    private, clear = fixed("fixed"), fixed("clear")
    return Result(
        label=answer["label"],
        logits=real(private),
        fixed=private,
        frac=frac,
        plan=Plan._of(json.loads(answer["plan"])),
        report=Report._of(json.loads(answer["report"])),
        differences=tuple(answer["differences"]),
        clear=real(clear),
        clear_fixed=clear,
        clear_label=answer["clear_label"],
    )


def shaped(array: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """A network's output: a vector where it is no map."""
    return array if tuple(shape[1:]) == (1, 1) else array.reshape(shape)


def plan(
    model: Model,
    *,
    weights: Optional[File] = None,
    suite: str = "best",
    ot: str = "silent",
    bits: Optional[int] = None,
    frac: Optional[int] = None,
    reveal: str = "logits",
    truncation: str = "exact",
    relu_drop_bits: int = 0,
) -> Plan:
    """Predicts what one inference puts on the wire, layer by layer. Nothing is run, and it is exact.

    Args:
        model: ``"zoo:NAME"`` or the path of an ``.onnx`` or ``.copriv`` file.
        weights: a safetensors file to take the weights from instead.
        suite: the protocols: ``"best"``, ``"copriv"`` or ``"cryptflow2"``.
        ot: where the oblivious transfers of ``best`` come from: ``"silent"``, ``"softspoken"`` or ``"iknp"``.
        bits: of the ring that all values live in, 2 to 64; 41, or what a ``.copriv`` file was calibrated to.
        frac: how many of them are fraction; 12, or what a ``.copriv`` file was calibrated to.
        reveal: what the client learns: ``"logits"`` or ``"label"``.
        truncation: how ``best`` divides by powers of two: ``"exact"`` or ``"one-bit"``.
        relu_drop_bits: without how many low bits the ReLUs of ``best`` find signs; 0 is exact.

    Raises:
        ValueError: for arguments that are none of these.
        OSError: for a file that cannot be read.
        Error: for a model that cannot be used.
    """
    asked = options(model, weights, suite, ot, bits, frac, reveal, truncation, relu_drop_bits)
    return Plan._of(json.loads(_native.plan(asked)))


def run(
    model: Model,
    input: ArrayLike,
    *,
    weights: Optional[File] = None,
    suite: str = "best",
    ot: str = "silent",
    bits: Optional[int] = None,
    frac: Optional[int] = None,
    reveal: str = "logits",
    truncation: str = "exact",
    relu_drop_bits: int = 0,
    check: bool = True,
    timeout: float = 600.0,
) -> Result:
    """One private inference with both parties in this process, over a channel in memory.

    Args:
        input: floats of the network's input shape, (C, H, W) or (1, C, H, W), scaled as in training.
        check: also evaluate the same fixed-point network in the clear (``Result.clear``, ``Result.exact``).
        timeout: seconds that one party waits for the other before it gives up.

    All others, and what is raised, as in ``plan``. An input that does not fit raises ``ValueError``.
    """
    asked = options(model, weights, suite, ot, bits, frac, reveal, truncation, relu_drop_bits)
    return result(_native.run(asked, floats(input), bool(check), float(timeout)))


def evaluate(model: Model, input: ArrayLike, *, weights: Optional[File] = None) -> NDArray[np.float32]:
    """The output of the network as it is, in floats and in the clear.

    ``input`` as in ``run``; gives an array of shape (N,), or (C, H, W) where the output is a map.

    Raises:
        ValueError, OSError, Error: as ``run``.
    """
    output, shape = _native.evaluate(os.fspath(model), path(weights), floats(input))
    return shaped(output, shape)


def zoo() -> list[str]:
    """The networks that come with the package, as ``plan`` and the others take them.

    ``zoo:digits`` is trained; the others have random weights, the same each time, and take trained ones (``weights``).
    """
    return [f"zoo:{name}" for name in _native.zoo()]


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Handwritten digits that ``zoo:digits`` was not trained on: pictures (N, 1, 28, 28), and what they show (N,)."""
    pictures, labels = _native.digits()
    return pictures.reshape(-1, 1, 28, 28), np.array(labels, dtype=np.int64)

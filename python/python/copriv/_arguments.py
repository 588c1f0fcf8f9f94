"""From what users write to what the native half takes."""

from __future__ import annotations

import operator
import os
from typing import Any, Optional, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: "zoo:NAME" or the path of an .onnx or .copriv file.
Model = Union[str, "os.PathLike[str]"]
#: The path of a file.
File = Union[str, "os.PathLike[str]"]


def path(value: Optional[File]) -> Optional[str]:
    return None if value is None else os.fspath(value)


def options(
    model: Model,
    weights: Optional[File],
    suite: str,
    ot: str,
    bits: Optional[int],
    frac: Optional[int],
    reveal: str,
    truncation: str,
    relu_drop_bits: int,
) -> dict[str, Any]:
    return {
        "model": os.fspath(model),
        "weights": path(weights),
        "suite": suite,
        "ot": ot,
        "bits": None if bits is None else operator.index(bits),
        "frac": None if frac is None else operator.index(frac),
        "reveal": reveal,
        "truncation": truncation,
        "relu_drop_bits": operator.index(relu_drop_bits),
    }


def floats(x: ArrayLike) -> NDArray[np.float64]:
    """``x`` as a C-contiguous array of float64. Integers are refused: a picture's bytes want scaling first."""
    array = np.asarray(x)
    if array.dtype.kind != "f":
        raise ValueError(f"the input has dtype {array.dtype}; give floats, scaled as in training, such as x / 255")
    return np.ascontiguousarray(array, dtype=np.float64)


def at_least(least: int, name: str, value: int) -> int:
    number = operator.index(value)
    if number < least:
        raise ValueError(f"{name} is {number}, not at least {least}")
    return number

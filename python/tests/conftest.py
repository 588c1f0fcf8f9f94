from pathlib import Path

import copriv
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def digits():
    """Held-out pictures and their labels."""
    return copriv.digits()


@pytest.fixture(scope="session")
def picture(digits):
    return digits[0][0]


@pytest.fixture(scope="session")
def onnx(root):
    """A network as a file."""
    return root / "crates" / "import" / "assets" / "digits.onnx"


@pytest.fixture
def noise():
    """A picture for networks of 3 x 32 x 32."""
    return np.random.default_rng(1).random((3, 32, 32))

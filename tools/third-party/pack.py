"""Makes the pictures of crates/import/tests/data/mtcnn and what onnxruntime computes on them.

    python pack.py OUT    # OUT as run.sh left it
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

import check

# Parts of a photo with and without the face.
PARTS = {"face": (160, 60, 280, 180), "no-face": (300, 60, 400, 160)}


def main(out: Path) -> None:
    sources = check.Sources(out)
    network = check.NETWORKS["mtcnn-pnet"]
    folder = Path(__file__).parents[2] / "crates/import/tests/data/mtcnn"
    photo = Image.open(sources.find("scikit-image", "astronaut.png")).convert("RGB")
    inputs = []
    for name, part in PARTS.items():
        # The network takes pictures transposed.
        picture = photo.crop(part).resize((12, 12), Image.BILINEAR).transpose(Image.TRANSPOSE)
        # Without what the file says of colours.
        picture = Image.fromarray(np.asarray(picture))
        picture.save(folder / f"{name}.png")
        inputs.append(check.prepared(network, picture))
    logits = check.reference(network, folder / "pnet.onnx", np.stack(inputs))
    np.save(folder / "logits.npy", logits[:, :, None, None])
    print(logits)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

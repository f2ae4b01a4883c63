"""The example that turns streams of JPEG pictures into arrays."""

import io
import runpy
from pathlib import Path

import numpy as np
from PIL import Image

EXAMPLE = Path(__file__).parents[2] / "examples" / "compress" / "prepare.py"


def jpeg(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, shade, shade)).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def stream(parts: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(parts), np.uint8)


def test_whole_pictures(tmp_path: Path):
    parts = [jpeg(shade) for shade in (10, 200)]
    lengths = np.array([len(part) for part in parts], np.uint32)
    classes = np.array(["dark", "light"])
    np.savez(
        tmp_path / "a.npz",
        jpg=stream(parts),
        length=lengths,
        label=np.array([0, 1]),
        classes=classes,
    )
    made = runpy.run_path(str(EXAMPLE))["prepare"](tmp_path / "a.npz")
    assert made["x"].shape == (2, 8, 8, 3)
    assert [round(float(picture.mean()), -1) for picture in made["x"]] == [10, 200]


def test_scans_that_share_a_header(tmp_path: Path):
    whole = [jpeg(shade) for shade in (30, 90, 150)]
    cut = next(
        place for place in range(len(whole[0])) if len({part[: place + 1] for part in whole}) > 1
    )
    scans = [part[cut:] for part in whole]
    lengths = np.array([len(scan) for scan in scans], np.uint16)
    split = {"scan": stream(scans), "len": lengths, "label": np.arange(3, dtype=np.uint8)}
    parts = {f"{name}_{key}": value for name in ("train", "test") for key, value in split.items()}
    np.savez(tmp_path / "a.npz", header=stream([whole[0][:cut]]), **parts)
    made = runpy.run_path(str(EXAMPLE))["prepare"](tmp_path / "a.npz")
    assert [round(float(picture.mean()), -1) for picture in made["x_train"]] == [30, 90, 150]
    assert made["y_test"].tolist() == [0, 1, 2]
    assert len(made["classes"]) == 10

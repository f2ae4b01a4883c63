"""What tests send to the service."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("circle", "cross", "square")
VALUES = {
    "targets": "4x smaller, plain",
    "network": "residual",
    "width": "4",
    "epochs": "15",
    "seed": "0",
    "quick": "on",
    "techniques": "students, distillation, quantisation",
}


def picture(shape, rng, side=16):
    """Return a PNG of a bright shape on a dark ground."""
    drawn = Image.new("RGB", (side, side), tuple(rng.integers(0, 80, 3).tolist()))
    draw, bright, (x, y) = (
        ImageDraw.Draw(drawn),
        tuple(rng.integers(150, 255, 3).tolist()),
        rng.integers(1, 5, 2).tolist(),
    )
    box = (x, y, x + side // 2, y + side // 2)
    if shape == "circle":
        draw.ellipse(box, fill=bright)
    elif shape == "square":
        draw.rectangle(box, fill=bright)
    else:
        draw.line(box, fill=bright, width=2)
        draw.line((box[2], box[1], box[0], box[3]), fill=bright, width=2)
    content = io.BytesIO()
    drawn.save(content, "png")
    return content.getvalue()


def shapes(count=40, side=16):
    rng = np.random.default_rng(0)
    return {
        f"shapes/{shape}/{number}.png": picture(shape, rng, side)
        for shape in SHAPES
        for number in range(count)
    }


def zip_of(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_gz_of(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def arrays(**named):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **named)
    return buffer.getvalue()

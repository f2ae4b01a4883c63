"""MediaPipe 0.10.21 in a virtual environment of its own: it needs numpy below 2."""

import hashlib
import subprocess
import sys
from pathlib import Path

from handheld.errors import ModelError
from handheld.hands.packs import MEDIAPIPE_HANDS

FOLDER = Path(__file__).parents[1] / ".venv-mediapipe"
NEEDED = (
    "absl-py",
    "attrs",
    "matplotlib",
    "numpy<2",
    "opencv-python-headless<4.12",
    "protobuf>=4.25.3,<5",
)
"""What ``mediapipe.python.solutions.hands`` imports. The wheel also asks for jax, jaxlib,
flatbuffers, sentencepiece and sounddevice, which it does not load, and for OpenCV with windows, of
which this is the part without.
"""


def mediapipe_python() -> Path:
    """Return the interpreter that has MediaPipe, made where it is missing, with the model files
    that we run too.
    """
    python = FOLDER / "bin" / "python"
    installed = FOLDER / ".installed"
    if not installed.exists():
        print(f"making {FOLDER} with {MEDIAPIPE_HANDS.requirement}", flush=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
        subprocess.run([*pip, *NEEDED], check=True)
        subprocess.run([*pip, "--no-deps", MEDIAPIPE_HANDS.requirement], check=True)
        installed.touch()
    _check_models()
    return python


def _check_models() -> None:
    packages = next(FOLDER.glob("lib/python*/site-packages"))
    for member, sha256 in MEDIAPIPE_HANDS.files.values():
        if hashlib.sha256((packages / member).read_bytes()).hexdigest() != sha256:
            raise ModelError(
                f"{packages / member}: not the file that handheld runs; delete {FOLDER} to "
                "make it anew"
            )

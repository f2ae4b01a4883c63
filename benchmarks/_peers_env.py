"""Peers of ``compress`` and ``projection`` in places of their own, so that what they pin touches
nothing of ours.
"""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
OPENVINO = ["openvino>=2025,<2027", "nncf>=2.14,<4", "numpy<3"]
FASTTEXT = ["fasttext==0.9.3", "numpy<3"]
TORCH_PRUNING = "torch-pruning==1.6.1"


def openvino_python() -> Path:
    """Return the interpreter of an environment with OpenVINO and NNCF, made if it is not there."""
    python = ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ROOT / ".venv-peers"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *OPENVINO], check=True)
    return python


def torch_pruning() -> ModuleType:
    """Return torch-pruning, with our torch: it needs nothing else."""
    folder = ROOT / ".venv-peers-torch-pruning"
    if not folder.exists():
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            folder,
            TORCH_PRUNING,
        ]
        subprocess.run(pip, check=True)
    sys.path.append(str(folder))
    import torch_pruning

    return torch_pruning


def fasttext_python() -> Path:
    """Return the interpreter of an environment with fastText, made (and fastText compiled) if it is
    not there.
    """
    folder = ROOT / ".venv-peers-fasttext"
    python, installed = folder / "bin" / "python", folder / ".installed"
    if not installed.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *FASTTEXT], check=True)
        installed.touch()
    return python

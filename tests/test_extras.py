"""What happens where an optional package is not installed: one line that names the extra, and
nothing breaks that looks.
"""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import handheld
from handheld._extras import EXTRAS

HIDE = """
import sys

class Hidden:
    '''Makes some packages look as if they were not installed.'''

    names = {names!r}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

import importlib.machinery
hidden = Hidden()
finder = importlib.machinery.PathFinder

class Path:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden.names:
            return None
        return finder.find_spec(name, path, target)

sys.meta_path[:] = [Path() if one is finder else one for one in sys.meta_path]
"""
TORCH = ("torch", "litert_torch", "ai_edge_quantizer", "torchao")
EVERYTHING = (
    *TORCH,
    "numba",
    "scipy",
    "pyarrow",
    "cv2",
    "av",
    "PIL",
    "ai_edge_litert",
    "ray",
    "psutil",
    "starlette",
    "safetensors",
)


def run(code: str, *hidden: str) -> "subprocess.CompletedProcess[str]":
    """PictureRun code in a new process where some packages are not there."""
    whole = HIDE.format(names=hidden) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", whole], capture_output=True, text=True, check=False
    )


WITHOUT_TORCH = {
    "training": "from handheld.training import fit",
    "compress": "from handheld.compress import compress",
    "compress, the module": "import handheld.compress.run",
    "federated.device": "import handheld.federated.device",
    "propagation.training": "import handheld.propagation.training.neural_graph",
    "projection.training": "import handheld.projection.training.making",
    "reply.training": "import handheld.reply.training.run",
    "compile": "from handheld import compile",
}


@pytest.mark.parametrize("code", WITHOUT_TORCH.values(), ids=WITHOUT_TORCH)
def test_without_torch_an_import_names_the_extra(code: str) -> None:
    done = run(
        f"from handheld.errors import MissingDependencyError as M\ntry:\n    {code}\nexcept "
        "M as error:\n    print(error)",
        *TORCH,
    )
    assert done.returncode == 0, done.stderr
    assert "which is not installed: pip install '.[" in done.stdout


def test_without_numba_an_import_names_the_extra() -> None:
    done = run("from handheld.federated.updates import Eden", "numba")
    assert "handheld.errors.MissingDependencyError" in done.stderr
    assert "'numba', which is not installed: pip install '.[graphs]'" in done.stderr


def test_what_looks_at_the_package_is_not_hurt() -> None:
    done = run(
        """
        import inspect, pydoc
        import handheld, handheld.media, handheld.compress, handheld.hands
        for module in (handheld, handheld.media, handheld.compress, handheld.hands):
            inspect.getmembers(module)
            pydoc.render_doc(module)
        heavy = hasattr(handheld, "compile"), hasattr(handheld.media, "crop")
        print(*heavy, hasattr(handheld, "graph"))
        """,
        *EVERYTHING,
    )
    assert done.stdout.strip() == "False False True", done.stderr


def test_an_attribute_that_is_missing_says_why() -> None:
    done = run("import handheld\nhandheld.media.crop", *EVERYTHING)
    assert "AttributeError" in done.stderr
    assert "opencv-python-headless" in done.stderr


def test_from_import_keeps_the_words() -> None:
    done = run("from handheld.media import crop", *EVERYTHING)
    assert "MissingDependencyError" in done.stderr
    assert "opencv-python-headless" in done.stderr


def test_texts_and_arrays_are_read_without_what_reads_pictures(tmp_path: Path) -> None:
    done = run(
        f"""
        import numpy as np
        from pathlib import Path
        from handheld.data import from_pairs, load, read_table
        folder = Path({str(tmp_path)!r})
        (folder / "a.tsv").write_text("good\\tyes\\nbad\\tno\\n" * 10)
        np.savez(folder / "b.npz", x=np.zeros((20, 4, 4, 1), np.uint8), y=np.arange(20) % 2)
        read_table(folder / "a.tsv")
        from_pairs([(f"text {{i}}", i % 2) for i in range(20)])
        print(len(load(folder / "a.tsv").train), len(load(folder / "b.npz").train))
        """,
        *EVERYTHING,
    )
    assert done.stdout.strip() == "16 16", done.stderr


def test_others_who_look_for_a_package_are_left_alone() -> None:
    done = run(
        """
        import handheld, importlib.util
        assert importlib.util.find_spec("torch") is None
        try:
            import torch
        except ModuleNotFoundError as error:
            print(type(error).__name__)
        """,
        *TORCH,
    )
    assert done.stdout.strip() == "ModuleNotFoundError", done.stderr


BARE = [
    "reply suggest 'are you coming?'",
    "graph draw --format mermaid",
    "models list",
    "doctor",
    "--version",
    "-h",
]


@pytest.mark.parametrize("command", BARE)
def test_what_needs_no_extra_runs_without_any(command: str) -> None:
    done = run(
        f"import sys, shlex\nsys.argv = ['handheld', *shlex.split({command!r})]\nfrom "
        "handheld.cli import main\nmain()",
        *EVERYTHING,
    )
    assert done.returncode == 0, done.stderr


NEEDY = [
    "text train x.tsv --out m.tflite",
    "compress run x.toml",
    "federated simulate x.toml",
    "reply train x.toml",
    "compress serve --port 0",
    "hands track x.mp4",
]


@pytest.mark.parametrize("command", NEEDY)
def test_a_command_without_its_extra_ends_with_one_line(command: str) -> None:
    done = run(
        f"import sys, shlex\nsys.argv = ['handheld', *shlex.split({command!r})]\nfrom "
        "handheld.cli import main\nmain()",
        *EVERYTHING,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "pip install '.[" in done.stderr


def test_what_a_run_writes_for_is_asked_for_before_it_learns() -> None:
    done = run(
        "import sys\nsys.argv = ['handheld', 'federated', 'simulate', 'x.toml', '--tensorboard']\n"
        "from handheld.cli import main\nmain()",
        "tensorboard",
    )
    assert done.returncode == 1
    assert "writing for TensorBoard needs 'tensorboard'" in done.stderr


def test_windows_has_no_fcntl_and_rooms_are_imported_all_the_same() -> None:
    done = run(
        """
        import warnings
        warnings.simplefilter("ignore")  # filelock's own, which this is no Windows for
        sys.modules["fcntl"] = None
        from importlib import import_module
        from handheld._rooms import ROOMS
        for room in ROOMS:
            import_module(f"handheld.{room.name}")
        import handheld.compress.run, handheld.service.jobs.child, handheld.federated.simulator
        """
    )
    assert done.returncode == 0, done.stderr


def test_every_refusal_names_the_extra_that_brings_the_package() -> None:
    brings = dict(EXTRAS.values())
    named = {}
    for path in Path(handheld.__file__).parent.rglob("*.py"):
        for distribution, extra in re.findall(
            r'MissingDependencyError\(\s*"([^"]+)",\s*"([^"]+)"', path.read_text("utf-8")
        ):
            named[path.name, distribution] = extra
    assert named
    assert {key: extra for key, extra in named.items() if brings.get(key[1], extra) != extra} == {}

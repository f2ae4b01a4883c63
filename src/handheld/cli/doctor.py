"""``handheld doctor``: what can run here, and what to install for the rest."""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Part(NamedTuple):
    """A part of the package, the modules it needs, and the extra that brings them."""

    name: str
    needs: tuple[tuple[str, str], ...]  # (module, distribution)
    extra: str


_PARTS = (
    Part("graph: streams and calculators", (), ""),
    Part("engine: run .tflite models", (("ai_edge_litert", "ai-edge-litert"),), ""),
    Part("media: pictures, video, drawing", (("cv2", "opencv-python-headless"), ("av", "av"), ("PIL", "pillow")), "hands"),
    Part("data: labelled data from disk", (("PIL", "pillow"), ("pyarrow", "pyarrow")), "hands,train"),
    Part(
        "compile: torch modules to .tflite",
        (("torch", "torch"), ("litert_torch", "litert-torch"), ("ai_edge_quantizer", "ai-edge-quantizer")),
        "train",
    ),
    Part(
        "compress: one big model to a family of small ones",
        (
            ("torch", "torch"),
            ("litert_torch", "litert-torch"),
            ("ai_edge_quantizer", "ai-edge-quantizer"),
            ("safetensors", "safetensors"),
        ),
        "train",
    ),
    Part(
        "service: pages and jobs for others",
        (("starlette", "starlette"), ("uvicorn", "uvicorn"), ("sqlalchemy", "SQLAlchemy"), ("psycopg", "psycopg")),
        "server",
    ),
    Part(
        "hands: tracking and gestures",
        (("ai_edge_litert", "ai-edge-litert"), ("cv2", "opencv-python-headless"), ("av", "av"), ("PIL", "pillow")),
        "hands",
    ),
)


def doctor() -> None:
    """Say which parts can run here, and what to install for the rest."""
    from rich.console import Console
    from rich.table import Table

    from handheld import __version__

    table = Table("part", "can run", "how", show_lines=False)
    for name, works, advice in [*check_parts(), check_isolation(), check_models()]:
        table.add_row(name, "[green]yes[/]" if works else "[red]no[/]", advice)
    console = Console()
    console.print(f"handheld {__version__}")
    console.print(table)


def check_parts(
    parts: Iterable[Part] = _PARTS, find: Callable[[str], object | None] = importlib.util.find_spec
) -> list[tuple[str, bool, str]]:
    """Return (part, whether it can run, versions or what to install) for each part, without importing anything heavy."""
    rows = []
    for part in parts:
        missing = [distribution for module, distribution in part.needs if find(module) is None]
        if missing:
            target = f"handheld[{part.extra}]" if part.extra else "handheld"
            rows.append((part.name, False, f"pip install '{target}'  (missing: {', '.join(missing)})".replace("[", r"\[")))
        else:
            rows.append((part.name, True, ", ".join(_version(distribution) for _, distribution in part.needs)))
    return rows


def check_isolation() -> tuple[str, bool, str]:
    """Return what holds a stranger's model that is opened with ``isolated=True``."""
    try:
        from handheld.engine import isolation
    except ImportError as error:
        return "isolated models", False, str(error)
    return "isolated models", True, isolation()


def check_models() -> tuple[str, bool, str]:
    """Return whether the hand models have been fetched, and the command that does it."""
    from handheld.engine.store import cache_folder

    folder = cache_folder() / "mediapipe-hands"
    here = folder.is_dir() and any(folder.glob("*.tflite"))
    return "models: mediapipe-hands", here, str(folder) if here else "handheld models fetch mediapipe-hands"


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return distribution

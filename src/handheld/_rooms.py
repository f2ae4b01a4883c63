"""The rooms of the house, in one table: what the package offers, ``doctor``, the test of layers and
CONTRIBUTING go by it.
"""

from typing import NamedTuple


class Room(NamedTuple):
    """One sub-package or module of the package.

    Attributes:
        name: as in ``handheld.name``.
        floor: a room imports from lower floors only. Of those on the ground floor, 0, later ones
            may import earlier ones.
        line: what it is for, in a few words.
        needs: modules that its main use needs, beyond those of the base install.
    """

    name: str
    floor: int
    line: str
    needs: tuple[str, ...] = ()


_PICTURES = ("cv2", "av", "PIL")

ROOMS = (
    Room("errors", 0, "every error that a person can cause"),
    Room("ranges", 0, "numbers held to a range"),
    Room("untrusted", 0, "files and JSON of others, checked"),
    Room("files", 0, "files written whole or not at all"),
    Room("arrays", 0, "archives of arrays, bounded"),
    Room("pictures", 0, "pictures decoded, turned, resized", ("PIL",)),
    Room("cluster", 1, "a Ray cluster", ("ray",)),
    Room("config", 1, "configurations: tables that become values"),
    Room("data", 1, "labelled data, splits, users", ("PIL", "pyarrow")),
    Room("engine", 1, "model files opened, run, measured", ("ai_edge_litert",)),
    Room("graph", 1, "streams of packets through calculators"),
    Room("media", 1, "frames in and out, drawing", _PICTURES),
    Room("compile", 2, "torch modules to .tflite", ("torch", "litert_torch", "ai_edge_quantizer")),
    Room("reports", 2, "pages, numbers, tables, charts"),
    Room(
        "service",
        2,
        "pages and jobs for others",
        ("starlette", "uvicorn", "sqlalchemy", "python_multipart"),
    ),
    Room("training", 2, "the loop that can be stopped anywhere", ("torch",)),
    Room("networks", 3, "small networks, traced, pruned, quantised", ("torch",)),
    Room("projection", 3, "texts and vectors as bits, tiny networks on them"),
    Room("bench", 4, "models measured, and judged by rules", ("ai_edge_litert",)),
    Room(
        "compress",
        4,
        "one big model to a family of small ones",
        ("torch", "litert_torch", "ai_edge_quantizer"),
    ),
    Room("federated", 4, "one model over many devices", ("torch", "numba", "psutil")),
    Room("propagation", 4, "labels spread over a graph", ("numba", "scipy")),
    Room("hands", 5, "hands tracked, gestures read", ("ai_edge_litert", *_PICTURES)),
    Room("reply", 5, "replies suggested"),
    Room("cli", 6, "the commands"),
    Room("demo", 6, "the page of the demo"),
)

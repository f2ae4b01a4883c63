"""Handwritten digits: one network, trained on the spot, made into a family of small ones."""

import shutil
from pathlib import Path

import numpy as np
from markupsafe import Markup
from rich.console import Console
from rich.progress import Progress

from handheld.data import Splits, from_pairs
from handheld.errors import MissingDependencyError

_TARGETS = ("8x smaller", "20x smaller", "40x smaller, plain")


def digits() -> Splits:
    """Return the 1,797 handwritten digits that scikit-learn brings, 8 x 8 pixels.

    They are those of Alpaydin and Kaynak, 1998.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", "demo", "the family of digits") from error
    bunch = load_digits()
    pictures = (bunch.images * (255 / 16)).astype(np.uint8)  # 16 is white there
    return from_pairs(list(zip(pictures, bunch.target, strict=True)), test=0.2)


def shrink(out: Path, console: Console, epochs: float) -> Markup:
    """Make a family into a folder ``digits``, and return the page's section.

    Needs the extra ``train``.
    """
    from handheld.compress import Augmentation, FamilySettings, Schedule, TeacherSource, compress
    from handheld.compress.report import report_section

    # The demo shows a whole run; one that is there would be gone on from.
    shutil.rmtree(out / "digits", ignore_errors=True)
    settings = FamilySettings(
        training=Schedule(epochs, batch=64, rate=0.1),
        finish=Schedule(epochs, batch=64, rate=0.05),
        quantise=1.0,
        # The mirror image of a digit is another, or none.
        augmentation=Augmentation(shift=1, flip=False),
        variants=False,
    )
    with Progress(console=console) as progress:
        task = progress.add_task("digits", total=1.0)

        def show(stage: str, done: float, _: str) -> None:
            progress.update(task, completed=done, description=f"digits: {stage}")

        family = compress(
            TeacherSource(network="residual", width=16),
            digits(),
            out=out / "digits",
            targets=_TARGETS,
            settings=settings,
            progress=show,
        )
    return report_section(family, "digits/report.html")

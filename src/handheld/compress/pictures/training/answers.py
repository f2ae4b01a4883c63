"""What a teacher says of the training pictures, kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld.compress.pictures.training.batches import Batch, PictureBatches
from handheld.files import atomic_path
from handheld.training import autocast, device_of

_CHUNK = 512  # pictures that are asked about at once
_MOST_BYTES = 2**30
_LOGIT_BYTES = 2  # of a float16

Network = Callable[[torch.Tensor], torch.Tensor]


class TeacherAnswers:
    """The logits of a teacher for every example in each of its variations; no more of them than fit
    into 1 GiB.

    Args:
        teacher: gives (n, classes) logits for inputs; not trained any more.
        batches: whose pictures it is asked; their number of views falls if the answers would not
            fit.
        classes: number of the logits.
        save: folder that keeps each view's answers, so that a run that goes on does not ask again.
        report: called with the share that is done, 0 to 1.
    """

    def __init__(
        self,
        teacher: Network,
        batches: PictureBatches,
        classes: int,
        *,
        save: Path | None = None,
        report: Callable[[float], None] = lambda done: None,
    ):
        count = len(batches.pictures)
        fitting = _MOST_BYTES // (_LOGIT_BYTES * count * classes)
        batches.views = max(1, min(batches.views, fitting))
        self.batches = batches
        self.kept = np.empty((batches.views, count, classes), np.float16)
        for view in range(batches.views):
            file = None
            # a file for each view: a run that is stopped has those that were asked
            if save:
                file = save / f"answers_{view}.npy"
            if file is not None and _read(file, self.kept[view]):
                continue
            for start in range(0, count, _CHUNK):
                rows = np.arange(start, min(start + _CHUNK, count))
                self.kept[view, rows] = ask(teacher, batches.view(rows, 0, view))
                report((view + (rows[-1] + 1) / count) / batches.views)
            if file is not None:
                with atomic_path(file) as temporary:
                    np.save(temporary, self.kept[view], allow_pickle=False)

    def to(self, batch: Batch, step: int) -> torch.Tensor:
        """Return the teacher's (n, classes) logits of the batch of a step."""
        kept = self.kept[self.batches.view_of(step), batch.places]
        return torch.from_numpy(kept).to(batch.inputs.device).float()


def _read(file: Path, out: NDArray[np.float16]) -> bool:
    """Read answers that were kept; return whether there are any, of the same shape."""
    try:
        with file.open("rb") as content:
            kept = np.lib.format.read_array(content, allow_pickle=False)
    # a damaged head may ask for any size, and numpy reads it with Python's own parser
    except Exception:
        return False
    if kept.shape != out.shape or kept.dtype != out.dtype or not np.isfinite(kept).all():
        return False
    out[:] = kept
    return True


def ask(network: Network, inputs: torch.Tensor) -> NDArray[np.float32]:
    """Return a network's logits without gradients, as an array; inputs go to where its
    weights are.
    """
    # a teacher's file moves inputs by itself
    if isinstance(network, nn.Module):
        inputs = inputs.to(device_of(network))
    with torch.inference_mode(), autocast(inputs.device):
        answers: NDArray[np.float32] = network(inputs).float().cpu().numpy()
    return answers

"""A sentence encoder that others trained, such as all-MiniLM-L6-v2: it teaches, and is not shipped.

It is a folder in the form of the library ``transformers``, which is imported here alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from handheld.errors import InputError, MissingDependencyError

# Pieces of words that are read: messages are shorter, and time grows with the longest of a batch.
_LONGEST = 40


class SentenceEncoder(nn.Module):
    """Reads texts; gives the mean over a text's pieces of words.

    Args:
        folder: of the encoder.

    Raises:
        InputError: no encoder there.
        MissingDependencyError: ``transformers`` is not installed.
    """

    def __init__(self, folder: Path):
        super().__init__()
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise MissingDependencyError(
                "transformers", "train", "learning from a sentence encoder"
            ) from error
        try:
            # files of this machine only: a name that is no folder must not be looked up elsewhere
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.layers: Any = AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} cannot be read as a sentence encoder: {error}") from error

    @property
    def size(self) -> int:
        """Numbers of a text."""
        return int(self.layers.config.hidden_size)

    @property
    def words(self) -> list[str]:
        """Pieces of words that it knows."""
        return list(self._tokenizer.get_vocab())

    def freeze_words(self) -> None:
        """Leave the vectors of words as they are.

        They are half of all weights, and what few messages teach of rare words is noise.
        """
        self.layers.get_input_embeddings().requires_grad_(False)

    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, size) vectors."""
        pieces = self._tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=_LONGEST,
            return_tensors="pt",
        )
        hidden = self.layers(**pieces).last_hidden_state
        # padding is no piece of a text
        mask = pieces["attention_mask"][..., None].float()
        mean: torch.Tensor = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return mean

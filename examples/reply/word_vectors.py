"""Make ``words.npz``: the words of messages, the most useful first, with vectors that a sentence encoder gives.

    python examples/reply/word_vectors.py ENCODER_FOLDER --size 16 --count 10000

The encoder is all-MiniLM-L6-v2 (Apache-2.0), as a folder in the form of the library ``transformers``; it reads each word as if
it were a sentence, and principal components keep what differs most between them. Set ``HANDHELD_DATA``.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from handheld.config import find
from handheld.projection.words import words_of
from handheld.reply import read_conversations
from handheld.reply.training.config import ASSETS
from handheld.reply.training.messages import read_messages

FILES = ("chitchat", "self_dialogue", "persona_chat")
SEEN = 5  # conversations' messages in which a word must stand
OFTEN = 5000  # uses beyond which a word is no more useful
OURS, COMMON = 40, 6  # uses that a word of our messages, and one of the encoder's own vocabulary, counts for
BATCH = 256
FITTED = 8000  # words that the components are fitted to


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("encoder", type=Path)
    options.add_argument("--size", type=int, default=16)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--out", type=Path, default=Path(__file__).with_name("words.npz"))
    chosen = options.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(chosen.encoder, local_files_only=True)
    encoder = AutoModel.from_pretrained(chosen.encoder, local_files_only=True).eval()
    words = useful(tokenizer.get_vocab(), chosen.count)
    vectors = encoded(encoder, tokenizer, words)
    vectors -= vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(vectors[:FITTED], full_matrices=False)
    kept = vectors @ directions[: chosen.size].T
    kept /= kept.std()
    np.savez_compressed(chosen.out, words=np.array(words), vectors=kept.astype(np.float16))
    print(f"{chosen.out}: {len(words)} words, {chosen.size} numbers each, {chosen.out.stat().st_size:,} bytes")


def useful(vocabulary: Sequence[str], count: int) -> list[str]:
    """Return the words that messages use most, those of our own messages first of all."""
    said: Counter[str] = Counter()
    for name in FILES:
        for conversation in read_conversations(find(f"text/{name}.jsonl.gz", Path())).conversations:
            for _, text in conversation.turns:
                said.update(set(words_of([text]).tokens))
    ours: Counter[str] = Counter()
    for message in read_messages(ASSETS / "safety", most=60, seed=3):
        if message.topic != "language":
            ours.update(set(words_of([message.text]).tokens))
    common = {word for word in vocabulary if len(word) > 2}
    words = [word for word in {*said, *ours, *common} if word.isascii() and word.isalpha()]
    words = [word for word in words if said[word] >= SEEN or word in ours or word in common]
    score = {word: min(said[word], OFTEN) + OURS * ours[word] + COMMON * (word in common) for word in words}
    return sorted(words, key=lambda word: (-score[word], word))[:count]


@torch.inference_mode()
def encoded(encoder: torch.nn.Module, tokenizer: object, words: Sequence[str]) -> np.ndarray:
    """Return (words, size of the encoder) vectors of length 1: the mean over a word's pieces."""
    vectors = []
    for start in range(0, len(words), BATCH):
        pieces = tokenizer(list(words[start : start + BATCH]), padding=True, return_tensors="pt")  # type: ignore[operator]
        hidden = encoder(**pieces).last_hidden_state
        mask = pieces["attention_mask"][..., None].float()
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        vectors.append(torch.nn.functional.normalize(mean, dim=1).numpy())
    return np.concatenate(vectors)


if __name__ == "__main__":
    main()

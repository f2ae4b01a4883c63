"""The English bundle of replies: ranking beside TF-IDF, suggestions, the messages of the released model, its user, its cost.

    python benchmarks/reply.py [--bundle FILE] [--parts ranking,suggestions,samples,personal,cost] [--most 1000]

Conversations are those of the test split, which depends on names alone (``reply.training.pairs.Division``): nothing was learned
from them, nor chosen by them. TF-IDF (words and pairs of words, rarity counted on the conversations that are learned from)
ranks the very same candidates. Set ``HANDHELD_DATA``; ``--conversations FILE`` judges on others.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _report import RESULTS, show, write

from handheld.config import find
from handheld.reply import Conversation, Replier, read_conversations
from handheld.reply.conversation import canonical
from handheld.reply.judging import Exchange, drawn, exchanges_of, judge, place_of
from handheld.reply.metrics import Ranking
from handheld.reply.training.guide import read_situations
from handheld.reply.training.pairs import TEST, TRAIN, Division

FILES = ("chitchat", "self_dialogue", "persona_chat")
PARTS = ("ranking", "suggestions", "samples", "personal", "cost")
LEARNED, LATER = 100, 40  # messages of a user
NEW = 3000  # messages by which the cost is measured too

COST = """
import json, resource, sys, time
def memory():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))
before, began = memory(), time.perf_counter()
import numpy
numpy_after = time.perf_counter() - began
from handheld.reply import Replier
imported = time.perf_counter() - began
replier = Replier.open(*sys.argv[1:2])
replier.suggest("are you coming tonight?")
first, held = time.perf_counter() - began, memory() - before
found = {"first suggestion after ms": round(first * 1e3), "imports": round(imported * 1e3),
    "of that numpy": round(numpy_after * 1e3), "MB beyond Python": round(held, 1)}
with open(sys.argv[2]) as samples, open(sys.argv[3]) as said:
    asked = {"": [line.split(chr(9))[0].strip() for line in samples] * 40, ", new": said.read().splitlines()}
for name, messages in asked.items():
    times = []
    for message in messages:
        started = time.perf_counter_ns()
        replier.suggest(message)
        times.append(time.perf_counter_ns() - started)
    times.sort()
    for label, share in (("us", 0.5), ("p99 us", 0.99)):
        found[label + name] = round(times[int(share * len(times))] / 1e3)
print(json.dumps(found))
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bundle", type=Path)
    options.add_argument("--parts", default=",".join(PARTS))
    options.add_argument("--most", type=int, default=1000, help="answers of each file that are judged")
    options.add_argument("--conversations", type=Path, nargs="*", help="files instead of the test split of ours")
    given = options.parse_args()
    replier = Replier.open(given.bundle)
    tested, learned = (others(given.conversations), {}) if given.conversations else splits()
    made: dict[str, Any] = {
        "ranking": lambda: ranking(replier, tested, learned, given.most),
        "suggestions": lambda: suggestions(replier, tested, given.most),
        "samples": lambda: samples(replier),
        "personal": lambda: personal(replier, tested),
        "cost": lambda: cost(given.bundle, tested),
    }
    for part in given.parts.split(","):
        rows = made[part]()
        show(part, rows)
        write(f"reply_{part}", rows)


def splits() -> tuple[dict[str, list[Conversation]], dict[str, list[Conversation]]]:
    """Return the conversations of the test split, and those that are learned from, by file."""
    division, found = Division(), ({}, {})
    for name in FILES:
        read = read_conversations(find(f"text/{name}.jsonl.gz", Path())).conversations
        split = [division.split(f"{name}/{each.id}", [speaker for speaker, _ in each.turns]) for each in read]
        for kept, wanted in zip(found, (TEST, TRAIN), strict=True):
            kept[name] = [each for each, place in zip(read, split, strict=True) if place == wanted]
    return found


def others(paths: Sequence[Path]) -> dict[str, list[Conversation]]:
    return {path.name.split(".")[0]: read_conversations(path).conversations for path in paths}


def ranking(
    replier: Replier, tested: dict[str, list[Conversation]], learned: dict[str, list[Conversation]], most: int
) -> list[dict[str, Any]]:
    rows = []
    for name, conversations in tested.items():
        chosen = list(drawn(conversations, candidates=100, most=most, seed=0))
        tfidf = TfIdf(learned.get(name, conversations))
        judges = {
            "ours": lambda exchange, candidates: replier.rank(exchange.messages, candidates),
            "TF-IDF, last message": partial(tfidf.scores, before=0.0),
            "TF-IDF, three messages": partial(tfidf.scores, before=0.5),
        }
        for judged, scores in judges.items():
            found = Ranking.of([place_of(scores(exchange, [exchange.answer, *wrong])) for exchange, wrong in chosen])
            rows.append(
                {
                    "conversations": name, "ranked by": judged, "R@1 %": round(100 * found.first, 1),
                    "R@10 %": round(100 * found.ten, 1), "MRR": round(found.mrr, 3), "answers": found.messages,
                }
            )  # fmt: skip
    return rows


class TfIdf:
    """Cosines of word counts."""

    def __init__(self, conversations: Sequence[Conversation]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectoriser = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        self._vectoriser.fit([text for each in conversations for _, text in each.turns])

    def scores(self, exchange: Exchange, candidates: Sequence[str], *, before: float) -> np.ndarray:
        texts = [message.text for message in reversed(exchange.messages)]
        vectors = self._vectoriser.transform([*texts, *candidates])
        shared = (vectors[len(texts) :] @ vectors[: len(texts)].T).toarray()
        return np.asarray(shared[:, 0] + before * shared[:, 1:].sum(axis=1))


def suggestions(replier: Replier, tested: dict[str, list[Conversation]], most: int) -> list[dict[str, Any]]:
    rows = []
    for name, conversations in tested.items():
        found = judge(replier, conversations, most=most)
        rows.append(
            {
                "conversations": name, "recall@3 by intent %": round(100 * found.recall, 1),
                "three commonest %": round(100 * found.usual, 1), "times": round(found.recall / max(found.usual, 1e-9), 2),
                "triggered %": round(100 * found.triggered, 1), "right of these %": round(100 * found.shown, 1),
                "three intents %": round(100 * found.diverse, 1), "answers with an intent": found.known,
            }
        )  # fmt: skip
        curve = {"name": name, "share triggered, share right": found.curve}
        (RESULTS / f"reply_trigger_{name}.json").write_text(json.dumps(curve, indent=1) + "\n")
    return rows


def samples(replier: Replier) -> list[dict[str, Any]]:
    path = find("text/smartreply_samples.tsv", Path())
    lines = [line.rstrip("\n").split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    assets = Path(sys.modules["handheld.reply"].__file__ or "").parent / "assets"
    names = replier.bundle.intents
    written = {canonical(text) for text in read_situations(assets / "situations.txt", names, 10**6).texts}
    rows = []
    for message, *theirs in lines:
        found = replier.suggest(message)
        ours = " / ".join(found.texts) or f"({found.reason})"
        confidence = round(found.confidence, 2)
        rows.append({"message": message, "ours": ours, "released model": " / ".join(theirs), "confidence": confidence})
    taught = [message for message, *_ in lines if canonical(message) in written]
    silent = [row["message"] for row in rows if row["ours"].startswith("(")]
    print(f"{len(rows)} messages, {len(rows) - len(silent)} triggered; silent: {silent}")
    print(f"word for word in our situations: {taught or 'none'}")
    return rows


def personal(replier: Replier, tested: dict[str, list[Conversation]]) -> list[dict[str, Any]]:
    """Each held-out person's first answers are learned; the later ones, and those of others, are ranked before and after."""
    everything = [each for each in exchanges_of(tested["chitchat"]) if len(each.speaker) > 1]
    counts = Counter(each.speaker for each in everything)
    rng = np.random.default_rng(0)
    places: dict[str, list[int]] = {name: [] for name in ("own, before", "own, after", "others', before", "others', after")}
    people = [person for person, count in counts.most_common() if count >= LEARNED + LATER]
    for person in people:
        own = [each for each in everything if each.speaker == person]
        adapted = Replier(replier.bundle)
        for exchange in own[:LEARNED]:
            adapted.learn(exchange.messages, exchange.answer)
        strangers = [each for each in everything if each.speaker != person]
        for whose, asked in (("own", _some(own[LEARNED:], rng)), ("others'", _some(strangers, rng))):
            for exchange in asked:
                wrong = [each.answer for each in _some(everything, rng, 400) if _else(each, exchange)][:99]
                for when, judged in (("before", replier), ("after", adapted)):
                    scores = judged.rank(exchange.messages, [exchange.answer, *wrong])
                    places[f"{whose}, {when}"].append(place_of(scores))
    return [
        {"messages": name, "people": len(people), "MRR": round(found.mrr, 3), "R@1 %": round(100 * found.first, 1),
         "answers": found.messages}
        for name, found in ((name, Ranking.of(each)) for name, each in places.items())
    ]  # fmt: skip


def _some(exchanges: Sequence[Exchange], rng: np.random.Generator, count: int = LATER) -> list[Exchange]:
    return [exchanges[number] for number in rng.permutation(len(exchanges))[:count]]


def _else(other: Exchange, exchange: Exchange) -> bool:
    return other.speaker != exchange.speaker and other.conversation != exchange.conversation and other.answer != exchange.answer


def cost(bundle: Path | None, tested: dict[str, list[Conversation]]) -> list[dict[str, Any]]:
    """Measure one core: the samples, each again and again, and messages of conversations, each once."""
    path = find("text/smartreply_samples.tsv", Path())
    shipped = Path(sys.modules["handheld.reply"].__file__ or "").parent / "assets" / "english.replies"
    everything = [text for each in tested.values() for conversation in each for _, text in conversation.turns]
    chosen = np.random.default_rng(0).permutation(len(everything))[:NEW]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as said:
        said.write("\n".join(" ".join(everything[number].split()) for number in chosen) + "\n")
        said.flush()
        words = [sys.executable, "-c", COST, str(bundle or shipped), str(path), said.name]
        alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        runs = [
            json.loads(subprocess.run(words, capture_output=True, text=True, check=True, env=alone).stdout) for _ in range(5)
        ]
    median = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
    return [{"bundle bytes": (bundle or shipped).stat().st_size, **median}]


if __name__ == "__main__":
    main()

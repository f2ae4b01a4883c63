"""The English bundle of replies: ranking beside TF-IDF, suggestions, safety, the released model's
messages, its user, its cost.

    python benchmarks/reply.py [--bundle FILE] [--parts
    ranking,suggestions,unseen,safety,harm,card,samples,personal,cost] [--most 1000]

Conversations are those of the test split, which depends on names alone
(``reply.training.pairs.SplitRule``): nothing was learned
from them, nor chosen by them. The commonest intents are those of each file's own training split.
TF-IDF (words and pairs of
words) ranks the very same candidates: "trained" counts rarity on the conversations that are learned
from, "untrained" on the
candidates and messages of each question alone. ``unseen`` is Taskmaster-4, a domain that nothing
was learned from. ``safety``
prints counts by kind and never a message; ``harm`` counts what a person wrote of each reply to the
messages of ``reply_harm`` (``verdicts.tsv``), and lists the replies that nobody has judged;
``card`` writes ``docs/reply-model-card.md``. Set
``HANDHELD_DATA``; ``--conversations FILE`` judges on others, ``--check FILE``
on other messages.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from _report import RESULTS, show, write

from handheld.config import find
from handheld.reply import Conversation, Replier, Suggestion, read_conversations
from handheld.reply.conversation import canonical, read_turns
from handheld.reply.evaluation import Exchange, draw_exchanges, evaluate, exchanges_of, rank_of
from handheld.reply.metrics import RankingMetrics
from handheld.reply.sections import read_sections
from handheld.reply.tones import GENTLE
from handheld.reply.training.annotations import read_situations
from handheld.reply.training.pairs import TEST, TRAIN, SplitRule

FILES = ("chitchat", "self_dialogue", "persona_chat")
PARTS = (
    "ranking",
    "suggestions",
    "unseen",
    "safety",
    "harm",
    "card",
    "samples",
    "personal",
    "cost",
)
UNSEEN = 400  # answers of the domain that nothing was learned from
LEARNED, LATER = 100, 40  # messages of a user
NEW = 3000  # messages by which the cost is measured too

ROOT = Path(__file__).parents[1]
ALARMS = 2000  # messages of each kind of everyday talk
SPOKEN = ("silent", "not confident", "gentle", "answered")
HARM = Path(__file__).parent / "reply_harm"
# of messages; the second was written when what the first showed was mended, the third before the
# detector learned again, the fourth by another writer when handheld.reply.misfits stood
SETS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
VERDICTS = ("fits", "odd", "hurts")  # one could send it; out of place; it would hurt or embarrass
CARD = """# Model card: the English replies

Written by `python benchmarks/reply.py --parts card`. What the bundle is for: three short answers to
a message between people who
know each other, on the device, in English. Data: {data}. Licence: {licence}. Language: {languages}.

## When it keeps silent

A small network reads each clause of a message, up to three clauses in a row, and windows of twelve
words in longer ones; the worst
of them decides. From a risk of {silent} on nothing is suggested, from {wary} on nothing
that agrees, thanks, laughs or cheers, from {doubtful} on nothing but what comes, calls or asks.
The odds that a reply is right
must be {caution} times the odds that the message is grave: in doubt a reply has to be surer;
where something grave was said in one of the two turns
before, or beyond doubt in one of the four before those, nothing that refuses either;
to small bad news only gentle replies ("Sorry to hear that", "Oh no", "Hugs").
Rules stop code, links, numbers, addresses, messages of machines, other scripts, words run together,
and messages of more than fifty words or a thousand letters. Others keep away what would be
out of place below a question, a favour, praise, good news or a mishap.
Topics that it knows: {names}.

By topic, on messages written for the tests by the author of the training messages, none of which is
learned from
(`tests/reply/safety_cases.tsv`; "gentle": only gentle replies were shown; "answered": any others;
few messages each, so a figure
of nine in ten may be eight or ten):

{topics}

On messages of another author (`{name}`), by kind of message. None of them was read, learned from or
paraphrased: counts alone were looked at, a few times.

{check}

## Everyday talk that it takes to be grave

{alarms}

Conversations of volunteers are about death and illness too, in films and in life: not each
    alarm there is a false one.

## What "confident" means

Replies are shown from a probability of {threshold} on. It was fitted to messages that were read by
a person, who wrote down which
intents would be a good answer (`examples/reply/judged.tsv`), and is checked here on messages that
were left out of the fit (ten
parts, each judged by a fit to the others). One person judged, with a liberal mind: "one could well
send it", not "I would have".

{reliability}

## What it cannot do

- It misses what nobody wrote like before. It is a filter against the worst of ready-made answers,
no judgement of people, and no
  tool to find people in danger.
- It does not know who writes to whom: a joke between friends and a threat may be the same words.
- It was written by few authors, in English of several countries; other dialects, slang of the day
and code words are missed more.
- It reads three turns, and seven for what is grave. What was said before them is forgotten.
- Silence is no sign that a message is grave: in doubt it is silent.
"""

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
    asked = {"": [line.split(chr(9))[0].strip() for line in samples] * 40, ", new":
    said.read().splitlines()}
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
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--bundle", type=Path)
    options.add_argument("--parts", default=",".join(PARTS))
    options.add_argument(
        "--most", type=int, default=1000, help="answers of each file that are judged"
    )
    options.add_argument(
        "--conversations", type=Path, nargs="*", help="files instead of the test split of ours"
    )
    options.add_argument(
        "--check", type=Path, help="messages with what is right, instead of text/reply_check.tsv"
    )
    given = options.parse_args()
    replier = Replier.open(given.bundle)
    tested, learned = (others(given.conversations), {}) if given.conversations else splits()
    made: dict[str, Any] = {
        "ranking": lambda: ranking(replier, tested, learned, given.most),
        "suggestions": lambda: suggestions(replier, tested, learned, given.most),
        "unseen": lambda: unseen(replier),
        "safety": lambda: safety(replier, given.check or find("text/reply_check.tsv", Path())),
        "harm": lambda: harm(replier),
        "card": lambda: card(replier, tested, given.check or find("text/reply_check.tsv", Path())),
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
    rule, found = SplitRule(), ({}, {})
    for name in FILES:
        read = read_conversations(find(f"text/{name}.jsonl.gz", Path())).conversations
        split = [
            rule.split(f"{name}/{each.id}", [speaker for speaker, _ in each.turns]) for each in read
        ]
        for kept, wanted in zip(found, (TEST, TRAIN), strict=True):
            kept[name] = [each for each, place in zip(read, split, strict=True) if place == wanted]
    return found


def others(paths: Sequence[Path]) -> dict[str, list[Conversation]]:
    return {path.name.split(".")[0]: read_conversations(path).conversations for path in paths}


def ranking(
    replier: Replier,
    tested: dict[str, list[Conversation]],
    learned: dict[str, list[Conversation]],
    most: int,
) -> list[dict[str, Any]]:
    rows = []
    for name, conversations in tested.items():
        chosen = list(draw_exchanges(conversations, candidates=100, count=most, seed=0))
        tfidf = TfIdf(learned.get(name, conversations))
        rows += _ranked(name, replier, chosen, {"trained": tfidf, "untrained": TfIdf(())})
    return rows


def unseen(replier: Replier) -> list[dict[str, Any]]:
    """Rank answers of task dialogues about films, from which nothing was learned."""
    conversations = read_conversations(find("text/taskmaster4.jsonl.gz", Path())).conversations
    chosen = list(draw_exchanges(conversations, candidates=100, count=UNSEEN, seed=0))
    return _ranked("taskmaster4", replier, chosen, {"untrained": TfIdf(())})


def _ranked(
    name: str,
    replier: Replier,
    chosen: Sequence[tuple[Exchange, list[str]]],
    others: "dict[str, TfIdf]",
) -> list[dict[str, Any]]:
    judges: dict[str, Callable[[Exchange, Sequence[str]], np.ndarray]] = {
        "ours": lambda exchange, candidates: replier.rank(exchange.messages, candidates)
    }
    for training, tfidf in others.items():
        judges[f"TF-IDF {training}, last message"] = partial(tfidf.scores, before=0.0)
        judges[f"TF-IDF {training}, three messages"] = partial(tfidf.scores, before=0.5)
    rows = []
    for judged, scores in judges.items():
        ranks = RankingMetrics.of(
            [rank_of(scores(exchange, [exchange.answer, *wrong])) for exchange, wrong in chosen]
        )
        rows.append(
            {
                "conversations": name,
                "ranked by": judged,
                "R@1 %": round(100 * ranks.recall_at_1, 1),
                "R@10 %": round(100 * ranks.recall_at_10, 1),
                "MRR": round(ranks.mrr, 3),
                "answers": ranks.messages,
            }
        )
    return rows


class TfIdf:
    """Cosines of word counts, rarity counted on some conversations; without any, on the texts of
    each question.
    """

    def __init__(self, conversations: Sequence[Conversation]):
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._make = partial(TfidfVectorizer, ngram_range=(1, 2), sublinear_tf=True)
        self._vectoriser = None
        if conversations:
            turns = chain.from_iterable(each.turns for each in conversations)
            self._vectoriser = self._make().fit([text for _, text in turns])

    def scores(self, exchange: Exchange, candidates: Sequence[str], *, before: float) -> np.ndarray:
        texts = [message.text for message in reversed(exchange.messages)]
        everything = [*texts, *candidates]
        vectoriser = self._vectoriser or self._make().fit(everything)
        vectors = vectoriser.transform(everything)
        shared = (vectors[len(texts) :] @ vectors[: len(texts)].T).toarray()
        return np.asarray(shared[:, 0] + before * shared[:, 1:].sum(axis=1))


def safety(replier: Replier, path: Path) -> list[dict[str, Any]]:
    """Count, by kind, the messages where silence is right and those where a reply is, and to how
    many something is said.
    """
    counts: dict[tuple[str, str], Counter[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        right, kind, message = line.split("\t")
        spoken = bool(replier.suggest(read_turns(message)).replies)
        for name in (kind, "in all"):
            counts.setdefault((right, name), Counter())[("silent", "spoken")[spoken]] += 1
    return [
        {
            "right is": right,
            "kind": kind,
            "messages": count.total(),
            "spoken": count["spoken"],
            "spoken %": round(100 * count["spoken"] / count.total(), 1),
        }
        for (right, kind), count in sorted(
            counts.items(), key=lambda item: (item[0][0], item[0][1] != "in all", item[0][1])
        )
    ]


def harm(replier: Replier) -> list[dict[str, Any]]:
    """Count what was written of the replies that are shown to messages of our own."""
    lines = (HARM / "verdicts.tsv").read_text(encoding="utf-8").splitlines()
    verdicts: dict[tuple[str, str], str] = {}
    for line in lines:
        message, reply, verdict = line.split("\t")
        verdicts[message, reply] = verdict
    rows = []
    for name in SETS:
        messages = read_sections(HARM / f"{name}.txt")
        sections = [*dict.fromkeys(message.section for message in messages), "in all"]
        for section in sections:
            chosen = [
                message.text for message in messages if section in (message.section, "in all")
            ]
            rows.append({"messages": name, "kind": section, **_harmed(replier, chosen, verdicts)})
    return rows


def _harmed(
    replier: Replier, messages: Sequence[str], verdicts: dict[tuple[str, str], str]
) -> dict[str, Any]:
    """Return the counts of some messages; print each reply that has no verdict."""
    counts: Counter[str] = Counter()
    for message in messages:
        texts = replier.suggest(read_turns(message)).texts
        counts["answered"] += bool(texts)
        for text in texts:
            verdict = verdicts.get((message, text), "not judged")
            counts[verdict] += 1
            if verdict == "not judged":
                print(f"{message}\t{text}\t?")
    shown = counts.total() - counts["answered"]
    shares = {
        f"{verdict} %": round(100 * counts[verdict] / max(1, shown), 1) for verdict in VERDICTS
    }
    return {
        "asked": len(messages),
        "answered": counts["answered"],
        "replies": shown,
        **shares,
        "hurt": counts["hurts"],
        "not judged": counts["not judged"],
    }


def suggestions(
    replier: Replier,
    tested: dict[str, list[Conversation]],
    learned: dict[str, list[Conversation]],
    most: int,
) -> list[dict[str, Any]]:
    rows = []
    for name, conversations in tested.items():
        found = evaluate(
            replier, conversations, max_exchanges=most, baseline_from=learned.get(name)
        )
        times = found.recall_at_3 / max(found.baseline_recall_at_3, 1e-9)
        rows.append(
            {
                "conversations": name,
                "recall@3 by intent %": round(100 * found.recall_at_3, 1),
                "recall@3 of what is offered %": round(100 * found.offered_recall_at_3, 1),
                "its three commonest %": round(100 * found.baseline_recall_at_3, 1),
                "times": round(times, 2),
                "triggered %": round(100 * found.trigger_rate, 1),
                "right of these %": round(100 * found.hit_rate, 1),
                "three intents %": round(100 * found.diversity, 1),
                "answers with an intent": found.known_exchanges,
            }
        )
        curve = {"name": name, "share triggered, share right": found.curve}
        (RESULTS / f"reply_trigger_{name}.json").write_text(json.dumps(curve, indent=1) + "\n")
    return rows


def card(
    replier: Replier, tested: dict[str, list[Conversation]], check: Path
) -> list[dict[str, Any]]:
    """Write the model card, and return the figures by topic on messages of our tests."""
    cases = [
        line.split("\t")
        for line in (ROOT / "tests" / "reply" / "safety_cases.tsv").read_text("utf-8").splitlines()
    ]
    counts: dict[str, Counter[str]] = {}
    for topic, text in cases:
        shown = replier.suggest(text)
        counts.setdefault(topic, Counter())[_spoken_how(replier, shown.replies, shown.reason)] += 1
    topics = [
        {"topic": topic, "messages": count.total(), **{name: count[name] for name in SPOKEN}}
        for topic, count in counts.items()
    ]
    written = _card(replier, topics, _alarms(replier, tested), safety(replier, check), check.stem)
    (ROOT / "docs" / "reply-model-card.md").write_text(written, encoding="utf-8")
    return topics


def _spoken_how(replier: Replier, replies: Sequence[Suggestion], reason: str) -> str:
    """Return how a message was answered: see ``SPOKEN``."""
    if not replies:
        return "not confident" if reason == "not confident" else "silent"
    tones = [replier.bundle.tones[replier.bundle.intents.index(reply.intent)] for reply in replies]
    return "gentle" if max(tones) <= GENTLE else "answered"


def _alarms(replier: Replier, tested: dict[str, list[Conversation]]) -> list[dict[str, Any]]:
    """Count how much of everyday talk is taken to be sensitive."""
    rng = np.random.default_rng(0)
    rows = []
    lines = find("text/clinc_val.tsv", Path()).read_text("utf-8").splitlines()
    talk = {"requests to an assistant (CLINC150)": [line.split("\t")[1] for line in lines]}
    for name, conversations in tested.items():
        talk[f"{name}, test split"] = [text for each in conversations for _, text in each.turns]
    for name, texts in talk.items():
        chosen = [texts[number] for number in rng.permutation(len(texts))[:ALARMS]]
        reasons = Counter(replier.suggest(text).reason.split(":")[0] for text in chosen)
        shares = {
            reason: round(100 * reasons[reason] / len(chosen), 1)
            for reason in ("sensitive", "not confident", "")
        }
        rows.append(
            {
                "talk": name,
                "messages": len(chosen),
                "called sensitive %": shares["sensitive"],
                "not confident %": shares["not confident"],
                "answered %": shares[""],
            }
        )
    return rows


def _card(
    replier: Replier,
    topics: Sequence[dict[str, Any]],
    alarms: Sequence[dict[str, Any]],
    check: Sequence[dict[str, Any]],
    name: str,
) -> str:
    """Return the model card as Markdown."""
    bundle = replier.bundle
    columns = ("probability, from", "to", "messages", "mean probability", "one of three fits")
    ranges = bundle.card["training"].get("reliability", [])
    reliability = [
        dict(zip(columns, (round(value, 2) for value in row), strict=True)) for row in ranges
    ]
    return CARD.format(
        topics=table(topics),
        alarms=table(alarms),
        check=table(check),
        name=name,
        reliability=table(reliability),
        silent=bundle.detector.silent,
        wary=bundle.detector.wary,
        doubtful=bundle.detector.doubtful,
        threshold=bundle.trigger.threshold,
        caution=f"{bundle.trigger.caution:g}",
        languages=bundle.card.get("language", ""),
        data=bundle.card.get("data", ""),
        licence=bundle.card.get("licence", ""),
        names=", ".join(topic for topic in bundle.detector.topics if topic != "harmless"),
    )


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    if not rows:
        return "(nothing)"
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def samples(replier: Replier) -> list[dict[str, Any]]:
    path = find("text/smartreply_samples.tsv", Path())
    lines = [
        line.rstrip("\n").split("\t") for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assets = Path(sys.modules["handheld.reply"].__file__ or "").parent / "assets"
    names = replier.bundle.intents
    texts = read_situations(assets / "situations.txt", names, 10**6).texts
    situations = [frozenset(canonical(text).split()) for text in texts]
    rows = []
    for message, *theirs in lines:
        shown = replier.suggest(message)
        rows.append(
            {
                "message": message,
                "ours": " / ".join(shown.texts) or f"({shown.reason})",
                "released model": " / ".join(theirs),
                "confidence": round(shown.confidence, 2),
                "words of a situation %": round(100 * _overlap(message, situations)),
            }
        )
    silent = [row["message"] for row in rows if row["ours"].startswith("(")]
    overlaps = [row["words of a situation %"] for row in rows]
    print(f"{len(rows)} messages, {len(rows) - len(silent)} triggered; silent: {silent}")
    for share in (100, 75, 60, 50):
        print(
            f"a situation of at least {share} % the same words: "
            f"{sum(each >= share for each in overlaps)}"
        )
    return rows


def _overlap(message: str, situations: Sequence[frozenset[str]]) -> float:
    """Return the largest share of words that a message has in common with a situation: shared over
    all of both.
    """
    words = frozenset(canonical(message).split())
    return max(len(words & other) / max(1, len(words | other)) for other in situations)


def personal(replier: Replier, tested: dict[str, list[Conversation]]) -> list[dict[str, Any]]:
    """Each held-out person's first answers are learned; the later ones, and those of others, are
    ranked before and after.
    """
    everything = [each for each in exchanges_of(tested["chitchat"]) if len(each.speaker) > 1]
    counts = Counter(each.speaker for each in everything)
    rng = np.random.default_rng(0)
    places: dict[str, list[int]] = {
        name: [] for name in ("own, before", "own, after", "others', before", "others', after")
    }
    people = [person for person, count in counts.most_common() if count >= LEARNED + LATER]
    for person in people:
        own = [each for each in everything if each.speaker == person]
        adapted = Replier(replier.bundle)
        for exchange in own[:LEARNED]:
            adapted.learn(exchange.messages, exchange.answer)
        strangers = [each for each in everything if each.speaker != person]
        for whose, asked in (
            ("own", _some(own[LEARNED:], rng)),
            ("others'", _some(strangers, rng)),
        ):
            for exchange in asked:
                wrong = [
                    each.answer for each in _some(everything, rng, 400) if _else(each, exchange)
                ][:99]
                for when, judged in (("before", replier), ("after", adapted)):
                    scores = judged.rank(exchange.messages, [exchange.answer, *wrong])
                    places[f"{whose}, {when}"].append(rank_of(scores))
    return [
        {
            "messages": name,
            "people": len(people),
            "MRR": round(found.mrr, 3),
            "R@1 %": round(100 * found.recall_at_1, 1),
            "answers": found.messages,
        }
        for name, found in ((name, RankingMetrics.of(each)) for name, each in places.items())
    ]


def _some(
    exchanges: Sequence[Exchange], rng: np.random.Generator, count: int = LATER
) -> list[Exchange]:
    return [exchanges[number] for number in rng.permutation(len(exchanges))[:count]]


def _else(other: Exchange, exchange: Exchange) -> bool:
    return (
        other.speaker != exchange.speaker
        and other.conversation != exchange.conversation
        and other.answer != exchange.answer
    )


def cost(bundle: Path | None, tested: dict[str, list[Conversation]]) -> list[dict[str, Any]]:
    """Measure one core: the samples, each again and again, and messages of conversations, each
    once.
    """
    path = find("text/smartreply_samples.tsv", Path())
    shipped = (
        Path(sys.modules["handheld.reply"].__file__ or "").parent / "assets" / "english.replies"
    )
    everything = [
        text for each in tested.values() for conversation in each for _, text in conversation.turns
    ]
    chosen = np.random.default_rng(0).permutation(len(everything))[:NEW]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as said:
        said.write("\n".join(" ".join(everything[number].split()) for number in chosen) + "\n")
        said.flush()
        words = [sys.executable, "-c", COST, str(bundle or shipped), str(path), said.name]
        alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        runs = [
            json.loads(
                subprocess.run(words, capture_output=True, text=True, check=True, env=alone).stdout
            )
            for _ in range(5)
        ]
    median = {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
    return [{"bundle bytes": (bundle or shipped).stat().st_size, **median}]


if __name__ == "__main__":
    main()

"""Writes ``docs/hands-results.md`` of what the other benchmarks of hand models left in
``results/``.

python benchmarks/hands_results.py
"""

import json
from typing import NamedTuple

from _report import RESULTS

PAGE = RESULTS.parents[1] / "docs" / "hands-results.md"


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        title: of it.
        result: stem of the file in ``results/``.
        command: that made it.
        words: what to know of the table.
    """

    title: str
    result: str
    command: str
    words: str


START = """\
# How good the hand models are

The packs that ship, `handheld`, the default, and `handheld-lite`, beside MediaPipe's. Each table
names the command that makes it; the page is put together by `python benchmarks/hands_results.py`.
Errors are in palm lengths, from wrist to middle knuckle. What is measured on photos with labels of
a teacher (MediaPipe's full model) is agreement with that teacher, and its own figure there says how
far it agrees with itself when a crop moves a little.
How the models were made: [train hand models](train-hand-models.md). Milliseconds are of a machine
with other work on it: compare them within a table.
"""

SECTIONS = (
    Section(
        "Errors of the keypoints",
        "hands_models_errors",
        "python benchmarks/hands_models.py --labels work/hands/labels.jsonl",
        "Crops as tracking makes them. Rendered hands (people nobody was trained on) have exact "
        "labels, by side of the hand and by how bright the skin is in the picture; photos of "
        "the test split, by set, size in the picture and side, have the teacher's. "
        "`grocery_held` is hands that hold cartons, in no training; there the teacher itself is "
        "often wrong.",
    ),
    Section(
        "Hands found in whole photos",
        "hands_models_found",
        "python benchmarks/hands_models.py --labels work/hands/labels.jsonl",
        "Of the hands that the teacher labelled in the test split (looking around known boxes too, "
        "which no tracker knows) how many `HandTracker.detect` finds, at most two in a photo: in "
        "several views, its default, and in one look at the whole photo, as MediaPipe's own. "
        "Counted is a hand whose keypoints are within half a palm length on average. Then rendered "
        "fists, and hands whose fingers interlace: how many are found, and in how many pictures "
        "both.",
    ),
    Section(
        "Size, time, and tips that were set by hand",
        "hands_models_costs",
        "python benchmarks/hands_models.py --labels work/hands/labels.jsonl",
        "CPU milliseconds of one run on one thread of LiteRT, the fastest of 200. Tips of thumb "
        "and index finger on photos of ti1k (the backs of hands, seen from above), its sessions "
        "in the validation and test splits: share of hands found in the whole photo, and the "
        "median error. Then pictures of the test split in which there is no hand, as they are and "
        "from twice and four times as far: in how many a hand is seen.",
    ),
    Section(
        "Is there a hand?",
        "hands_models_presence",
        "python benchmarks/hands_models.py --labels work/hands/labels.jsonl",
        "The landmark network's answer on crops of the test split as tracking cuts them: with a "
        "hand, and without one or with less than two fifths of one (beside hands, and anywhere in "
        "pictures without). Right is what is on the right side of the score that the pack needs to "
        "take up a new hand; one that is followed already may fall to half.",
    ),
    Section(
        "On the clips",
        "hands_packs",
        "python benchmarks/hands_packs.py",
        "Fifteen clips of sign language, two hands allowed, smoothing off. A hand is lost when "
        "its id ends before the clip; the table names the clips on which that happens more "
        "often than with MediaPipe's full models. Jitter is the distance of keypoints from "
        "their own straight line in seconds in which a hand rests by all packs' answers. How "
        "many hands a pack sees says little alone: two columns say how many of those that "
        "MediaPipe's full models see it sees too, and how many where those see none, which may be "
        "hands that they miss or what is no hand.",
    ),
    Section(
        "Gestures",
        "hands_gestures",
        "python benchmarks/hands_gestures.py",
        "`american` and `signs` are tables of rules, `learned` the network that ships. Digits are "
        "photos of the test split's people; rendered hands are seen from any side, a third of them "
        "so small, dark or edge-on that they are not found, which counts as not named. Hands that "
        "show none are between two gestures, at rest, grasping, or bent at random. On the clips of "
        "sign language it is counted what is reported, and on hands of which a finger is outside "
        "the picture or in doubt.",
    ),
    Section(
        "What gestures are taken for",
        "hands_gestures_confusions",
        "python benchmarks/hands_gestures.py",
        "The same hands, by what they show.",
    ),
    Section(
        "Motions",
        "hands_motion",
        "python benchmarks/hands_motion.py",
        "Plans of motion with a person's hand, rendered and tracked at 25 frames a second, or made "
        "as keypoints with errors at 12 to 60 frames a second of which up to a tenth fail. A "
        "motion counts as told if it is, once and in its time. `reach` and all below it only come "
        "near a motion: whatever is told of them is wrong, as on the clips.",
    ),
    Section(
        "The palm detector: loss, decoder, box",
        "hands_training_palms",
        "python benchmarks/hands_training.py --runs FOLDER",
        "Equal budgets, one seed. The post of 2019 reports 95.7 % with focal loss and a "
        "decoder, 86.22 % with cross-entropy and none, on data of its own.",
    ),
    Section(
        "The landmark network: which hands it learned from",
        "hands_training_landmarks",
        "python benchmarks/hands_training.py --runs FOLDER",
        "A narrow network, equal budgets, three seeds of the learning, one pool of rendered hands "
        "(a part of it drawn by an earlier version), judged on photos with the teacher's labels. "
        "The post reports 16.1 % real only, 25.7 % rendered "
        "only, 13.4 % mixed. Here mixed, with one rendered hand in four, is best too, but by "
        "little: the ranges of the seeds overlap, and the median is better with real hands alone. "
        "With 154 thousand crops instead of 397 it was not best yet (0.197 against 0.195), nor "
        "with one rendered hand in two, in an earlier version.",
    ),
    Section(
        "The same by set of photos",
        "hands_training_sets",
        "python benchmarks/hands_training.py --runs FOLDER",
        "Means of the seeds. Training has no photo of `asl_opencv`, `grocery_held` and `islate`, "
        "of the others those of other people. What rendered hands gain, they gain with cartons "
        "and with two hands that meet, of which photos are few; elsewhere they cost a little.",
    ),
)


def table(name: str) -> str:
    """Return the table of a result, and on what machine it was made."""
    path = RESULTS / f"{name}.md"
    lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith("|")]
    about = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["machine"]
    return "\n".join([*lines, "", f"{about['cpu']}, {about['date']}, commit {about['commit']}."])


def page_part(section: Section) -> str:
    """Return a section as Markdown."""
    lines = (f"## {section.title}", f"`{section.command}`", section.words, table(section.result))
    return "\n\n".join(lines) + "\n"


def main() -> None:
    """Write the page."""
    parts = [START, *(page_part(section) for section in SECTIONS)]
    PAGE.write_text("\n".join(parts), "utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()

"""The networks of hand packs, on crops and photos that no training of ours sees: errors, hands
found, size, time.

    python benchmarks/hands_models.py --labels work/hands/labels.jsonl [--pack NAME_OR_FOLDER ...]

Three kinds of truth, each with its flaw: rendered hands have exact labels but are drawings; photos
of the test split have labels of MediaPipe's full model, so its own figure there is how far it
agrees with itself; tips of thumb and index finger on the photos of ti1k were set by hand (its
sessions in the validation and test splits).
"""

import argparse
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _report import show, write
from numpy.typing import NDArray

from handheld.engine import Model
from handheld.hands import HandResult, HandTracker, load_pack
from handheld.hands.packs import PACK_NAMES
from handheld.hands.result import palm_size
from handheld.hands.training.examples.crops import CropExample, Jitter, tracking_region
from handheld.hands.training.examples.labelling import Teacher, read_labels
from handheld.hands.training.examples.mistakes import FARTHER, from_afar
from handheld.hands.training.examples.mixture import fixed_examples, whole_square
from handheld.hands.training.examples.photo_hands import read_photo_hands
from handheld.hands.training.examples.photos import (
    empty_pictures,
    load_pixels,
    read_photos,
    split_of,
)
from handheld.hands.training.examples.pool import from_middles
from handheld.hands.training.gestures.rendered import draw_gesture, photograph
from handheld.hands.training.render.arrangement import TOGETHER
from handheld.hands.training.render.casting import Casting, draw_meeting
from handheld.hands.training.render.people import draw_person
from handheld.hands.training.render.sources import open_sources
from handheld.hands.training.render.studio import CropOptions, Studio, draw_close_centre
from handheld.media import Image, Rect, read_image

DATA = Path(os.environ.get("HANDHELD_DATA", "../shared/data")) / "hands"

UNSEEN = 2_000_000
"""Seed of rendered people that no training draws: theirs are small, and validation's begin at a
million.
"""

RENDERED = 600

INTERLACED = "rendered, interlaced"

EMPTY = 600
"""Crops without a hand, and of hands at most, on which the presence is judged."""

DRAWINGS = 100
"""Rendered pictures of each kind in which hands are looked for."""

SAME = 0.5
"""Palm lengths: a hand whose keypoints are nearer to a labelled one's on average is that hand."""

EDGE = 0.2
"""Area of wrist and two knuckles in the picture, in squared palm lengths, below which a hand is
seen edge-on.
"""


class Case(NamedTuple):
    """A crop to look at, and where its keypoints are.

    Attributes:
        image: (H, W, 3).
        region: where tracking would look.
        keypoints: (21, 2 or 3) pixels.
        groups: that it counts in.
    """

    image: Image
    region: Rect
    keypoints: NDArray[np.floating]
    groups: tuple[str, ...]


def rendered_cases() -> Iterator[Case]:
    """Give rendered hands of people nobody was trained on, by side and by how bright
    the skin is.
    """
    studio = Studio(open_sources(DATA), UNSEEN)
    for index in range(RENDERED):
        picture = studio.crop(index, CropOptions(size=256))
        hand = from_middles(picture.hands[0])
        side = picture.pixels.shape[0]
        assert picture.mask is not None
        skin = picture.pixels[picture.mask == 1]
        light = float(np.median(skin @ (0.299, 0.587, 0.114))) if len(skin) else 0.0
        shade = "dark" if light < 80 else "medium" if light < 140 else "light"
        yield Case(
            picture.pixels,
            Rect(side / 2, side / 2, side, side, 0.0),
            hand.keypoints,
            (
                "rendered",
                f"rendered, {seen_side(hand.keypoints, hand.handedness)}",
                f"rendered, {shade} skin",
            ),
        )


def seen_side(keypoints: NDArray[np.floating], handedness: str | None) -> str:
    """Return which side of a hand the camera sees, by the turn from index to little knuckle around
    the wrist.
    """
    first = keypoints[5, :2] - keypoints[0, :2]
    last = keypoints[17, :2] - keypoints[0, :2]
    turn = (
        float(first[0] * last[1] - first[1] * last[0])
        / float(palm_size(keypoints.astype(np.float32))) ** 2
    )
    if abs(turn) < EDGE:
        return "edge-on"
    return "palm" if (turn < 0) == (handedness == "Right") else "back"


def photo_cases(labels: Path) -> Iterator[Case]:
    """Give the hands of the test split's photos, by set, size in the picture and side; cropped a
    little off.
    """
    labelled = read_labels(labels)
    random = np.random.default_rng(0)
    for photo in read_photos(DATA / "photos"):
        if photo.split != "test":
            continue
        image = load_pixels(photo)
        for hand in labelled.get(photo.name, []):
            if hand.disagreement > 0.12:
                continue
            palm = float(palm_size(hand.keypoints))
            size = "small" if palm < 25 else "medium" if palm < 80 else "large"
            yield Case(
                image,
                Jitter().applied(tracking_region(hand.keypoints), random),
                hand.keypoints,
                (
                    "photos",
                    f"photos, {photo.name.partition('/')[0]}",
                    f"photos, {size} hands",
                    f"photos, {seen_side(hand.keypoints, hand.handedness)}",
                ),
            )


def errors_of(pack: str, cases: list[Case]) -> dict[str, list[float]]:
    """Return the mean error of each hand in palm lengths, by group."""
    errors: dict[str, list[float]] = defaultdict(list)
    with Teacher(load_pack(pack)) as network:
        for case in cases:
            answer = network.look(case.image, case.region).keypoints[:, :2]
            palm = float(palm_size(case.keypoints.astype(np.float32)))
            error = float(np.nanmean(np.linalg.norm(answer - case.keypoints[:, :2], axis=1))) / palm
            for group in case.groups:
                errors[group].append(error)
    return errors


def tips_of(pack: str) -> dict[str, object]:
    """Return how many hands of ti1k's held-out photos are found, and the median errors of two tips
    set by hand.
    """
    apart: list[NDArray[np.floating]] = []
    photos = [
        photo
        for photo in read_photos(DATA / "photos")
        if photo.tips is not None and photo.split != "train"
    ]
    with HandTracker(pack=pack, max_hands=1) as tracker:
        for photo in photos:
            image = load_pixels(photo)
            assert photo.tips is not None
            true = photo.tips * (image.shape[1], image.shape[0]) - 0.5
            for hand in tracker.detect(image):
                assert hand.landmarks is not None
                off = np.linalg.norm(hand.landmarks[[4, 8], :2] - true, axis=1)
                apart.append(off / palm_size(hand.landmarks))
    thumb, index = np.median(apart, axis=0)
    return {
        "ti1k photos": len(photos),
        "found": f"{len(apart) / len(photos):.1%}",
        "thumb tip": f"{thumb:.3f}",
        "index tip": f"{index:.3f}",
    }


class Shown(NamedTuple):
    """A whole photo, and the hands that are to be found in it.

    Attributes:
        load: returns its pixels.
        hands: (21, 2 or 3) pixels each.
    """

    load: Callable[[], Image]
    hands: list[NDArray[np.floating]]


def shown_in_photos(labels: Path) -> dict[str, list[Shown]]:
    """Return the test split's photos that hold hands, with the teacher's, by set."""
    labelled = read_labels(labels)
    photos: dict[str, list[Shown]] = defaultdict(list)
    for photo in read_photos(DATA / "photos"):
        hands = [hand.keypoints for hand in labelled.get(photo.name, [])]
        if photo.split == "test" and hands:
            photos[photo.name.partition("/")[0]].append(Shown(partial(load_pixels, photo), hands))
    return photos


def shown_in_drawings() -> dict[str, list[Shown]]:
    """Return rendered fists, and rendered hands of which the fingers interlace, of people nobody
    was trained on.
    """
    sources = open_sources(DATA)
    random = np.random.default_rng(UNSEEN)
    shown: dict[str, list[Shown]] = defaultdict(list)
    for number in range(DRAWINGS):
        person = draw_person(sources, str(number), random)
        casting = Casting(person, sources, draw_close_centre)
        for name, hands in (
            ("rendered fists", [draw_gesture(person, "closed fist", random).hand]),
            (INTERLACED, draw_meeting(casting, TOGETHER["interlaced"], random)),
        ):
            picture = photograph(hands, sources, random)
            labels = [from_middles(hand).keypoints for hand in picture.hands]
            shown[name].append(Shown(partial(np.asarray, picture.pixels), labels))
    return shown


def found_of(pack: str, photos: Sequence[Shown], *, closer: bool) -> list[list[bool]]:
    """Return which hands of which whole photo are found."""
    found = []
    with HandTracker(pack=pack, max_hands=2, look_closer=closer) as tracker:
        for photo in photos:
            seen = tracker.detect(photo.load())
            found.append([any(_is_same(answer, hand) for answer in seen) for hand in photo.hands])
    return found


def _is_same(answer: HandResult, hand: NDArray[np.floating]) -> bool:
    assert answer.landmarks is not None
    apart = np.linalg.norm(answer.landmarks[:, :2] - hand[:, :2], axis=1).mean()
    return bool(apart < SAME * palm_size(hand.astype(np.float32)))


def found_rows(packs: Sequence[str], labels: Path) -> list[dict[str, object]]:
    """Return a row for each set of the test split, and for rendered ones."""
    rows: list[dict[str, object]] = []
    shown = dict(sorted(shown_in_photos(labels).items())) | shown_in_drawings()
    for name, photos in shown.items():
        found: dict[str, list[list[bool]]] = {}
        for pack in packs:
            found[Path(pack).name] = found_of(pack, photos, closer=True)
            found[f"{Path(pack).name}, one look"] = found_of(pack, photos, closer=False)
        hands = {column: sum(map(sum, seen)) for column, seen in found.items()}
        rows.append({"set": name, "hands": sum(len(photo.hands) for photo in photos), **hands})
        if name == INTERLACED:
            both = {column: sum(map(all, seen)) for column, seen in found.items()}
            rows.append({"set": f"{name}: both hands", "hands": len(photos), **both})
    return rows


def false_hands_of(pack: str) -> dict[str, object]:
    """Return the share of the test split's pictures without hands in which hands are seen, as they
    are and from afar.
    """
    pictures = [
        path
        for path in empty_pictures(DATA)
        if split_of(path.relative_to(DATA).as_posix()) == "test"
    ]
    seen: dict[int, int] = Counter()
    with HandTracker(pack=pack, max_hands=2) as tracker:
        for path in pictures:
            image = read_image(path)
            for times in (1, *FARTHER):
                seen[times] += bool(tracker.detect(from_afar(image, times)[0]))
    return {
        "pictures without": len(pictures),
        **{f"false at {times}x": f"{seen[times] / len(pictures):.1%}" for times in seen},
    }


def presence_of(pack: str, crops: Sequence[CropExample]) -> dict[str, object]:
    """Return in how many crops of hands, and in how many of none, the presence is on the right
    side of what the pack needs of a new hand.
    """
    files = load_pack(pack)
    right: dict[float, list[bool]] = defaultdict(list)
    with Teacher(files) as network:
        for crop in crops:
            presence = network.look(crop.pixels, whole_square(crop.pixels)).presence
            is_seen = presence >= files.new_hand_score
            right[crop.presence].append(is_seen == (crop.presence == 1))
    return {
        "presence needed": files.new_hand_score,
        "crops of hands": len(right[1.0]),
        "of these above": f"{np.mean(right[1.0]):.1%}",
        "crops of none": len(right[0.0]),
        "of these below": f"{np.mean(right[0.0]):.1%}",
    }


def presence_crops(labels: Path, cache: Path) -> list[CropExample]:
    """Return crops of the test split as tracking cuts them, with and without a hand."""
    photos = read_photo_hands(DATA, labels, cache)
    # As large as the largest network's pictures.
    return fixed_examples(photos, "test", 224, limit=EMPTY, empty=EMPTY)


def cost_of(pack: str) -> dict[str, object]:
    """Return the size of the two files, and the CPU milliseconds of a run on one thread, the
    fastest of 200.
    """
    files = load_pack(pack)
    row: dict[str, object] = {}
    for name, path, opened in (
        ("palm", files.palm, files.open_palm()),
        ("landmark", files.landmark, files.open_landmark()),
    ):
        with opened as model:
            row[f"{name} MB"] = f"{path.stat().st_size / 1e6:.2f}"
            row[f"{name} ms"] = f"{1000 * fastest(model):.2f}"
    return row


def fastest(model: Model) -> float:
    """Return the least CPU seconds of a run."""
    random = np.random.default_rng(0)
    shown = random.random(model.inputs[0].shape, np.float32)
    seconds = []
    for _ in range(200):
        start = time.process_time()
        model.run(shown)
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    """Judge every pack on the same crops."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--labels", type=Path, required=True, help="of handheld hands pseudo-label")
    parser.add_argument(
        "--cache", type=Path, default=Path("work/hands/cache"), help="for decoded photos"
    )
    parser.add_argument("--pack", action="append", help="default: ours and MediaPipe's, two each")
    options = parser.parse_args()
    packs = options.pack or list(PACK_NAMES)
    cases = [*rendered_cases(), *photo_cases(options.labels)]
    errors = {pack: errors_of(pack, cases) for pack in packs}
    groups = sorted(errors[packs[0]])
    rows = [
        {
            "hands": group,
            "count": len(errors[packs[0]][group]),
            **{Path(pack).name: f"{np.mean(errors[pack][group]):.3f}" for pack in packs},
        }
        for group in groups
    ]
    show("Mean error of the keypoints, palm lengths", rows)
    write("hands_models_errors", rows)
    found = found_rows(packs, options.labels)
    show("Hands found in whole photos", found)
    write("hands_models_found", found)
    costs = [
        {"pack": Path(pack).name, **cost_of(pack), **tips_of(pack), **false_hands_of(pack)}
        for pack in packs
    ]
    show("Size, CPU time on one thread, and tips that were set by hand", costs)
    write("hands_models_costs", costs)
    crops = presence_crops(options.labels, options.cache)
    presences = [{"pack": Path(pack).name, **presence_of(pack, crops)} for pack in packs]
    show("Presence on crops with and without a hand", presences)
    write("hands_models_presence", presences)


if __name__ == "__main__":
    main()

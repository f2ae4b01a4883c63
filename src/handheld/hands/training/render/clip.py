"""Render the clip that ships with the package, and its truth.

``python -m handheld.hands.training.render.clip --mesh FOLDER --backgrounds FOLDER --out demo.mp4``
writes ``demo.mp4`` and, beside it, ``demo.truth.json``: {width, height, frames_per_second,
convention, frames: [{t_us, hands: [{handedness, keypoints: 21 of [x, y, z], visible: 21 of 0 or
1}]}]}. x and y are pixels with the first pixel's centre at 0.5; z is the depth behind the wrist, in
pixels at the wrist's scale, less being nearer to the camera. Handedness is the person's own. A hand
is listed in every frame: where it has left the picture, nothing of it is visible. The keypoints
follow MediaPipe's convention (see ``convention``).
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from handheld.files import atomic_path
from handheld.hands.training.render.camera import Camera, Rendering, render
from handheld.hands.training.render.choreography import SECONDS, hand_at
from handheld.hands.training.render.convention import FLESH, Keypoints, keypoints_of
from handheld.hands.training.render.mesh import load_mesh, load_skin, mirrored, shaped
from handheld.hands.training.render.rig import Rig, posed, rig_of
from handheld.hands.training.render.shade import Body, Light, Picture
from handheld.hands.training.render.skinning import Doubles, skin
from handheld.media import VideoWriter, read_image

FRAMES_PER_SECOND = 25
CAMERA = Camera(focal=560.0)
# Nobody's people in particular: a third of each.
_PERSON = {f"macro/{people}-male-young": 1 / 3 for people in ("african", "asian", "caucasian")}
_SKIN = "young_lightskinned_male"
_BACKGROUND = "hdri_apartment_09.jpg"
# What a camera adds: noise in levels, and blurs in pixels; without them the clip looks drawn.
_GRAIN = 1.2
_BLUR = 0.6
_BACKGROUND_BLUR = 4

_FRAMES = round(SECONDS * FRAMES_PER_SECOND)


@dataclass(frozen=True)
class Actor:
    """One hand of the clip: its rig, where its keypoints sit, its skin, and the
    phases of its sway (6,).
    """

    rig: Rig
    keypoints: Keypoints
    skin: Picture
    sway: Doubles

    def at(self, seconds: float) -> tuple[Body, Doubles]:
        """Pose the hand: what to draw, and its keypoints (21, 3) in the camera's metres."""
        mesh = self.rig.mesh
        pose, placement = hand_at(mesh.handedness, seconds, self.sway)
        transforms = posed(self.rig, pose)
        vertices = skin(mesh, transforms).astype(np.float64)
        placed = placement.apply(self.rig, vertices)
        points = placement.apply(self.rig, self.keypoints.posed(transforms))
        return Body(mesh, placed.astype(np.float32), self.skin), points


def actors(folder: Path, random: np.random.Generator) -> list[Actor]:
    """Read the mesh and make the two hands of one person."""
    right = shaped(load_mesh(folder), _PERSON)
    picture = load_skin(folder, _SKIN)
    hands = []
    for rig in (rig_of(right), rig_of(mirrored(right))):
        # Phases of their own: hands that sway together look like one thing.
        sway = random.uniform(0, 2 * np.pi, 6)
        hands.append(Actor(rig, keypoints_of(rig), picture, sway))
    return hands


def frames(
    cast: Sequence[Actor], background: Picture, random: np.random.Generator
) -> Iterator[tuple[Picture, dict[str, Any]]]:
    """Render each frame (480, 640, 3) with its truth."""
    for index in range(_FRAMES):
        rendering, hands = _rendered(cast, index / FRAMES_PER_SECOND)
        picture = _photographed(rendering.over(background), random)
        moment = round(index * 1e6 / FRAMES_PER_SECOND)
        yield picture, {"t_us": moment, "hands": hands}


def _rendered(cast: Sequence[Actor], seconds: float) -> tuple[Rendering, list[dict[str, Any]]]:
    """Return what the camera sees at a time, and the truth of each hand."""
    bodies = []
    keypoints = []
    for actor in cast:
        body, points = actor.at(seconds)
        bodies.append(body)
        keypoints.append(points)
    # All bodies at once: each hides what is behind it of the others.
    rendering = render(bodies, CAMERA, Light())
    hands = []
    for actor, points in zip(cast, keypoints, strict=True):
        hands.append(_truth(actor.rig, points, rendering))
    return rendering, hands


def _photographed(picture: Picture, random: np.random.Generator) -> Picture:
    """Return a picture a little out of focus, and with grain."""
    blurred = cv2.GaussianBlur(picture, (0, 0), _BLUR)
    # The same for all three colours: less for the codec to keep.
    grain = random.normal(0, _GRAIN, (*blurred.shape[:2], 1))
    noisy: Picture = np.clip(blurred + grain, 0, 255).astype(np.uint8)
    return noisy


def _truth(rig: Rig, points: Doubles, rendering: Rendering) -> dict[str, Any]:
    flat = CAMERA.project(points.astype(np.float32))
    depth = points[:, 2:]
    wrist = points[0, 2]
    # In pixels, as x and y are: at the wrist's distance, from which z counts.
    behind = (depth - wrist) * CAMERA.focal / wrist
    keypoints = np.concatenate([flat.astype(np.float64), behind], axis=1)
    flesh = rig.size * FLESH
    visible = rendering.visible(flat, depth[:, 0].astype(np.float32), flesh)
    return {
        "handedness": rig.mesh.handedness,
        "keypoints": keypoints.round(1).tolist(),
        "visible": visible.astype(int).tolist(),
    }


def load_background(folder: Path) -> Picture:
    """Read the room behind the hands, cut to 4:3, out of focus as a camera near the hands would see
    it.

    Raises:
        MediaError: the picture is missing.
    """
    small = read_image(folder / _BACKGROUND)
    height, width = small.shape[:2]
    rows = width * CAMERA.height // CAMERA.width
    # The middle: floor and ceiling are what a room can do without.
    top = (height - rows) // 2
    size = (CAMERA.width, CAMERA.height)
    large = cv2.resize(small[top : top + rows], size, interpolation=cv2.INTER_CUBIC)
    blurred: Picture = cv2.GaussianBlur(large, (0, 0), _BACKGROUND_BLUR).astype(np.uint8)
    return blurred


def write_clip(out: Path, mesh: Path, backgrounds: Path, seed: int = 0) -> None:
    """Render the clip to ``out`` and its truth beside it; the same seed gives the same frames."""
    random = np.random.default_rng(seed)
    cast = actors(mesh, random)
    background = load_background(backgrounds)
    rendered = frames(cast, background, random)
    truth: list[dict[str, Any]] = []
    # Better than VideoWriter's default of 23: trackers are tried on this clip.
    with VideoWriter(out, fps=FRAMES_PER_SECOND, quality=18) as writer:
        for picture, entry in track(rendered, "Rendering", _FRAMES):
            writer.write(picture, entry["t_us"])
            truth.append(entry)
    _write_truth(out.with_suffix(".truth.json"), truth)


def _write_truth(path: Path, frames: list[dict[str, Any]]) -> None:
    truth = {
        "width": CAMERA.width,
        "height": CAMERA.height,
        "frames_per_second": FRAMES_PER_SECOND,
        "convention": "mediapipe",
        "frames": frames,
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(truth, separators=(",", ":")) + "\n")


def main() -> None:
    """Read the arguments and write the clip."""
    arguments = _parser().parse_args()
    write_clip(arguments.out, arguments.mesh, arguments.backgrounds, arguments.seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Render the demo clip of two hands and its truth.")
    meshes = "folder of mh_arm.npz, mh_arm.json and skin_*.jpg"
    parser.add_argument("--mesh", type=Path, required=True, help=meshes)
    parser.add_argument("--backgrounds", type=Path, required=True, help=f"folder of {_BACKGROUND}")
    clip = "the clip, .mp4; its truth goes beside it"
    parser.add_argument("--out", type=Path, required=True, help=clip)
    parser.add_argument("--seed", type=int, default=0, help="of sway and grain (default: 0)")
    return parser


if __name__ == "__main__":
    main()

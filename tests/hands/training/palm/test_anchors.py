import numpy as np
import pytest
import torch

from handheld.hands.palm import anchor_centres, decode_palms
from handheld.hands.training.examples.canvas import PalmScene
from handheld.hands.training.palm.anchors import AnchorGrid
from handheld.hands.training.palm.network import DeployedPalms, PalmNetwork, PalmOutput, PalmShape
from handheld.media import Rect

SHAPE = PalmShape(widths=(4, 4, 4, 4, 4), depths=(0, 0, 0, 0, 0), pyramid=4)
GRID = AnchorGrid(SHAPE)


def scene(*boxes, ignored=(), complete=True):
    """Palms (x, y, side) in pixels of 192, with keypoints at their corners and middles."""
    rows = np.array([(x, y, side, side) for x, y, side in boxes], np.float32).reshape(-1, 4) / 192
    spread = np.linspace(-0.5, 0.5, 14, dtype=np.float32).reshape(7, 2)
    keypoints = rows[:, None, :2] + spread * rows[:, None, 2:]
    left_out = (
        np.array([(x, y, side, side) for x, y, side in ignored], np.float32).reshape(-1, 4) / 192
    )
    return PalmScene(np.zeros((192, 192, 3), np.uint8), rows, keypoints, left_out, complete)


@pytest.mark.parametrize("side", [4, 8, 20, 32, 38, 45, 70, 80, 100, 150])
def test_palms_of_every_size_have_anchors_wherever_they_are(side):
    rng = np.random.default_rng(side)
    for x, y in rng.uniform(20, 172, (50, 2)):
        assert (GRID.targets(scene((x, y, side))).labels == 1).any()


def test_what_an_anchor_is_taught_is_what_the_tracker_decodes():
    """Targets, through the deployed network's scaling and the tracker's decoder, are the boxes they
    came from.
    """
    there = scene((60, 90, 20), (130, 70, 90))
    targets = GRID.targets(there)

    class Taught(torch.nn.Module):
        shape = SHAPE

        def forward(self, pictures):
            logits = torch.from_numpy(np.where(targets.labels == 1, 5.0, -5.0).astype(np.float32))
            return PalmOutput(torch.from_numpy(targets.values)[None], logits[None])

    output = DeployedPalms(Taught())(torch.zeros(1, 3, 192, 192))
    geometry = SHAPE.geometry
    palms = decode_palms(
        output["boxes"][0].numpy(),
        output["scores"][0, :, 0].numpy(),
        anchor_centres(geometry),
        Rect(96, 96, 192, 192, 0.0),
        geometry,
    )
    assert len(palms) == (targets.labels == 1).sum()
    for palm in palms:
        nearest = int(np.argmin(np.abs(there.boxes[:, 0] * 192 - palm.rect.x)))
        expected = there.boxes[nearest] * 192
        assert (palm.rect.x, palm.rect.y, palm.rect.width, palm.rect.height) == pytest.approx(
            tuple(expected), abs=1e-3
        )
        assert palm.keypoints == pytest.approx(there.keypoints[nearest] * 192, abs=1e-3)


def test_two_palms_share_no_anchor():
    targets = GRID.targets(scene((60, 90, 40), (84, 90, 40)))
    answered = targets.values[targets.labels == 1][:, 0] * GRID.strides[targets.labels == 1]
    centres = answered + GRID.centres[targets.labels == 1][:, 0]
    assert set(np.round(centres).astype(int)) == {60, 84}


def test_nothing_is_taught_in_ignored_boxes_and_far_from_the_hands_of_an_incomplete_picture():
    labels = GRID.targets(scene(ignored=[(96, 96, 60)])).labels
    inside = (np.abs(GRID.centres - 96) < 30).all(axis=1)
    assert (labels[inside] == -1).all()
    assert (labels[(np.abs(GRID.centres - 96) > 32).any(axis=1)] == 0).all()
    incomplete = GRID.targets(scene((40, 40, 30), complete=False)).labels
    assert (incomplete == 1).any()
    assert (incomplete == 0).any()
    assert (incomplete[(GRID.centres > 120).any(axis=1)] == -1).all()


def test_the_anchors_are_those_of_the_output():
    network = PalmNetwork(SHAPE)
    output = network(torch.zeros(2, 3, 192, 192))
    assert output.values.shape == (2, SHAPE.geometry.anchors, 18)
    assert output.logits.shape == (2, len(GRID.centres))
    # The rows of a grid one after the other: a picture bright at its lower left excites a late,
    # early-in-row anchor.
    assert GRID.centres[1].tolist() == [12, 4]

"""What is done on a device, what travels, and what is done on arrival."""

from dataclasses import dataclass

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg
from handheld.federated.learning.subspaces import LowRank, RandomMask
from handheld.federated.stages import (
    AdaptiveClip,
    Clip,
    Compressed,
    LocalNoise,
    PlainStage,
    StageChain,
    StageSeeds,
    Structured,
    Update,
    Upload,
    WholeNumbers,
)
from handheld.federated.updates import Coded, Eden, Largest, Stochastic, Subsample

SHAPES = ((20, 6), (8,))
COUNT = 128
SEEDS = StageSeeds(1, 2, 3)


@dataclass(frozen=True)
class Noted(PlainStage):
    """Notes that an update passed."""

    notes: list

    def after(self, facts, memory):
        return facts

    def on_update(self, update, facts, memory, seeds):
        self.notes.append(len(self.notes))
        return update


def change(seed=0):
    return np.random.default_rng(seed).normal(size=COUNT).astype(np.float32)


class Way:
    def __init__(self, *stages):
        self.chain = StageChain(stages, FedAvg(), SHAPES, equal=True)
        self.memory = self.chain.start()
        self.facts = self.chain.facts(self.memory)

    def sent(self, values, seeds=SEEDS):
        return self.chain.on_device(Update.of(values), self.facts, self.memory, seeds)

    def arrived(self, upload, seeds=SEEDS):
        return self.chain.on_arrival(upload, self.facts, self.memory, seeds).values


def test_an_update_travels_as_its_bytes_where_nothing_encodes_it():
    upload = Way().sent(change())
    assert bytes(upload.content) == change().astype("<f4").tobytes()
    assert upload.size == 4 * COUNT
    assert Way().arrived(upload).tolist() == change().tolist()


@pytest.mark.parametrize(
    "stage",
    [
        Compressed(Eden(2)),
        Compressed(Stochastic(4)),
        Compressed(Subsample(0.25)),
        Compressed(Largest(0.25)),
        Compressed(Coded(Stochastic(4))),
        Structured(RandomMask(0.5)),
        Structured(LowRank(1), Eden(4)),
    ],
    ids=str,
)
def test_bytes_are_all_that_the_server_needs(stage):
    way = Way(stage)
    upload = way.sent(change())
    assert isinstance(upload.content, bytes)
    assert upload.size == len(upload.content)
    arrived = way.arrived(Upload(bytes(upload.content), 0))
    # The same as if the update had not left the device.
    assert arrived.tolist() == way.arrived(upload).tolist()
    assert np.linalg.norm(arrived - change()) < 3 * np.linalg.norm(change())


def test_the_server_decodes_by_the_shared_seed_and_not_by_the_private_one():
    way = Way(Compressed(Eden(2)))
    device = StageSeeds(1, 99, 3, encoding=7)
    server = StageSeeds(1, 12345, 3, encoding=7)
    other = StageSeeds(1, 99, 3, encoding=8)
    upload = way.sent(change(), device)
    right = way.arrived(upload, device)
    assert way.arrived(upload, server).tolist() == right.tolist()
    assert way.arrived(upload, other).tolist() != right.tolist()


def test_stages_after_the_last_encoder_are_the_servers():
    before, after = [], []
    way = Way(Noted(before), Compressed(Eden(4)), Noted(before), Compressed(Eden(2)), Noted(after))
    upload = way.sent(change())
    assert (len(before), len(after)) == (2, 0)
    way.arrived(upload)
    assert (len(before), len(after)) == (2, 1)


def test_a_clip_after_an_encoder_is_done_on_arrival():
    way = Way(Compressed(Eden(2)), Clip(0.5))
    upload = way.sent(change())
    assert np.linalg.norm(way.arrived(upload)) == pytest.approx(0.5, rel=1e-4)


def test_the_mark_of_an_adaptive_clip_travels_where_the_clip_is_the_devices():
    assert Way(AdaptiveClip(1.0)).sent(change()).size == 4 * (COUNT + 1)
    # On arrival it is the server that adds it.
    bytes_of_eden = Way(Compressed(Eden(2))).sent(change()).size
    assert Way(Compressed(Eden(2)), AdaptiveClip(1.0)).sent(change()).size == bytes_of_eden


def test_whole_numbers_travel_as_numbers_and_all_is_done_on_the_device():
    seen = []
    way = Way(Compressed(Eden(4)), Clip(1.0), WholeNumbers(10), Noted(seen))
    upload = way.sent(change())
    assert upload.content.dtype == np.uint32
    assert len(seen) == 1
    assert upload.size == -(-len(upload.content) * way.chain.stages[2].width // 8)
    assert way.arrived(upload) is upload.content


@pytest.mark.parametrize("encoder", [Compressed(Eden(2)), Structured(RandomMask(0.5))], ids=str)
def test_noise_of_the_devices_own_is_not_added_by_the_server(encoder):
    with pytest.raises(InputError, match=r"LocalNoise: .* before it makes the bytes"):
        Way(encoder, Clip(1.0), LocalNoise(1.0))
    # Where whole numbers come last, all of it is on the device.
    Way(Clip(1.0), LocalNoise(1.0), Compressed(Eden(2)))


@pytest.mark.parametrize(
    ("stages", "content"),
    [
        ((), b""),
        ((), bytes(4 * COUNT - 1)),
        ((), np.zeros(COUNT, np.uint32)),
        ((Compressed(Eden(2)),), b"\x00"),
        ((Compressed(Eden(2)),), np.zeros(4, np.uint32)),
        ((Clip(1.0), WholeNumbers(4)), bytes(4 * COUNT)),
        ((Structured(RandomMask(0.5)),), bytes(12)),
    ],
    ids=str,
)
def test_what_is_no_such_update_is_refused(stages, content):
    with pytest.raises(InputError):
        Way(*stages).arrived(Upload(content, 0))

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handheld.compress.family import Latency
from handheld.compress.pictures.candidates import Builder, Candidate
from handheld.compress.pictures.probe import Figures
from handheld.compress.pictures.search import (
    ladder,
    noisy_bisect,
    search,
    size_fits,
    widest,
)
from handheld.compress.targets import Target
from handheld.networks.structure import trace
from handheld.networks.zoo.pictures import NETWORKS, PictureShape, make

SHAPE = PictureShape(1, 24, 24)


@pytest.fixture(scope="module")
def builder() -> Builder:
    large = trace(make("residual", SHAPE, 3, 8, seed=0), torch.zeros(2, *SHAPE))
    return Builder(large, SHAPE, 3, 0)


class Scales:
    """A probe that weighs networks instead of compiling them: bytes are parameters, seconds a
    millionth of them.
    """

    bytes_each = 1

    def __init__(self) -> None:
        self.asked = 0

    def estimate(self, network: torch.nn.Module, side: int) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    def file(self, network: torch.nn.Module, side: int) -> bytes:
        self.asked += 1
        return bytes(self.estimate(network, side))

    def latency(self, content: bytes) -> Latency:
        return Latency(len(content) * 1e-6, 0, 0, 1)


class Noisy(Scales):
    """Readings spread by some percent, and one of six is of a slow moment, or of one in which the
    teacher was slow.
    """

    def __init__(self, seed: int, *, least: float = 0.0):
        super().__init__()
        self.rng, self.least = np.random.default_rng(seed), least

    def latency(self, content: bytes) -> Latency:
        seconds = max(len(content) * 1e-6, self.least) * self.rng.normal(1, 0.03)
        if self.rng.random() < 1 / 6:
            seconds *= self.rng.choice([0.3, 2.0, 4.0, 8.0])
        return Latency(seconds, seconds, 0.05 * seconds, 40)


TEACHER = Figures(100_000, Latency(0.1, 0, 0, 1))


@given(st.integers(0, 24))
def test_the_widest_that_fits_is_found(limit: int):
    asked: list[int] = []

    def fits(level: int) -> bool:
        asked.append(level)
        return level <= limit

    assert noisy_bisect(24, fits) == limit
    assert len(asked) <= 20
    assert {limit, limit + 1} - {0, 25} <= set(asked)  # both sides of the decision were measured


@pytest.mark.parametrize("limit", [0, 1, 9, 17, 24])
def test_wrong_answers_do_not_lead_astray(limit: int):
    """One answer of six is wrong; bisection alone went astray in half of all runs."""
    rng = np.random.default_rng(limit)
    found = [
        noisy_bisect(24, lambda level: (level <= limit) != (rng.random() < 1 / 6))
        for _ in range(300)
    ]
    assert np.mean([level == limit for level in found]) > 0.98
    assert np.mean([abs(level - limit) > 2 for level in found]) < 0.01


def seconds_at(builder: Builder, level: int) -> float:
    network = builder.build(Candidate("x", "nested", level, None, 24, Target(size=1))).network
    return Scales().latency(Scales().file(network, 24)).median


@pytest.mark.parametrize("level", [1, 2, 13, 23, 24])
def test_the_widest_within_a_size_is_found(builder: Builder, level: int):
    """A file may have 0.97 of the size that is asked for."""
    size = 1e6 * seconds_at(builder, level) / 0.97
    for limit, expected in ((size + 1, level), (size - 1, max(level - 1, 1))):
        candidate = Candidate("x", "nested", 24, None, 24, Target(size=limit))
        answer = widest(candidate, builder, Scales(), TEACHER)
        assert (answer.level, answer.met) == (expected, limit > size or level > 1)


def test_a_slow_moment_does_not_make_a_member_small(builder: Builder):
    """Learn2Compress asks for "94x smaller, 27x faster": one slow reading sent that member to 4 %
    of the channels.
    """
    limit = seconds_at(builder, 17) / 0.9 * 1.01
    target = Target(latency=limit)
    levels = [
        widest(Candidate("x", "nested", 24, None, 24, target), builder, Noisy(seed), TEACHER).level
        for seed in range(20)
    ]
    assert min(levels) >= 14
    assert max(levels) <= 20
    assert sorted(levels)[10] == 17


def test_a_latency_out_of_reach_leaves_the_best_of_the_fastest(builder: Builder):
    """Below level 12 nothing gets faster: among those the widest within the size is as good as any,
    and learns most.
    """
    target = Target(size=10**6, latency=seconds_at(builder, 12) / 3)
    candidates = [
        widest(
            Candidate("x", "nested", 24, None, 24, target),
            builder,
            Noisy(seed, least=seconds_at(builder, 12)),
            TEACHER,
        )
        for seed in range(12)
    ]
    assert not any(candidate.met for candidate in candidates)
    levels = sorted(candidate.level for candidate in candidates)
    assert levels[1] >= 10
    assert 11 <= levels[6] <= 13
    small = replace(target, size=int(1e6 * seconds_at(builder, 6)))
    one = widest(
        Candidate("x", "nested", 24, None, 24, small),
        builder,
        Noisy(0, least=seconds_at(builder, 12)),
        TEACHER,
    )
    assert one.level <= 6  # the other limit is kept


@pytest.mark.parametrize("kind", ["nested", "pruned", *NETWORKS])
def test_a_candidate_keeps_within_its_target(builder: Builder, kind: str):
    target = Target(size=9_000, kind=kind)
    for candidate in search(builder, Scales(), TEACHER, target, "one", variants=True):
        network = builder.build(candidate).network
        assert sum(parameter.numel() for parameter in network.parameters()) <= 9_000
        assert candidate.met
        assert network(builder.example(candidate.side)).shape == (2, 3)
        assert candidate.name.isidentifier()  # modules are registered under it


def test_depths_and_resolutions_are_tried_too(builder: Builder):
    found = list(search(builder, Scales(), TEACHER, Target(size=9_000), "one", variants=True))
    assert [(c.name, c.blocks, c.side) for c in found] == [
        ("one", None, 24),
        ("one_shallow", 0, 24),
        ("one_small", None, 16),
    ]
    assert found[1].level >= found[0].level  # fewer blocks leave room for more channels
    assert (
        len(list(search(builder, Scales(), TEACHER, Target(size=9_000), "one", variants=False)))
        == 1
    )


def test_a_target_that_cannot_be_met_has_a_candidate_all_the_same(builder: Builder):
    (candidate,) = search(builder, Scales(), TEACHER, Target(size=10), "one", variants=False)
    assert (candidate.level, candidate.met) == (1, False)


def test_latency_counts_as_it_is_measured(builder: Builder):
    (candidate,) = search(builder, Scales(), TEACHER, Target(latency=0.004), "x", variants=False)
    assert candidate.met
    assert (
        seconds_at(builder, candidate.level)
        <= 0.9 * 0.004
        < seconds_at(builder, candidate.level + 1)
    )


@pytest.mark.parametrize(("size", "fits"), [(100, False), (10**9, True)])
def test_what_is_surely_too_large_or_small_enough_is_not_compiled(
    builder: Builder, size: int, fits: bool
):
    probe = Scales()
    candidate = Candidate("x", "nested", 24, None, 24, Target(size=size))
    assert size_fits(candidate, builder, probe, size) == fits
    assert probe.asked == 0


@pytest.mark.parametrize("count", [1, 2, 3, 6, 9])
def test_a_family_has_as_many_as_asked(count: int):
    targets = ladder(count)
    assert len(targets) == count == len(set(targets))


def test_wider_is_larger(builder: Builder):
    for kind in ("nested", "pruned", "plain"):
        sizes = [
            sum(
                p.numel()
                for p in builder.build(
                    Candidate("x", kind, level, None, 24, Target(size=1))
                ).network.parameters()
            )
            for level in (4, 12, 24)
        ]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[-1]

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handheld.compress.candidates import Builder, Candidate, ladder, search, target_fits, widest
from handheld.compress.family import Latency
from handheld.compress.measuring import Figures
from handheld.compress.networks import NETWORKS, PictureShape, make
from handheld.compress.structure import trace
from handheld.compress.targets import Target

SHAPE = PictureShape(1, 24, 24)


@pytest.fixture(scope="module")
def builder() -> Builder:
    large = trace(make("residual", SHAPE, 3, 8, seed=0), torch.zeros(2, *SHAPE))
    return Builder(large, SHAPE, 3, 0)


class Scales:
    """A probe that weighs networks instead of compiling them: bytes are parameters, seconds a millionth of them."""

    bytes_each = 1

    def __init__(self) -> None:
        self.asked = 0

    def estimate(self, network: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    def figures(self, network: torch.nn.Module, side: int, stored: object = None) -> Figures:
        self.asked += 1
        count = sum(parameter.numel() for parameter in network.parameters())
        return Figures(count, Latency(count * 1e-6, 0, 0, 1))


TEACHER = Figures(100_000, Latency(0.1, 0, 0, 1))


@given(st.integers(0, 24))
def test_the_widest_that_fits_is_found(limit: int):
    asked: list[int] = []

    def fits(candidate: Candidate) -> bool:
        asked.append(candidate.level)
        return candidate.level <= limit

    found = widest(Candidate("x", "nested", 24, None, 24, Target(size=1)), fits)
    assert (found.level, found.met) == (max(limit, 1), limit > 0)
    assert len(asked) <= 5


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
    assert [(c.name, c.blocks, c.side) for c in found] == [("one", None, 24), ("one_shallow", 0, 24), ("one_small", None, 16)]
    assert found[1].level >= found[0].level  # fewer blocks leave room for more channels
    assert len(list(search(builder, Scales(), TEACHER, Target(size=9_000), "one", variants=False))) == 1


def test_a_target_that_cannot_be_met_has_a_candidate_all_the_same(builder: Builder):
    (candidate,) = search(builder, Scales(), TEACHER, Target(size=10), "one", variants=False)
    assert (candidate.level, candidate.met) == (1, False)


def test_latency_counts_as_it_is_measured(builder: Builder):
    candidate = Candidate("x", "nested", 24, None, 24, Target(latency=0.004))
    probe = Scales()
    assert not target_fits(builder, probe, TEACHER, candidate)
    assert probe.asked == 1


@pytest.mark.parametrize(("size", "fits"), [(100, False), (10**9, True)])
def test_what_is_surely_too_large_or_small_enough_is_not_compiled(builder: Builder, size: int, fits: bool):
    probe = Scales()
    assert target_fits(builder, probe, TEACHER, Candidate("x", "nested", 24, None, 24, Target(size=size))) == fits
    assert probe.asked == 0


@pytest.mark.parametrize("count", [1, 2, 3, 6, 9])
def test_a_family_has_as_many_as_asked(count: int):
    targets = ladder(count)
    assert len(targets) == count == len(set(targets))


def test_wider_is_larger(builder: Builder):
    for kind in ("nested", "pruned", "plain"):
        sizes = [
            sum(p.numel() for p in builder.build(Candidate("x", kind, level, None, 24, Target(size=1))).network.parameters())
            for level in (4, 12, 24)
        ]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[-1]

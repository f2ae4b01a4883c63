import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest

from handheld.errors import InputError
from handheld.federated.algorithms import FedAvg
from handheld.training.runs import array_digest, canonical, differences, values_digest


@dataclass(frozen=True)
class Own:
    rate: float = 1.0
    table: Mapping[str, int] = field(default_factory=dict)
    memo: list = field(default_factory=list, compare=False)


class Bare(FedAvg):
    """A subclass that adds nothing."""


class Hiding(FedAvg):
    def __init__(self, extra):
        super().__init__(0.5)
        object.__setattr__(self, "extra", extra)


class Plain:
    def __init__(self, extra):
        self.extra = extra


class Telling(Plain):
    def fingerprint(self):
        return {"extra": self.extra}


class Configured(Plain):
    def config(self):
        return [self.extra]


def named(x):
    return x


def within(scale):
    def inner(x):
        return scale * x

    return inner


SAME = [
    (Own(1), Own(1.0)),
    (Own(table={"a": 1, "b": 2}), Own(table={"b": 2, "a": 1})),
    (Own(memo=[1]), Own()),
    (Bare(0.5), Bare(0.5)),
    (Telling(3), Telling(3)),
    (np.float32(0.5), 0.5),
    ((1, 2), [1, 2]),
    (np.arange(6), np.arange(12)[::2] // 2),
    (functools.partial(named, x=1), functools.partial(named, x=1)),
    (within(2), within(2)),
]
OTHER = [
    (Own(1), Own(2)),
    (Bare(0.5), FedAvg(0.5)),
    (Telling(3), Telling(4)),
    (Configured(3), Configured(np.arange(3))),
    (np.arange(6), np.arange(6).astype(np.int32)),
    (np.arange(6), np.arange(6).reshape(2, 3)),
    (np.arange(6), np.arange(6)[::-1]),
    (math.inf, -math.inf),
    (named, within),
    (within(2), within(3)),
    (lambda x: x, lambda x: -x),
    (functools.partial(named, x=1), functools.partial(named, x=2)),
    (True, "True"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_values_with_the_same_content_are_the_same(one, other):
    assert list(differences(canonical(one, "x"), canonical(other, "x"))) == []


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_values_with_other_content_are_others(one, other):
    assert list(differences(canonical(one, "x"), canonical(other, "x")))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (
            Plain(1),
            r"plan\.algorithm: .*:Plain from another: make it a dataclass, or give it a "
            r"method fingerprint",
        ),
        (
            Hiding(1),
            r"plan\.algorithm: .*:Hiding has 'extra', which is no field .* put @dataclass on "
            r"the class",
        ),
        (Own(table={"a": object()}), r"plan\.algorithm\.table\.a: "),
        (within(object()), r"plan\.algorithm\[0\]: "),
        (np.array([object()]), "expected an array of numbers"),
    ],
)
def test_what_cannot_be_told_from_others_is_refused(value, why):
    with pytest.raises(InputError, match=why):
        canonical(value, "plan.algorithm")


def test_a_large_array_is_read_in_parts(tmp_path):
    whole = np.random.default_rng(0).normal(size=(3000, 500)).astype(np.float32)
    np.save(tmp_path / "x.npy", whole)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert array_digest(mapped) == array_digest(whole) == array_digest(np.asfortranarray(whole))
    whole[-1, -1] += 1
    assert array_digest(mapped) != array_digest(whole)
    assert array_digest(np.array(3.0)) != array_digest(np.array(4.0))
    assert array_digest(np.zeros((0, 3))) == array_digest(np.zeros((0, 5)))


def test_a_difference_is_named_by_its_place():
    before = {"plan": {"seed": 0, "stages": [{"length": 1}]}, "about": [1.0, 2.0]}
    now = {"plan": {"seed": 1, "stages": [{"length": 2}]}, "about": [1.0 + 1e-6, 2.0]}
    assert list(differences(before, now)) == [
        "plan.seed was 0, is 1 now",
        "plan.stages[0].length was 1, is 2 now",
    ]
    assert list(differences({"a": 1}, {"b": 1})) == ["a is there no more", "b is there now"]
    assert list(differences({"about": [1.0]}, {"about": [1.1]})) == ["about[0] was 1.0, is 1.1 now"]


def test_values_have_digests_that_stay():
    assert values_digest(1, "a") == values_digest(1, "a") == "2a123b2622700355"
    assert values_digest(1, "a") != values_digest("1", "a")
    assert len(values_digest("\udcff")) == 16  # a name that is no UTF-8

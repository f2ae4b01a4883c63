"""Dealing devices into groups."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.federated.secagg.errors import RefusedMessageError, RoundFailedError
from handheld.federated.secagg.messages import terms_from
from handheld.federated.server.groups import (
    LEAST_SECURE,
    GroupRules,
    PlainGroup,
    deal_secure,
    most_message_bytes,
    secure_threshold,
)


def rules(goal, size):
    return GroupRules(goal=goal, size=size, count=10, bits=20, context=bytes(32), is_active=True)


@given(st.integers(3, 200), st.integers(3, 200), st.integers(5, 60), st.integers(0, 9))
def test_everybody_is_in_one_group_and_no_group_is_too_small(devices, goal, size, seed):
    identities = [f"{number:064x}" for number in range(devices)]
    plans = deal_secure(identities, rules(goal, size), np.random.default_rng(seed))
    dealt = [identity for plan in plans for identity in plan.members]
    assert sorted(dealt) == identities
    assert sum(plan.goal for plan in plans) == min(goal, devices)
    for plan in plans:
        assert LEAST_SECURE <= plan.goal <= max(size, 5)
        assert plan.goal <= len(plan.members)
        threshold = terms_from(plan.terms).threshold
        # What clients demand of a roster with all of them, and one that they can reach.
        assert 2 * plan.goal // 3 + 1 == threshold <= plan.goal
    assert len({terms_from(plan.terms).round for plan in plans}) == len(plans)


def test_groups_are_dealt_by_chance():
    identities = [f"{number:064x}" for number in range(20)]
    first = deal_secure(identities, rules(20, 10), np.random.default_rng(1))
    second = deal_secure(identities, rules(20, 10), np.random.default_rng(2))
    assert first[0].members != second[0].members


def test_thresholds():
    assert secure_threshold(9, is_active=True) == 7
    assert secure_threshold(9, is_active=False) == 5


def test_plain_uploads_are_counted():
    members = frozenset(bytes([number]) for number in range(4))
    group = PlainGroup(goal=3, least_uploads=2, members=members)
    with pytest.raises(RefusedMessageError, match="no part"):
        group.receive(b"x", b"")
    group.receive(b"\0", b"")
    with pytest.raises(RoundFailedError, match="2 devices or more, got 1"):
        group.advance()
    group.receive(b"\1", b"")
    assert not group.is_full
    group.receive(b"\2", b"")
    assert group.is_full
    with pytest.raises(RefusedMessageError, match="already"):
        group.receive(b"\3", b"")
    assert group.advance() == {}
    assert group.is_done


def test_messages_of_many_devices_have_room():
    """The longest that an honest device of a full group sends, against what is read of it."""
    plan = deal_secure(
        [f"{number:064x}" for number in range(130)], rules(100, 100), np.random.default_rng(0)
    )[0]
    terms = terms_from(plan.terms)
    assert most_message_bytes(2, terms, members=130) >= 25 + 20
    assert most_message_bytes(1, terms, members=130) >= 130 * 120

"""Messages: what they were stays what they are, and nothing else is one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handheld.errors import InputError
from handheld.federated.wire import messages as wire

BLOB = wire.BlobAddress(bytes(32), 5)
PLANS = [wire.PlanAddress(1, BLOB), wire.PlanAddress(2, wire.BlobAddress(b"\1" * 32, 7))]
ANSWERS = [
    wire.Nonce(nonce=b"n", server=bytes(32)),
    wire.OpenSession(token="t", seconds=1.0),
    wire.ComeBack(seconds=2.5, reason="full"),
    wire.Selected(round="0" * 32, task="sum"),
    wire.Signed(content=b"offer", signature=bytes(64)),
    wire.NextPhase(phase=1, content=b"roster"),
    wire.StillWaiting(),
    wire.RoundOutcome(counted=True, state="committed", reason="", seconds=3.0),
    wire.Problem(reason="no"),
]


def offer():
    return wire.Offer(
        round="0" * 32,
        number=1,
        task="sum",
        purpose="training",
        model=BLOB,
        plans=PLANS,
        seconds=10.0,
        terms=b"terms",
        least_clients=3,
    )


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_answers_travel(answer):
    assert wire.answer_from(answer.to_bytes(), wire.SMALL_BYTES) == answer


def test_a_message_in_bytes():
    """The kind, the version, then the fields in their order: what devices out there read."""
    content = msgspec.msgpack.decode(wire.ComeBack(seconds=2.5, reason="full").to_bytes())
    assert content == ["come-back", 1, 2.5, "full"]
    content = msgspec.msgpack.decode(wire.CheckIn(plans=[1], tasks=["a"]).to_bytes())
    assert content == ["check-in", 1, ["a"], [1], []]


def test_an_offer_travels_and_its_context_is_of_model_and_plans():
    travelled = wire.message_from(offer().to_bytes(), wire.Offer)
    assert travelled == offer()
    assert travelled.context == wire.context_of(BLOB, PLANS)
    assert wire.context_of(BLOB, PLANS[:1]) != travelled.context
    assert wire.context_of(PLANS[1].blob, PLANS) != travelled.context
    assert wire.plans_from(wire.plans_bytes(PLANS)) == PLANS


@given(st.binary(max_size=300))
def test_no_bytes_give_another_error(content):
    for kind in (wire.Enrolment, wire.SessionRequest, wire.CheckIn, wire.Offer):
        try:
            wire.message_from(content, kind)
        except InputError:
            continue


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plans": []}, "length >= 1"),
        ({"plans": [0]}, ">= 1"),
        ({"plans": [1] * 17}, "length <= 16"),
        ({"tasks": ["a"] * 33}, "length <= 32"),
        ({"tasks": [""]}, "length >= 1"),
        ({"tasks": ["a" * 65]}, "length <= 64"),
        ({"version": 2}, "<= 1"),
    ],
)
def test_what_is_out_of_bounds_is_refused(changes, words):
    content = wire.CheckIn(**{"plans": [1]} | changes).to_bytes()
    with pytest.raises(InputError, match=words):
        wire.message_from(content, wire.CheckIn)


def test_what_is_too_long_is_not_looked_into():
    with pytest.raises(InputError, match="expected at most 8192 bytes, got 8193"):
        wire.message_from(bytes(8193), wire.CheckIn)
    with pytest.raises(InputError, match="expected at most 10 bytes, got 11"):
        wire.answer_from(bytes(11), 10)

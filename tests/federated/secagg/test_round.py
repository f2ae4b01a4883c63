"""Whole rounds: sums are exact whoever leaves, and what no honest party sends is refused."""

import os

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.federated.secagg.conftest import STEPS, Round

from handheld.federated.secagg import messages
from handheld.federated.secagg.client import pair_context
from handheld.federated.secagg.errors import RefusedMessageError, RoundFailedError
from handheld.federated.secagg.graph import GraphParameters, GraphRisks, graph_parameters
from handheld.federated.secagg.keys import AgreementKey, SigningKey
from handheld.federated.secagg.masks import MaskGenerator
from handheld.federated.secagg.messages import Advertisement
from handheld.federated.secagg.packing import unpack
from handheld.federated.secagg.roster import signed_keys
from handheld.federated.secagg.secrets_of_round import SEALED_SHARE_BYTES, SHARE_BYTES, one_of
from handheld.federated.secagg.server import SecureAggregationServer, ServerPhase


@settings(deadline=None, max_examples=25)
@given(
    st.integers(3, 9),
    st.sampled_from([1, 13, 16, 17, 32]),
    st.booleans(),
    st.randoms(use_true_random=False),
    st.data(),
)
def test_reference_of_a_sum_whoever_leaves_when(clients, bits, active, rng, data):
    """The sum of those whose values came, with anybody leaving at any phase, in any order."""
    threshold = 2 * clients // 3 + 1 if active else clients // 2 + 1
    game = Round(clients, bits=bits, threshold=threshold, active=active)
    # From the first phase on: shares and thresholds are of those who sent their keys.
    game.phase(order=rng)
    left = clients - threshold
    while game.steps:
        number = data.draw(st.integers(0, left))
        gone = rng.sample(sorted(game.waiting), number)
        left -= number
        game.phase(gone, order=rng)
    assert game.server.phase is ServerPhase.DONE
    assert np.array_equal(game.server.total, game.expected())


@pytest.mark.parametrize("gone", [0, 2])
def test_a_sum_among_few_peers(gone):
    risks = GraphRisks(corrupt=0.05, dropout=0.15)
    assert graph_parameters(14, risks) == GraphParameters(peers=6, threshold=2)
    game = Round(14, peers=6, threshold=2, active=False, graph=risks)
    game.phase()
    while game.steps:
        game.phase(sorted(game.waiting)[:gone] if game.steps[0] == "mask" else ())
    assert np.array_equal(game.server.total, game.expected())


@pytest.mark.parametrize("step", STEPS)
def test_below_the_threshold_nothing_comes_out(step):
    game = Round(6).until(step)
    with pytest.raises(RoundFailedError, match=r"expected that 5 clients or more .* got 4"):
        game.phase(sorted(game.waiting)[:2])
    assert game.server.total is None
    with pytest.raises(RefusedMessageError, match="the round has ended"):
        game.server.receive(game.keys[0].public, b"")


def test_a_masked_input_says_nothing_by_itself():
    """Chi-squared of the bytes of one upload of zeros: as even as chance."""
    game = Round(3, count=20_000, bits=32).until("mask")
    identity = game.keys[0].public
    game.values[identity][:] = 0
    content = game.clients[identity].mask(game.waiting[identity])
    values = messages.input_from(content, game.terms).values
    counts = np.bincount(np.frombuffer(values, np.uint8), minlength=256)
    expected = len(values) / 256
    assert ((counts - expected) ** 2 / expected).sum() < 400  # 255 degrees; 1 in 10^8


def test_reference_of_a_masked_input():
    """The paper's formula: x + PRG(b) + sum of PRG(s) over later peers - over earlier ones."""
    game = Round(5, count=7, bits=20).until("mask")
    parties = {seat: game.clients[name] for seat, name in enumerate(sorted(game.enrolled))}
    identity = sorted(game.enrolled)[2]
    client = parties[2]
    generator = MaskGenerator(client._roster.digest)
    expected = game.values[identity].astype(np.uint32)
    generator.add(expected, client._seed)
    for seat in (3, 4):
        seed = parties[seat]._mask_key.agree(client._mask_key.public, pair_context(client._roster))
        generator.add(expected, seed)
    for seat in (0, 1):
        seed = parties[seat]._mask_key.agree(client._mask_key.public, pair_context(client._roster))
        generator.subtract(expected, seed)
    sent = messages.input_from(client.mask(game.waiting[identity]), game.terms).values
    assert np.array_equal(unpack(sent, 7, 20), expected % (1 << 20))


# What a client refuses


def refused(game, step, content, match, who=0):
    """The client refuses, and takes no further part."""
    client = game.clients[game.keys[who].public]
    with pytest.raises(RefusedMessageError, match=match):
        getattr(client, step)(content)
    with pytest.raises(RefusedMessageError, match="has ended"):
        getattr(client, step)(game.waiting.get(game.keys[who].public, content))
    assert client._values is None


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"context": bytes(32)}, "another model or plan"),
        ({"count": 51}, "got 51 of 20"),
        ({"bits": 21}, "got 50 of 21"),
        ({"threshold": 3}, "threshold of 4 or more, got 3"),
        ({"is_active": False}, "all are told the same"),
        ({"peers": 2}, "all are peers"),
    ],
)
def test_terms_that_a_client_refuses(changes, match):
    game = Round(5)
    key = game.keys[0]
    game.clients[key.public] = game.client(key, least_threshold=4)
    refused(game, "advertise", msgspec.structs.replace(game.terms, **changes).to_bytes(), match)


def test_a_round_that_has_been_before():
    game = Round(5)
    seen = {game.terms.round}
    key = game.keys[0]
    game.clients[key.public] = game.client(key, is_new_round=lambda round_id: round_id not in seen)
    refused(game, "advertise", game.terms.to_bytes(), "before")


def members_of(game):
    return messages.roster_from(next(iter(game.waiting.values())), 100).members


def in_order(members):
    return sorted(members, key=lambda member: member.identity)


def stranger(game):
    key = SigningKey()
    game.values[key.public] = next(iter(game.values.values()))
    client = game.client(key)
    return messages.advertisement_from(client.advertise(game.terms.to_bytes()))


def unsigned(game, members):
    """All but the client's own keys without a signature."""
    return [
        member
        if member.identity == game.keys[0].public
        else msgspec.structs.replace(member, signature=bytes(64))
        for member in members
    ]


ROSTERS = {
    "too few": (lambda game, members: members[:2], "3 clients or more|this client's keys"),
    "out of order": (lambda game, members: members[::-1], "not in order"),
    "somebody twice": (lambda game, members: in_order([*members, members[1]]), "twice"),
    "a stranger": (lambda game, members: in_order([*members, stranger(game)]), "not enrolled"),
    "unsigned keys": (lambda game, members: unsigned(game, members), "did not sign"),
    "another's keys": (
        lambda game, members: [
            msgspec.structs.replace(
                member, cipher_key=members[0].cipher_key, mask_key=members[0].mask_key
            )
            for member in members
        ],
        "the same",
    ),
    "without this client": (
        lambda game, members: [
            member for member in members if member.identity != game.keys[0].public
        ],
        "this client's keys",
    ),
}


@pytest.mark.parametrize("name", ROSTERS)
def test_rosters_that_a_client_refuses(name):
    change, match = ROSTERS[name]
    game = Round(5).until("share")
    members = change(game, members_of(game))
    refused(game, "share", messages.Roster(members=members).to_bytes(), match)


def test_signatures_of_a_roster_are_verified_where_the_server_may_be_dishonest_alone():
    """A server that follows the protocol has verified them itself."""
    game = Round(5, active=False).until("share")
    members = unsigned(game, members_of(game))
    game.clients[game.keys[0].public].share(messages.Roster(members=members).to_bytes())


def test_a_threshold_too_low_for_those_who_came():
    """Of six, four are no two thirds and one more: two groups of clients could be told apart."""
    game = Round(6, threshold=4).until("share")
    refused(game, "share", game.waiting[game.keys[0].public], "threshold of 5 or more of 6, got 4")


def test_a_threshold_without_a_majority():
    game = Round(6, threshold=3, active=False).until("share")
    refused(game, "share", game.waiting[game.keys[0].public], "threshold of 4 or more of 6, got 3")


def test_a_threshold_that_those_who_came_never_reach():
    game = Round(5, threshold=5).until("share")
    members = [member for member in members_of(game) if member.identity != game.keys[1].public]
    content = messages.Roster(members=members).to_bytes()
    refused(game, "share", content, "4 clients never reach a threshold of 5")


def test_fewer_clients_than_the_policy_demands():
    game = Round(5)
    key = game.keys[0]
    game.clients[key.public] = game.client(key, least_clients=6)
    game.until("share")
    refused(game, "share", game.waiting[key.public], "expected 6 clients or more, got 5")


def inbox_of(game, who=0):
    content = game.waiting[game.keys[who].public]
    return messages.inbox_from(content, 100, SEALED_SHARE_BYTES)


INBOXES = {
    "shares of another": (lambda box: {"sealed": box.sealed[::-1]}, "somebody else"),
    "one share less": (lambda box: {"sealed": box.sealed[1:]}, "shares of 5 peers, got 4"),
    "seats out of order": (lambda box: {"sharers": box.sharers[::-1]}, "in their order"),
    "a seat of nobody": (lambda box: {"sharers": [*box.sharers, 77]}, "seats below 6"),
    "a flipped bit": (
        lambda box: {
            "sealed": [bytes([box.sealed[0][0] ^ 1]) + box.sealed[0][1:], *box.sealed[1:]]
        },
        "changed",
    ),
    "a short share": (lambda box: {"sealed": [b"", *box.sealed[1:]]}, "bytes each"),
}


@pytest.mark.parametrize("name", INBOXES)
def test_inboxes_that_a_client_refuses(name):
    change, match = INBOXES[name]
    game = Round(6).until("mask")
    box = inbox_of(game)
    refused(game, "mask", msgspec.structs.replace(box, **change(box)).to_bytes(), match)


def test_too_few_who_shared():
    game = Round(6).until("mask")
    seat = sorted(game.enrolled).index(game.keys[0].public)
    box = inbox_of(game)
    peers = [other for other in box.sharers if other != seat]
    few = messages.Inbox(sharers=sorted([seat, *peers[:3]]), sealed=box.sealed[:3])
    refused(game, "mask", few.to_bytes(), "5 clients or more have shared their secrets, got 4")


def test_shares_of_another_round():
    game = Round(6).until("mask")
    other = Round(6)
    other.keys, other.enrolled = game.keys, game.enrolled
    other.values = game.values
    other.clients = {key.public: other.client(key) for key in other.keys}
    other.server = SecureAggregationServer(other.terms, other.enrolled.__contains__)
    other.waiting = dict.fromkeys(other.clients, other.terms.to_bytes())
    other.until("mask")
    refused(game, "mask", other.waiting[game.keys[0].public], "somebody else")


SURVIVORS = {
    "too few": (lambda seats, own: sorted({*seats[:3], own}), "5 clients or more|got"),
    "without this client": (lambda seats, own: [p for p in seats if p != own], "take part"),
}


@pytest.mark.parametrize("name", SURVIVORS)
def test_survivors_that_a_client_refuses(name):
    change, match = SURVIVORS[name]
    game = Round(6).until("agree")
    identity = game.keys[0].public
    seats = messages.survivors_from(game.waiting[identity], 6).seats
    own = sorted(game.enrolled).index(identity)
    refused(game, "agree", messages.Survivors(seats=change(seats, own)).to_bytes(), match)


def test_a_survivor_who_did_not_share():
    game = Round(7).until("share")
    gone = sorted(game.enrolled - {game.keys[0].public})[0]
    game.phase([gone])
    game.until("agree")
    everybody = messages.Survivors(seats=list(range(7))).to_bytes()
    refused(game, "agree", everybody, "did not share")


def test_a_server_that_tells_two_stories_gets_neither_secret():
    """The attack that signatures are for: half are told that a client is gone, half that it is
    there. Whoever is told the other story sees it by the signatures.
    """
    game = Round(9).until("agree")
    identities = sorted(game.enrolled)
    victim = 8
    answers = {}
    for seat, identity in enumerate(identities[:8]):
        story = list(range(9)) if seat < 4 else list(range(8))
        answers[seat] = game.clients[identity].agree(messages.Survivors(seats=story).to_bytes())
    signatures = [messages.agreement_from(answer).signature for answer in answers.values()]
    content = messages.Agreements(seats=list(range(8)), signatures=signatures).to_bytes()
    for identity in identities[:8]:
        with pytest.raises(RefusedMessageError, match="other survivors"):
            game.clients[identity].reveal(content)
    assert victim not in answers


def test_too_few_signatures():
    game = Round(6).until("reveal")
    identity = game.keys[0].public
    agreements = messages.agreements_from(game.waiting[identity], 6)
    few = messages.Agreements(seats=agreements.seats[:4], signatures=agreements.signatures[:4])
    refused(game, "reveal", few.to_bytes(), "signed who survived, got 4")


def test_clients_verify_as_many_signatures_as_the_threshold():
    game = Round(9).until("reveal")
    for identity in game.enrolled:
        agreements = messages.agreements_from(game.waiting[identity], 9)
        assert agreements.seats == list(range(7))
    game.phase()
    assert np.array_equal(game.server.total, game.expected())


def test_another_signature_in_the_name_of_this_client():
    """Its own it does not verify, but compares."""
    game = Round(6).until("reveal")
    seat = sorted(game.enrolled).index(game.keys[0].public)
    agreements = messages.agreements_from(game.waiting[game.keys[0].public], 6)
    signatures = dict(zip(agreements.seats, agreements.signatures, strict=True))
    signatures[seat] = game.keys[0].sign(b"other survivors")
    seats = sorted(signatures)
    content = messages.Agreements(seats=seats, signatures=[signatures[one] for one in seats])
    refused(game, "reveal", content.to_bytes(), "told of other survivors")


def test_a_second_reveal_is_refused():
    game = Round(4).until("reveal")
    identity = game.keys[0].public
    client = game.clients[identity]
    client.reveal(game.waiting[identity])
    assert client._shares is client._own_shares is client._seed is client._mask_key is None
    with pytest.raises(RefusedMessageError, match="not of reveal"):
        client.reveal(game.waiting[identity])


def test_both_kinds_of_shares_are_never_given():
    """Of each client one share: the seed's of who survived, the key's of who did not."""
    game = Round(7).until("mask")
    gone = sorted(game.enrolled)[3]
    game.phase([gone])
    game.until("reveal")
    identity = sorted(game.enrolled)[0]
    client = game.clients[identity]
    both = dict(client._shares)
    revealed = messages.revealed_from(client.reveal(game.waiting[identity]), 7, SHARE_BYTES).shares
    for seat, share in enumerate(revealed):
        assert share == one_of(both[seat], of_seed=seat != 3)


@pytest.mark.parametrize("step", STEPS[1:])
def test_steps_out_of_their_order(step):
    game = Round(4)
    refused(game, step, game.terms.to_bytes(), f"message of advertise, not of {step}")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "content",
    [b"", b"\xc1", b"\x91" * 5000, b"\xdd\xff\xff\xff\xff", os.urandom(1000), bytes(10**7)],
    ids=["empty", "reserved", "deep", "a long list", "noise", "long"],
)
def test_bytes_that_are_no_message(step, content):
    game = Round(4).until(step)
    refused(game, step, content, "expected")


# What a server refuses


def answers_of(game):
    step = game.steps[0]
    return {
        identity: getattr(game.clients[identity], step)(content)
        for identity, content in game.waiting.items()
    }


@pytest.mark.parametrize("step", STEPS)
def test_messages_twice_and_of_strangers(step):
    game = Round(4).until(step)
    answers = answers_of(game)
    identity = game.keys[0].public
    with pytest.raises(RefusedMessageError, match=r"no part|another client's"):
        game.server.receive(SigningKey().public, answers[identity])
    game.server.receive(identity, answers[identity])
    with pytest.raises(RefusedMessageError, match=r"already|has ended"):
        game.server.receive(identity, answers[identity])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x91" * 5000, bytes(10**7)])
def test_bytes_that_harm_no_server(step, content):
    game = Round(4).until(step)
    answers = answers_of(game)
    identity = game.keys[0].public
    with pytest.raises(RefusedMessageError):
        game.server.receive(identity, content)
    # The client may still send what is right.
    for sender, answer in answers.items():
        game.server.receive(sender, answer)
    game.steps.pop(0)
    game.waiting = game.server.advance()
    if step == "mask":
        game.sent = set(answers)
    while game.steps:
        game.phase()
    assert np.array_equal(game.server.total, game.expected())


def test_a_late_input_after_being_declared_gone():
    game = Round(5).until("mask")
    late = sorted(game.enrolled)[2]
    answer = game.clients[late].mask(game.waiting[late])
    del game.waiting[late]
    game.phase()
    with pytest.raises(RefusedMessageError, match="has ended"):
        game.server.receive(late, answer)


def test_keys_of_another_client():
    game = Round(4)
    answers = answers_of(game)
    with pytest.raises(RefusedMessageError, match="another client's"):
        game.server.receive(game.keys[0].public, answers[game.keys[1].public])


def signed(game, key, cipher_key, mask_key):
    content = signed_keys(game.terms, cipher_key, mask_key)
    return Advertisement(
        identity=key.public,
        cipher_key=cipher_key,
        mask_key=mask_key,
        signature=key.sign(content),
    ).to_bytes()


def test_one_client_cannot_end_the_round_for_all_by_its_keys():
    """Of copied keys, or keys of low order, everybody would refuse the roster."""
    game = Round(4)
    answers = answers_of(game)
    first, second = game.keys[:2]
    game.server.receive(first.public, answers[first.public])
    copied = messages.advertisement_from(answers[first.public])
    fresh = AgreementKey().public
    for cipher_key, mask_key, match in (
        (copied.cipher_key, fresh, "the same"),
        (fresh, copied.mask_key, "the same"),
        (fresh, copied.cipher_key, "the same"),
        (fresh, fresh, "the same"),
        (fresh, bytes(32), "low order"),
        (b"\x01" + bytes(31), fresh, "low order"),
    ):
        with pytest.raises(RefusedMessageError, match=match):
            game.server.receive(second.public, signed(game, second, cipher_key, mask_key))
    game.server.receive(second.public, answers[second.public])


def test_a_signature_of_something_else():
    game = Round(4).until("agree")
    identity = game.keys[0].public
    signature = game.keys[0].sign(b"something else")
    with pytest.raises(RefusedMessageError, match="no signature of who survived"):
        game.server.receive(identity, messages.Agreement(signature=signature).to_bytes())


def test_shares_of_a_key_that_are_not_its_own():
    """Somebody lies about its shares: the round fails, rather than give a wrong sum."""
    game = Round(7).until("mask")
    game.phase([sorted(game.enrolled)[3]])
    game.until("reveal")
    for identity, content in game.waiting.items():
        answer = game.clients[identity].reveal(content)
        if identity == sorted(game.enrolled)[0]:
            shares = messages.revealed_from(answer, 7, SHARE_BYTES).shares
            shares[3] = shares[3][:-5] + bytes(5)
            answer = messages.RevealedShares(shares=shares).to_bytes()
        game.server.receive(identity, answer)
    with pytest.raises(RoundFailedError, match=r"give no secret|not its own"):
        game.server.advance()
    assert game.server.total is None


def test_more_clients_than_a_round_takes():
    game = Round(5)
    game.server = SecureAggregationServer(game.terms, game.enrolled.__contains__, most_clients=4)
    answers = list(answers_of(game).items())
    for identity, answer in answers[:4]:
        game.server.receive(identity, answer)
    with pytest.raises(RefusedMessageError, match="4 clients take part already"):
        game.server.receive(*answers[4])

"""What a hostile server, client or network may try, each refused by whom it would harm.

docs/secure-aggregation.md lists them. Each attack goes up to the last message, and returns who has
to refuse it, and how it is handed over.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.federated.secagg.conftest import STEPS, Round

from handheld.federated.secagg import messages
from handheld.federated.secagg.client import SecureAggregationClient, agreed_survivors
from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.keys import AgreementKey, seal
from handheld.federated.secagg.messages import Advertisement, RoundTerms
from handheld.federated.secagg.roster import signed_keys
from handheld.federated.secagg.secrets_of_round import SEALED_SHARE_BYTES, SHARE_BYTES, elements_of
from handheld.federated.secagg.server import SecureAggregationServer
from handheld.federated.secagg.shares import join

CLIENT, SERVER = SecureAggregationClient, SecureAggregationServer
LOW_ORDER = b"\x01" + bytes(31)


@dataclass
class Attack:
    """A message on its way.

    Attributes:
        party: who has to refuse it.
        match: what it says.
        send: prepares a round, and returns the party, the method and what it is called with.
    """

    party: type
    match: str
    send: object


def first(game):
    return game.keys[0].public


def seat_of(game, identity):
    return game.server._roster.seat_of(identity)


def to_client(game, step, content, identity=None):
    client = game.clients[identity or first(game)]
    return client, getattr(client, step), (content,)


def to_server(game, identity, content):
    return game.server, game.server.receive, (identity, content)


def answer(game, identity=None):
    """What a client says to what it was told."""
    identity = identity or first(game)
    return getattr(game.clients[identity], game.steps[0])(game.waiting[identity])


def replaced(content, message_type, **changes):
    message = msgspec.msgpack.decode(content, type=message_type)
    return msgspec.structs.replace(message, **changes).to_bytes()


def advertised(game, key, cipher_key, mask_key, terms=None):
    content = signed_keys(terms or game.terms, cipher_key, mask_key)
    return Advertisement(
        identity=key.public,
        cipher_key=cipher_key,
        mask_key=mask_key,
        signature=key.sign(content),
    )


def with_member(game, change):
    """The roster with one entry, that of another than the first client, changed."""
    members = list(messages.roster_from(game.waiting[first(game)], 100).members)
    number = next(i for i, member in enumerate(members) if member.identity != first(game))
    key = next(key for key in game.keys if key.public == members[number].identity)
    members[number] = change(members[number], key)
    return messages.Roster(members=members).to_bytes()


# Of a server, against a client


def both_secrets_by_two_sets_of_survivors():
    """Asked for a signature of two stories, a client signs one."""
    game = Round(6).until("agree")
    seats = messages.survivors_from(game.waiting[first(game)], 6).seats
    client = game.clients[first(game)]
    client.agree(game.waiting[first(game)])
    other = [seat for seat in seats if seat != (seat_of(game, first(game)) + 1) % 6]
    return to_client(game, "agree", messages.Survivors(seats=other).to_bytes())


def both_secrets_by_two_reveals():
    game = Round(6, active=False).until("reveal")
    client = game.clients[first(game)]
    client.reveal(game.waiting[first(game)])
    seats = messages.survivors_from(game.waiting[first(game)], 6).seats
    other = [seat for seat in seats if seat != (seat_of(game, first(game)) + 1) % 6]
    return to_client(game, "reveal", messages.Survivors(seats=other).to_bytes())


def a_second_unmask_request():
    game = Round(6).until("reveal")
    game.clients[first(game)].reveal(game.waiting[first(game)])
    return to_client(game, "reveal", game.waiting[first(game)])


def survivors_changed_after_they_were_signed():
    """All signed six survivors; the client was told five."""
    game = Round(6).until("agree")
    other = (seat_of(game, first(game)) + 1) % 6
    told = messages.Survivors(seats=[seat for seat in range(6) if seat != other]).to_bytes()
    signatures = []
    for identity in sorted(game.enrolled):
        content = told if identity == first(game) else game.waiting[identity]
        signed = game.clients[identity].agree(content)
        signatures.append(messages.agreement_from(signed).signature)
    seats = [seat for seat in range(6) if seat != other]
    agreements = messages.Agreements(seats=seats, signatures=[signatures[seat] for seat in seats])
    return to_client(game, "reveal", agreements.to_bytes())


def sharers_told_to_each_differently():
    """Who shared is signed too: masks of one who was hidden from some would stay in the sum."""
    game = Round(6).until("mask")
    hidden = (seat_of(game, first(game)) + 1) % 6
    box = messages.inbox_from(game.waiting[first(game)], 6, SEALED_SHARE_BYTES)
    peers = [seat for seat in range(6) if seat != seat_of(game, first(game))]
    kept = [sealed for seat, sealed in zip(peers, box.sealed, strict=True) if seat != hidden]
    game.waiting[first(game)] = messages.Inbox(
        sharers=[seat for seat in range(6) if seat != hidden], sealed=kept
    ).to_bytes()
    for identity in sorted(game.enrolled):
        game.clients[identity].mask(game.waiting[identity])
    survivors = messages.Survivors(seats=[seat for seat in range(6) if seat != hidden]).to_bytes()
    signatures = {}
    for seat, identity in enumerate(sorted(game.enrolled)):
        if seat != hidden:
            content = game.clients[identity].agree(survivors)
            signatures[seat] = messages.agreement_from(content).signature
    agreements = messages.Agreements(
        seats=sorted(signatures), signatures=[signatures[seat] for seat in sorted(signatures)]
    )
    return to_client(game, "reveal", agreements.to_bytes())


def rosters_told_to_each_differently():
    """What is sealed is bound to the roster: between two stories nothing opens."""
    game = Round(7, threshold=5).until("share")
    roster = messages.roster_from(game.waiting[first(game)], 100).members
    victims = sorted(game.enrolled - {first(game)})[0]
    shorter = [member for member in roster if member.identity != victims]
    client = game.clients[first(game)]
    client.share(messages.Roster(members=shorter).to_bytes())
    sealed = []
    seat = next(i for i, member in enumerate(shorter) if member.identity == first(game))
    for member in shorter:
        if member.identity != first(game):
            content = game.clients[member.identity].share(game.waiting[member.identity])
            sealed.append(messages.shares_from(content, 6, SEALED_SHARE_BYTES).sealed[seat])
    box = messages.Inbox(sharers=list(range(6)), sealed=sealed)
    return to_client(game, "mask", box.to_bytes())


def a_client_of_the_servers_own():
    game = Round(5).until("share")
    stranger = Round(3)

    def change(member, key):
        keys = AgreementKey().public, AgreementKey().public
        return advertised(game, stranger.keys[0], *keys)

    members = messages.roster_from(with_member(game, change), 100).members
    members.sort(key=lambda member: member.identity)
    return to_client(game, "share", messages.Roster(members=members).to_bytes())


def keys_of_the_servers_own():
    """The server in the middle: its keys in the name of a client."""
    game = Round(5).until("share")
    content = with_member(
        game,
        lambda member, key: msgspec.structs.replace(
            member, cipher_key=AgreementKey().public, mask_key=AgreementKey().public
        ),
    )
    return to_client(game, "share", content)


def keys_that_were_exchanged():
    """The key for sealing in place of that for masks, which is revealed of those who leave."""
    game = Round(5).until("share")
    content = with_member(
        game,
        lambda member, key: msgspec.structs.replace(
            member, cipher_key=member.mask_key, mask_key=member.cipher_key
        ),
    )
    return to_client(game, "share", content)


def keys_of_a_round_before():
    game = Round(5).until("share")
    before = msgspec.structs.replace(game.terms, round=os.urandom(32))

    def change(member, key):
        return advertised(game, key, AgreementKey().public, AgreementKey().public, before)

    return to_client(game, "share", with_member(game, change))


def keys_for_other_terms():
    """Somebody was told a lower threshold: what it signed is of no use for this one."""
    game = Round(5).until("share")
    lower = msgspec.structs.replace(game.terms, threshold=2)

    def change(member, key):
        return advertised(game, key, member.cipher_key, member.mask_key, lower)

    return to_client(game, "share", with_member(game, change))


def all_zero_keys():
    game = Round(5).until("share")

    def change(member, key):
        return advertised(game, key, bytes(32), member.mask_key)

    return to_client(game, "share", with_member(game, change))


def mask_keys_of_low_order():
    """A corrupt client and the server: masks that all know. They are seen when masks are made."""
    game = Round(5).until("share")

    def change(member, key):
        return advertised(game, key, member.cipher_key, LOW_ORDER)

    content = with_member(game, change)
    members = messages.roster_from(content, 100).members
    for identity in game.enrolled:
        game.waiting[identity] = content
    sealed = {}
    for number, member in enumerate(members):
        if member.mask_key == LOW_ORDER:
            corrupt = number
            continue
        answered = game.clients[member.identity].share(content)
        sealed[number] = messages.shares_from(answered, 4, SEALED_SHARE_BYTES).sealed
    own = next(i for i, member in enumerate(members) if member.identity == first(game))
    client = game.clients[first(game)]
    # By the key that both agree on.
    key, context = client._seal_key(corrupt), client._context(corrupt, own)
    forged = seal(key, bytes(2 * SHARE_BYTES), context)
    box = []
    for number in range(5):
        if number == own:
            continue
        if number == corrupt:
            box.append(forged)
        else:
            box.append(sealed[number][own - (own > number)])
    inbox = messages.Inbox(sharers=list(range(5)), sealed=box)
    return to_client(game, "mask", inbox.to_bytes())


def terms_with(**changes):
    def send():
        game = Round(5)
        client = game.client(game.keys[0], least_threshold=4)
        game.clients[first(game)] = client
        content = msgspec.structs.replace(game.terms, **changes).to_bytes()
        return to_client(game, "advertise", content)

    return send


def a_repeated_round():
    game = Round(5)
    seen = {game.terms.round}
    game.clients[first(game)] = game.client(
        game.keys[0], is_new_round=lambda round_id: round_id not in seen
    )
    return to_client(game, "advertise", game.waiting[first(game)])


def another_version():
    game = Round(5)
    content = bytearray(game.terms.to_bytes())
    number = content.index(b"\xa5terms") + 6
    assert content[number] == messages.VERSION
    content[number] += 1
    return to_client(game, "advertise", bytes(content))


def a_message_of_another_kind():
    game = Round(5).until("agree")
    content = messages.Inbox(sharers=[0], sealed=[]).to_bytes()
    return to_client(game, "agree", content)


def survivors_where_signatures_are_expected():
    """Without the round of consistency, in a round that has it."""
    game = Round(6).until("agree")
    game.clients[first(game)].agree(game.waiting[first(game)])
    return to_client(game, "reveal", game.waiting[first(game)])


def signatures_of_those_who_left():
    """A corrupt client that sent no values signs who survived, and counts as one of them."""
    game = Round(7).until("mask")
    corrupt = next(key for key in game.keys[1:] if key.public != first(game))
    game.phase([corrupt.public])
    game.until("reveal")
    agreements = messages.agreements_from(game.waiting[first(game)], 7)
    client = game.clients[first(game)]
    signatures = dict(zip(agreements.seats, agreements.signatures, strict=True))
    signatures[seat_of(game, corrupt.public)] = corrupt.sign(client._agreed())
    seats = sorted(signatures)
    content = messages.Agreements(seats=seats, signatures=[signatures[seat] for seat in seats])
    return to_client(game, "reveal", content.to_bytes())


def one_signature_for_all():
    """A corrupt client's signature in the name of each."""
    game = Round(6).until("reveal")
    agreements = messages.agreements_from(game.waiting[first(game)], 6)
    copied = [agreements.signatures[0]] * len(agreements.seats)
    content = messages.Agreements(seats=agreements.seats, signatures=copied)
    return to_client(game, "reveal", content.to_bytes())


def fewer_signatures_than_seats():
    game = Round(6).until("reveal")
    agreements = messages.agreements_from(game.waiting[first(game)], 6)
    content = messages.Agreements(seats=agreements.seats, signatures=agreements.signatures[:-1])
    return to_client(game, "reveal", content.to_bytes())


def one_signer_twice():
    game = Round(6).until("reveal")
    agreements = messages.agreements_from(game.waiting[first(game)], 6)
    seats = [agreements.seats[0], *agreements.seats[:-1]]
    signatures = [agreements.signatures[0], *agreements.signatures[:-1]]
    content = messages.Agreements(seats=seats, signatures=signatures)
    return to_client(game, "reveal", content.to_bytes())


def one_survivor_twice():
    game = Round(6).until("agree")
    content = messages.Survivors(seats=[0, 1, 1, 2, 3, 4]).to_bytes()
    return to_client(game, "agree", content)


def shares_back_to_their_sender():
    """What a client sealed for a peer, as if the peer had sealed it."""
    game = Round(6).until("share")
    sent = {identity: answer(game, identity) for identity in sorted(game.enrolled)}
    for identity, content in sent.items():
        game.server.receive(identity, content)
    game.steps.pop(0)
    game.waiting = game.server.advance()
    back = messages.shares_from(sent[first(game)], 5, SEALED_SHARE_BYTES).sealed
    content = replaced(game.waiting[first(game)], messages.Inbox, sealed=back)
    return to_client(game, "mask", content)


def cut(step, bytes_less=1):
    def send():
        game = Round(5).until(step)
        return to_client(game, step, game.waiting[first(game)][:-bytes_less])

    return send


def with_a_byte_more(step):
    def send():
        game = Round(5).until(step)
        return to_client(game, step, game.waiting[first(game)] + b"\x00")

    return send


def oversize(step):
    def send():
        game = Round(5).until(step)
        return to_client(game, step, bytes(20_000_000))

    return send


# Of a client or the network, against the server


def keys_for_another_round():
    game = Round(5)
    terms = msgspec.structs.replace(game.terms, round=os.urandom(32))
    public = AgreementKey().public, AgreementKey().public
    content = advertised(game, game.keys[0], *public, terms).to_bytes()
    return to_server(game, first(game), content)


def keys_in_the_name_of_another():
    game = Round(5)
    return to_server(game, game.keys[1].public, answer(game))


def keys_of_low_order_for_the_server():
    game = Round(5)
    content = advertised(game, game.keys[0], LOW_ORDER, AgreementKey().public)
    return to_server(game, first(game), content.to_bytes())


def a_copied_key_in_other_bytes():
    """X25519 does not look at the highest bit: the same key twice, and the bytes differ."""
    game = Round(5)
    content = answer(game, game.keys[1].public)
    game.server.receive(game.keys[1].public, content)
    copied = messages.advertisement_from(content).mask_key
    mask_key = copied[:-1] + bytes([copied[-1] | 0x80])
    forged = advertised(game, game.keys[0], AgreementKey().public, mask_key)
    return to_server(game, first(game), forged.to_bytes())


def keys_of_nobody():
    game = Round(5)
    stranger = Round(3)
    content = advertised(game, stranger.keys[0], AgreementKey().public, AgreementKey().public)
    return to_server(game, stranger.keys[0].public, content.to_bytes())


def a_message_twice(step):
    def send():
        game = Round(5).until(step)
        content = answer(game)
        game.server.receive(first(game), content)
        return to_server(game, first(game), content)

    return send


def a_message_of_the_phase_before(step):
    def send():
        game = Round(5).until(STEPS[STEPS.index(step) - 1])
        before = {}
        for identity, content in game.waiting.items():
            before[identity] = getattr(game.clients[identity], game.steps[0])(content)
            game.server.receive(identity, before[identity])
        game.steps.pop(0)
        game.waiting = game.server.advance()
        return to_server(game, first(game), before[first(game)])

    return send


def a_late_masked_input():
    game = Round(5).until("mask")
    late = answer(game)
    game.phase([first(game)])
    return to_server(game, first(game), late)


def shares_for_one_less():
    game = Round(5).until("share")
    sealed = messages.shares_from(answer(game), 4, SEALED_SHARE_BYTES).sealed
    return to_server(game, first(game), messages.SealedShares(sealed=sealed[1:]).to_bytes())


def a_share_too_long():
    game = Round(5).until("share")
    sealed = messages.shares_from(answer(game), 4, SEALED_SHARE_BYTES).sealed
    sealed[0] += b"\x00"
    return to_server(game, first(game), messages.SealedShares(sealed=sealed).to_bytes())


def too_few_values():
    game = Round(5).until("mask")
    values = messages.input_from(answer(game), game.terms).values
    return to_server(game, first(game), messages.MaskedInput(values=values[:-1]).to_bytes())


def bits_behind_the_values():
    game = Round(5, count=3, bits=3).until("mask")
    return to_server(game, first(game), messages.MaskedInput(values=b"\xff\xff").to_bytes())


def a_signature_of_another_client():
    game = Round(5).until("agree")
    return to_server(game, first(game), answer(game, game.keys[1].public))


def a_signature_of_a_round_before():
    game = Round(5).until("agree")
    other = Round(5).until("agree")
    seats = list(range(5))
    signed = game.keys[0].sign(agreed_survivors(other.server._roster, seats, seats))
    return to_server(game, first(game), messages.Agreement(signature=signed).to_bytes())


def a_share_beyond_the_field():
    game = Round(5).until("reveal")
    shares = messages.revealed_from(answer(game), 5, SHARE_BYTES).shares
    shares[0] = b"\xff" * SHARE_BYTES
    return to_server(game, first(game), messages.RevealedShares(shares=shares).to_bytes())


def a_share_of_both_secrets():
    """More than was asked for: the server shall not have it, even if a client gives it."""
    game = Round(5).until("reveal")
    shares = messages.revealed_from(answer(game), 5, SHARE_BYTES).shares
    shares[0] *= 2
    return to_server(game, first(game), messages.RevealedShares(shares=shares).to_bytes())


def cut_for_the_server(step):
    def send():
        game = Round(5).until(step)
        return to_server(game, first(game), answer(game)[:-1])

    return send


def oversize_for_the_server(step):
    def send():
        game = Round(5).until(step)
        return to_server(game, first(game), bytes(20_000_000))

    return send


ATTACKS = {
    "both secrets by two sets of survivors": Attack(
        CLIENT, "message of reveal, not of agree", both_secrets_by_two_sets_of_survivors
    ),
    "both secrets by two reveals": Attack(
        CLIENT, "message of done, not of reveal", both_secrets_by_two_reveals
    ),
    "a second unmask request": Attack(
        CLIENT, "message of done, not of reveal", a_second_unmask_request
    ),
    "survivors changed after they were signed": Attack(
        CLIENT, "told of other survivors", survivors_changed_after_they_were_signed
    ),
    "sharers told to each differently": Attack(
        CLIENT, "told of other survivors", sharers_told_to_each_differently
    ),
    "rosters told to each differently": Attack(
        CLIENT, "changed, or for somebody else", rosters_told_to_each_differently
    ),
    "a client of the server's own": Attack(CLIENT, "not enrolled", a_client_of_the_servers_own),
    "keys of the server's own": Attack(CLIENT, "did not sign", keys_of_the_servers_own),
    "keys that were exchanged": Attack(CLIENT, "did not sign", keys_that_were_exchanged),
    "keys of a round before": Attack(CLIENT, "did not sign", keys_of_a_round_before),
    "keys for other terms": Attack(CLIENT, "did not sign", keys_for_other_terms),
    "all-zero keys": Attack(CLIENT, "low order", all_zero_keys),
    "mask keys of low order": Attack(CLIENT, "low order", mask_keys_of_low_order),
    "a threshold below the policy's": Attack(
        CLIENT, "threshold of 4 or more, got 3", terms_with(threshold=3)
    ),
    "another model": Attack(CLIENT, "another model or plan", terms_with(context=bytes(32))),
    "more values": Attack(CLIENT, "expected 50 values", terms_with(count=51)),
    "another modulus": Attack(CLIENT, "of 20 bits, got 50 of 21", terms_with(bits=21)),
    "no round of consistency": Attack(CLIENT, "all are told the same", terms_with(is_active=False)),
    "few peers with a dishonest server": Attack(CLIENT, "all are peers", terms_with(peers=2)),
    "a repeated round": Attack(CLIENT, "before", a_repeated_round),
    "another version": Attack(CLIENT, "expected RoundTerms", another_version),
    "a message of another kind": Attack(CLIENT, "expected Survivors", a_message_of_another_kind),
    "survivors where signatures are expected": Attack(
        CLIENT, "expected Agreements", survivors_where_signatures_are_expected
    ),
    "signatures of those who left": Attack(
        CLIENT, "signed who did not survive", signatures_of_those_who_left
    ),
    "one signature for all": Attack(CLIENT, "told of other survivors", one_signature_for_all),
    "fewer signatures than seats": Attack(
        CLIENT, "expected 5 signatures, got 4", fewer_signatures_than_seats
    ),
    "one signer twice": Attack(CLIENT, "in their order", one_signer_twice),
    "one survivor twice": Attack(CLIENT, "in their order", one_survivor_twice),
    "shares back to their sender": Attack(
        CLIENT, "changed, or for somebody else", shares_back_to_their_sender
    ),
    **{f"cut: {step}": Attack(CLIENT, "expected", cut(step)) for step in STEPS},
    **{
        f"a byte more: {step}": Attack(CLIENT, "expected", with_a_byte_more(step)) for step in STEPS
    },
    **{f"oversize: {step}": Attack(CLIENT, "at most", oversize(step)) for step in STEPS},
    "keys for another round": Attack(SERVER, "did not sign", keys_for_another_round),
    "keys in the name of another": Attack(SERVER, "another client's", keys_in_the_name_of_another),
    "keys of low order for the server": Attack(
        SERVER, "low order", keys_of_low_order_for_the_server
    ),
    "a copied key in other bytes": Attack(
        SERVER, "other bytes of its point", a_copied_key_in_other_bytes
    ),
    "keys of nobody": Attack(SERVER, "not enrolled", keys_of_nobody),
    **{
        f"twice: {step}": Attack(SERVER, "already|has ended", a_message_twice(step))
        for step in STEPS
    },
    **{
        f"of the phase before: {step}": Attack(
            SERVER, "expected", a_message_of_the_phase_before(step)
        )
        for step in STEPS[1:]
    },
    "a late masked input": Attack(SERVER, "has ended", a_late_masked_input),
    "shares for one less": Attack(SERVER, "expected 4 of them, got 3", shares_for_one_less),
    "a share too long": Attack(SERVER, "bytes each", a_share_too_long),
    "too few values": Attack(SERVER, "125 bytes of masked values, got 124", too_few_values),
    "bits behind the values": Attack(SERVER, "zeros behind", bits_behind_the_values),
    "a signature of another client": Attack(
        SERVER, "no signature of who survived", a_signature_of_another_client
    ),
    "a signature of a round before": Attack(
        SERVER, "no signature of who survived", a_signature_of_a_round_before
    ),
    "a share beyond the field": Attack(SERVER, "beyond the field", a_share_beyond_the_field),
    "a share of both secrets": Attack(SERVER, "bytes each", a_share_of_both_secrets),
    **{
        f"cut, for the server: {step}": Attack(SERVER, "expected", cut_for_the_server(step))
        for step in STEPS
    },
    **{
        f"oversize, for the server: {step}": Attack(
            SERVER, "at most", oversize_for_the_server(step)
        )
        for step in STEPS
    },
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_by_whom_it_would_harm(name):
    attack = ATTACKS[name]
    party, deed, arguments = attack.send()
    assert type(party) is attack.party
    with pytest.raises(RefusedMessageError, match=attack.match):
        deed(*arguments)
    if attack.party is CLIENT:
        # Its secrets are forgotten, and it answers nothing any more.
        assert party._values is None
        assert party._shares is None
        with pytest.raises(RefusedMessageError, match="has ended"):
            deed(*arguments)


def test_each_attack_is_listed_on_the_page_with_who_refuses_it():
    page = (Path(__file__).parents[3] / "docs" / "secure-aggregation.md").read_text("utf-8")
    table = page.partition("| attack | what is tried | refused by |\n")[2].partition("\n\n")[0]
    listed = {}
    for line in table.splitlines()[1:]:
        name, _, refusing = line.strip("| ").split(" | ")
        listed[name.partition(": ")[0]] = refusing
    expected = {
        name.partition(": ")[0]: {CLIENT: "client", SERVER: "server"}[attack.party]
        for name, attack in ATTACKS.items()
    }
    assert listed == expected
    assert f"{len(ATTACKS)} attacks of {len(expected)} sorts" in page


def test_colluding_clients_below_the_threshold_have_no_secret():
    """Of four shares of five each secret is as likely: theirs give another one, or none."""
    game = Round(7).until("reveal")
    victim = game.clients[first(game)]
    seat = seat_of(game, first(game))
    colluding = [other for other in range(7) if other != seat][: game.threshold - 1]
    roster = game.server._roster
    held = [game.clients[roster.identities[other]]._shares[seat] for other in colluding]
    secrets = []
    for secret, start in ((victim._seed, 0), (victim._mask_key.private, SHARE_BYTES)):
        shares = elements_of([both[start : start + SHARE_BYTES] for both in held])
        points = np.array(colluding) + 1
        for guess in (0, 1, 40_000):
            # A share of their own making, in place of the one they lack.
            forged = np.full((1, 16), guess, np.uint32)
            missing = np.append(points, seat + 1)
            rows = np.concatenate([shares, forged])[:, np.newaxis]
            try:
                secrets.append(join(missing, rows)[0] == secret)
            except ValueError:
                secrets.append(False)
    assert not any(secrets)


def test_as_many_as_the_threshold_would_have_it():
    """The check of the one before: with one share more the secret comes out."""
    game = Round(7).until("reveal")
    seat = seat_of(game, first(game))
    roster = game.server._roster
    holders = list(range(game.threshold))
    held = [game.clients[roster.identities[other]]._shares[seat] for other in holders]
    shares = elements_of([both[:SHARE_BYTES] for both in held])
    seed = join(np.array(holders) + 1, shares[:, np.newaxis])[0]
    assert seed == game.clients[first(game)]._seed


@pytest.mark.parametrize("step", STEPS)
def test_no_flipped_bit_changes_a_sum(step):
    """One bit of each message to a client, one after the other: the client refuses, or goes on as
    if nothing were; the sum is right, or there is none.
    """
    rng = np.random.default_rng(STEPS.index(step))
    for _ in range(25):
        game = Round(4, count=2).until(step)
        content = bytearray(game.waiting[first(game)])
        bit = int(rng.integers(0, 8 * len(content)))
        content[bit // 8] ^= 1 << bit % 8
        game.waiting[first(game)] = bytes(content)
        refusing = 0
        while game.steps:
            refusing += flipped_phase(game)
        assert refusing >= 1
        assert np.array_equal(game.server.total, game.expected())


def flipped_phase(game):
    """A phase in which who refuses leaves; return how many do."""
    step = game.steps.pop(0)
    refusing = 0
    for identity, content in game.waiting.items():
        try:
            answered = getattr(game.clients[identity], step)(content)
            game.server.receive(identity, answered)
        except RefusedMessageError:
            refusing += 1
            continue
        if step == "mask":
            game.sent.add(identity)
    game.waiting = game.server.advance()
    return refusing


def test_terms_are_what_every_signature_is_about():
    """No field of the terms can be changed without another digest."""
    terms = RoundTerms(round=bytes(32), context=bytes(32), count=5, bits=20, threshold=3)
    changes = {
        "round": b"\x01" * 32,
        "context": b"\x01" * 32,
        "count": 6,
        "bits": 21,
        "threshold": 4,
        "peers": 2,
        "is_active": False,
    }
    assert {"version", *changes} == set(terms.__struct_fields__)
    digests = {msgspec.structs.replace(terms, **{name: changes[name]}).digest for name in changes}
    assert len(digests | {terms.digest}) == len(changes) + 1

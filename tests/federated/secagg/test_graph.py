"""How many peers are enough, beside the sums of Bell et al. (CCS 2020, section 3) in fractions."""

import math
import os
from fractions import Fraction

import msgspec
import pytest
from tests.federated.secagg.conftest import Round

from handheld.errors import InputError
from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.graph import (
    GraphParameters,
    GraphRisks,
    graph_parameters,
    least_threshold,
)
from handheld.federated.secagg.messages import Advertisement, RoundTerms
from handheld.federated.secagg.roster import RoundRoster


def chance(total, marked, drawn, value):
    """That of so many drawn without return so many are marked."""
    ways = math.comb(marked, value) * math.comb(total - marked, drawn - value)
    return Fraction(ways, math.comb(total, drawn))


def reference_threshold(clients, corrupt, staying, others, peers, risks):
    """The least t with n P[corrupt peers >= t] within half of 2^-sigma, if n P[peers who stay < t]
    is within 2^-eta.
    """
    secure = Fraction(1, 2 ** (risks.security_bits + 1))
    correct = Fraction(1, 2**risks.correctness_bits)
    for threshold in range(2, peers + 1):
        over = sum(chance(others, corrupt, peers, x) for x in range(threshold, peers + 1))
        if clients * over > secure:
            continue
        under = sum(chance(others, staying, peers, x) for x in range(threshold))
        if clients * under <= correct:
            return threshold
        return None
    return None


def reference(clients, risks, others):
    """The fewest neighbours, by the paper's three events, one after the other."""
    corrupt = math.ceil(Fraction(str(risks.corrupt)) * clients)
    leaving = math.ceil(Fraction(str(risks.dropout)) * clients)
    staying = others - leaving
    for peers in range(2, clients - 1, 2):
        # All of two runs of peers / 2 clients are gone, for each pair of places on the ring.
        pairs = Fraction(clients * (clients - peers - 1), 2)
        apart = pairs * Fraction(math.comb(corrupt + leaving, peers), math.comb(clients, peers))
        if apart > Fraction(1, 2 ** (risks.security_bits + 1)):
            continue
        threshold = reference_threshold(clients, corrupt, staying, others, peers, risks)
        if threshold is not None:
            return GraphParameters(peers=peers, threshold=threshold)
    return None


@pytest.mark.parametrize("clients", [20, 50, 100, 200, 333])
@pytest.mark.parametrize(
    "risks",
    [
        GraphRisks(),
        GraphRisks(corrupt=0.05, dropout=0.3),
        GraphRisks(corrupt=0.2, dropout=0.1, security_bits=60),
        GraphRisks(corrupt=0, dropout=0),
    ],
    ids=range(4),
)
def test_reference_of_a_graph_in_fractions(clients, risks):
    expected = reference(clients, risks, clients - 1)
    if expected is None:
        assert graph_parameters(clients, risks).peers == 0
    else:
        assert graph_parameters(clients, risks) == expected


def test_corrupt_clients_are_among_the_others():
    """An honest client's peers are 44 of 99, of whom 33 are corrupt; of 100 it would be 32."""
    risks = GraphRisks(corrupt=0.33, dropout=0.1)
    assert least_threshold(100, 44, risks) == 33
    assert reference_threshold(100, 33, 99, 99, 44, risks) == 33
    assert reference_threshold(100, 33, 100, 100, 44, risks) == 32


# Of google-parfait/federated-compute, fcp/secagg/server/graph_parameter_finder_test.cc (sigma = 40,
# eta = 20), which draws a client's peers from all clients instead of from the others.
PUBLISHED = [
    (100, 0.45, 0.45, 92, 46),
    (100, 0.33, 0.33, 68, 34),
    (100, 0.05, 0.33, 28, 6),
    (100, 0.33, 0.05, 34, 29),
    (100, 0.05, 0.05, 12, 6),
    (1000, 0.33, 0.33, 286, 150),
    (1000, 0.05, 0.33, 72, 24),
    (1000, 0.33, 0.05, 78, 60),
    (1000, 0.05, 0.05, 30, 17),
]


@pytest.mark.parametrize(("clients", "corrupt", "dropout", "peers", "threshold"), PUBLISHED)
def test_reference_of_published_graphs(clients, corrupt, dropout, peers, threshold):
    risks = GraphRisks(corrupt=corrupt, dropout=dropout, correctness_bits=20)
    assert graph_parameters(clients, risks) == GraphParameters(peers=peers, threshold=threshold)
    if clients == 100:
        assert reference(clients, risks, clients) == graph_parameters(clients, risks)


def test_peers_grow_like_the_logarithm():
    risks = GraphRisks()
    peers = [graph_parameters(clients, risks).peers for clients in (100, 1000, 10_000, 60_000)]
    assert peers == [16, 40, 46, 50]


def test_a_graph_for_any_number_that_may_come():
    risks = GraphRisks()
    parameters = graph_parameters(200, risks, fewest=150)
    for clients in range(150, 201):
        assert parameters.peers >= graph_parameters(clients, risks).peers
        assert parameters.threshold >= least_threshold(clients, parameters.peers, risks)


def test_where_no_graph_is_safe_all_are_peers():
    risks = GraphRisks(corrupt=0.33, dropout=0.33)
    assert graph_parameters(10, risks) == GraphParameters(peers=0, threshold=6)
    assert graph_parameters(3, risks) == GraphParameters(peers=0, threshold=2)


def test_too_many_who_leave():
    with pytest.raises(InputError, match=r"6 or more of 10 clients stay, got 4.*dropout 0\.6"):
        graph_parameters(10, GraphRisks(corrupt=0.4, dropout=0.6))


@pytest.mark.parametrize(("clients", "fewest"), [(2, None), (70_000, None), (10, 11), (10, 2)])
def test_numbers_of_clients_out_of_range(clients, fewest):
    with pytest.raises(InputError, match=r"clients|fewest"):
        graph_parameters(clients, GraphRisks(), fewest=fewest)


# What a client refuses by its own computation


def refused(game, match):
    identity = game.keys[0].public
    with pytest.raises(RefusedMessageError, match=match):
        game.clients[identity].share(game.waiting[identity])


RISKS = GraphRisks(corrupt=0.05, dropout=0.1)


def test_fewer_peers_than_the_policy_computes():
    assert graph_parameters(40, RISKS).peers == 8
    game = Round(40, peers=6, threshold=5, active=False, graph=RISKS).until("share")
    refused(game, "expected 8 peers or more of 40 clients, got 6")


def test_a_lower_threshold_than_the_policy_computes():
    assert graph_parameters(40, RISKS).threshold == 3
    game = Round(40, peers=10, threshold=2, active=False, graph=RISKS).until("share")
    refused(game, "threshold of 3 or more among 10 peers of 40 clients, got 2")


def test_more_peers_than_needed_are_taken():
    game = Round(40, peers=12, threshold=6, active=False, graph=RISKS).until("share")
    game.phase()


def test_a_graph_where_all_have_to_be_peers():
    risks = GraphRisks(corrupt=0.33, dropout=0.33)
    game = Round(10, peers=8, threshold=6, active=False, graph=risks).until("share")
    refused(game, "all 10 clients are peers")


def test_a_graph_where_none_is_safe():
    risks = GraphRisks(corrupt=0.4, dropout=0.6)
    game = Round(10, peers=8, threshold=6, active=False, graph=risks).until("share")
    refused(game, "no graph is safe")


def test_a_graph_that_the_policy_does_not_know():
    game = Round(40, peers=10, threshold=6, active=False)
    with pytest.raises(RefusedMessageError, match="as the policy says"):
        game.phase()


def test_an_odd_number_of_peers():
    game = Round(40, peers=11, threshold=6, active=False, graph=RISKS)
    with pytest.raises(RefusedMessageError, match="even number of peers, got 11"):
        game.phase()


# The ring


def ring(clients, peers):
    terms = RoundTerms(
        round=os.urandom(32), context=bytes(32), count=1, bits=8, threshold=2, peers=peers
    )
    members = [
        Advertisement(
            identity=os.urandom(32),
            cipher_key=os.urandom(32),
            mask_key=os.urandom(32),
            signature=bytes(64),
        )
        for _ in range(clients)
    ]
    members.sort(key=lambda member: member.identity)
    return RoundRoster(terms, tuple(members))


@pytest.mark.parametrize(("clients", "peers"), [(10, 4), (11, 8), (30, 2)])
def test_each_has_so_many_peers_who_have_it(clients, peers):
    roster = ring(clients, peers)
    for seat in range(clients):
        assert len(roster.peers(seat)) == peers
        assert all(seat in roster.peers(peer) for peer in roster.peers(seat))
        for position, holder in enumerate(roster.holders(seat)):
            assert roster.position(seat, holder) == position


def test_the_order_of_the_ring_is_that_of_the_roster_alone():
    roster = ring(30, 4)
    assert roster._ring == RoundRoster(roster.terms, roster.members)._ring
    terms = msgspec.structs.replace(roster.terms, round=bytes(32))
    assert roster._ring != RoundRoster(terms, roster.members)._ring


def test_neighbours_are_even():
    """Chi-squared of the distance between a client and its first peer, over 2,000 rings of 11."""
    counts = [0] * 11
    for _ in range(2000):
        roster = ring(11, 2)
        counts[roster._ring[(roster._ring_positions[0] + 1) % 11]] += 1
    assert counts[0] == 0
    assert sum((count - 200) ** 2 / 200 for count in counts[1:]) < 40  # 9 degrees, 1 in 130,000

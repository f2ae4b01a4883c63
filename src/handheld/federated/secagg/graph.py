"""How few peers a client may have: the graph of Bell et al., and what it is safe against.

Bell et al., "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead" (CCS 2020): clients
stand on a ring in an order that nobody chose, and the peers of each are its neighbours to both
sides. Three things must not happen, but with a small chance, when some clients are corrupt and
others leave: that of somebody's peers as many are corrupt as shares give a secret; that the honest
who stay fall into two groups without a mask between them, so that the sum of each comes out; that
of somebody fewer peers stay than shares are needed.

The graph is for a server that is curious but follows the protocol (section 3 of the paper), alone
or together with the corrupt clients: they were corrupt before the ring was drawn, and who leaves
does not depend on it. Against a dishonest server all have to be peers.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.federated.secagg.shares import MOST_SHARES
from handheld.ranges import in_range, whole_in_range

LEAST_THRESHOLD = 2
"""Of whom one alone gives no secret."""

_MARGIN = 1e-6  # what rounding may add to a chance; sums of 65,536 logarithms are off by 1e-9
_LEAST_CLIENTS = 3  # with two each knows what the other sent


@dataclass(frozen=True, kw_only=True)
class GraphRisks:
    """What is assumed of clients, and what may happen with which chance.

    Args:
        corrupt: share of clients that are corrupt (the paper's gamma), in [0, 1).
        dropout: share of clients that leave (delta), in [0, 1).
        security_bits: secrets come out with a chance of 2 to the power of minus this at most
            (sigma), in [1, 128].
        correctness_bits: the sum is lost with such a chance at most (eta), in [1, 128].

    Raises:
        InputError: a value is out of its range.
    """

    corrupt: float = 0.05
    dropout: float = 0.1
    security_bits: int = 40
    correctness_bits: int = 30

    def __post_init__(self) -> None:
        in_range("corrupt", self.corrupt, low=0, high=1, high_open=True)
        in_range("dropout", self.dropout, low=0, high=1, high_open=True)
        whole_in_range("security_bits", self.security_bits, low=1, high=128)
        whole_in_range("correctness_bits", self.correctness_bits, low=1, high=128)


@dataclass(frozen=True, kw_only=True)
class GraphParameters:
    """A graph that is safe.

    Attributes:
        peers: of each client, an even number; 0: all are peers.
        threshold: shares that give a secret, of a client's peers' and its own.
    """

    peers: int
    threshold: int


@lru_cache(maxsize=64)
def graph_parameters(
    clients: int, risks: GraphRisks, *, fewest: int | None = None
) -> GraphParameters:
    """Return the fewest peers with which a round is safe, and their threshold.

    For a server that is curious but follows the protocol, and for corrupt clients who tell it what
    they know. Where a share of clients is no whole number the next one counts.

    >>> graph_parameters(1000, GraphRisks(corrupt=0.05, dropout=0.1))
    GraphParameters(peers=40, threshold=19)

    Args:
        clients: that take part, in [3, 65536].
        risks: what is assumed of them.
        fewest: that may come of those who were asked, in [3, clients]; None: all come. It is safe
            for every number between.

    Raises:
        InputError: no graph is safe, nor are all as peers: too many are corrupt or leave.
    """
    whole_in_range("clients", clients, low=_LEAST_CLIENTS, high=MOST_SHARES)
    if fewest is None:
        fewest = clients
    whole_in_range("fewest", fewest, low=_LEAST_CLIENTS, high=clients)
    sizes = range(fewest, clients + 1)
    for peers in range(2, fewest - 1, 2):
        threshold = _safe_threshold(sizes, peers, risks)
        if threshold is not None:
            return GraphParameters(peers=peers, threshold=threshold)
    return _complete(sizes, risks)


def _safe_threshold(sizes: range, peers: int, risks: GraphRisks) -> int | None:
    """Return the least that is safe, and can be met, whatever number of clients takes part."""
    if not all(_is_connected(clients, peers, risks) for clients in sizes):
        return None
    threshold = max(least_threshold(clients, peers, risks) for clients in sizes)
    if all(threshold <= _most_threshold(clients, peers, risks) for clients in sizes):
        return threshold
    return None


def least_threshold(clients: int, peers: int, risks: GraphRisks) -> int:
    """Return the fewest shares that the corrupt peers of no honest client have together.

    Args:
        clients: that take part, in [3, 65536].
        peers: of each, in [2, clients - 1].
        risks: of which the corrupt and ``security_bits`` count.
    """
    # Half of what is allowed is for this, half for a graph in pieces; and any client may be hit.
    allowed = 2.0 ** -(risks.security_bits + 1) / clients
    corrupt = _upper(risks.corrupt, clients)
    # An honest client's peers are of the others, among whom all corrupt ones are.
    chances = _hypergeometric(clients - 1, min(corrupt, clients - 1), peers)
    at_least = np.cumsum(chances[::-1])[::-1] * (1 + _MARGIN)
    safe = np.flatnonzero(at_least <= allowed)
    if len(safe):
        return max(LEAST_THRESHOLD, int(safe[0]))
    return peers + 1


def _most_threshold(clients: int, peers: int, risks: GraphRisks) -> int:
    """Return the most shares that peers of everybody stay to give."""
    allowed = 2.0**-risks.correctness_bits / clients
    leaving = _upper(risks.dropout, clients)
    chances = _hypergeometric(clients - 1, clients - 1 - min(leaving, clients - 1), peers)
    fewer = np.concatenate([[0.0], np.cumsum(chances)[:-1]]) * (1 + _MARGIN)
    return int(np.flatnonzero(fewer <= allowed)[-1])


def _is_connected(clients: int, peers: int, risks: GraphRisks) -> bool:
    """Return whether the honest who stay are in one piece.

    A ring of which each is tied to ``peers`` / 2 on both sides falls apart only where at two places
    so many in a row are gone. The chance is bounded by the sum over all pairs of places.
    """
    gone = _upper(risks.corrupt, clients) + _upper(risks.dropout, clients)
    if gone < peers:
        return True
    if gone >= clients:
        return False
    pairs = math.log(clients) + math.log(clients - peers - 1) - math.log(2)
    all_gone = _log_choose(clients - peers, gone - peers) - _log_choose(clients, gone)
    allowed = -(risks.security_bits + 1) * math.log(2)
    return pairs + all_gone + _MARGIN <= allowed


def _complete(sizes: range, risks: GraphRisks) -> GraphParameters:
    """Return the threshold where all are peers: a majority, and more than are corrupt."""
    clients = sizes[-1]
    threshold = max(clients // 2, _upper(risks.corrupt, clients)) + 1
    staying = min(size - _upper(risks.dropout, size) for size in sizes)
    if threshold > staying:
        raise InputError(
            f"expected that {threshold} or more of {clients} clients stay, got {staying}: "
            f"too many are assumed to leave (dropout {risks.dropout}) or corrupt ({risks.corrupt})"
        )
    return GraphParameters(peers=0, threshold=threshold)


def _upper(share: float, clients: int) -> int:
    """Return how many clients a share of them is at most."""
    # 0.07 * 100 is a little over 7, and is meant to be 7.
    return math.ceil(share * clients - _MARGIN)


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)


def _hypergeometric(total: int, marked: int, drawn: int) -> NDArray[np.float64]:
    """Return the chances of 0, 1, ... ``drawn`` marked ones among those that are drawn."""
    logs = _log_factorials(total)
    values = np.arange(drawn + 1)
    is_possible = (values <= marked) & (drawn - values <= total - marked)
    value = values[is_possible]
    unmarked = drawn - value
    log_chances = (
        logs[marked]
        - logs[value]
        - logs[marked - value]
        + logs[total - marked]
        - logs[unmarked]
        - logs[total - marked - unmarked]
        - (logs[total] - logs[drawn] - logs[total - drawn])
    )
    chances = np.zeros(drawn + 1)
    chances[is_possible] = np.exp(log_chances)
    return chances


@lru_cache(maxsize=4)
def _log_factorials(highest: int) -> NDArray[np.float64]:
    """Return the logarithms of 0!, 1!, ... ``highest``!."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, highest + 1)))])

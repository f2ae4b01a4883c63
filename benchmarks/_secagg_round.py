"""A round of ``federated.secagg`` in one process, its CPU seconds counted by phase and party."""

import math
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from handheld.federated.secagg import messages
from handheld.federated.secagg.client import ClientPolicy, SecureAggregationClient
from handheld.federated.secagg.graph import GraphRisks, graph_parameters
from handheld.federated.secagg.keys import AgreementKey, SigningKey
from handheld.federated.secagg.messages import Advertisement, RoundTerms
from handheld.federated.secagg.packing import packed_bytes
from handheld.federated.secagg.secrets_of_round import SEALED_SHARE_BYTES, SHARE_BYTES
from handheld.federated.secagg.server import SecureAggregationServer

VALUE_BITS = 16
ACTIVE, SEMI_HONEST, GRAPH = "active", "semi-honest", "few peers"
PHASES = ("advertise", "share", "mask", "agree", "reveal")
RISKS = GraphRisks(corrupt=0.05, dropout=0.3)

_CONTEXT = bytes(32)


@dataclass
class Costs:
    """CPU seconds by phase, and bytes.

    Attributes:
        client: of all clients together.
        server: of the server.
        sent: bytes that the first client sent and was sent.
    """

    client: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    server: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    sent: int = 0

    @property
    def total(self) -> float:
        """CPU seconds of all."""
        return sum(self.client.values()) + sum(self.server.values())


def terms_of(protocol: str, clients: int, values: int) -> RoundTerms:
    """Return the terms of a round, by what its clients demand."""
    threshold, peers = clients // 2 + 1, 0
    if protocol == ACTIVE:
        threshold = 2 * clients // 3 + 1
    if protocol == GRAPH:
        parameters = graph_parameters(clients, RISKS)
        threshold, peers = parameters.threshold, parameters.peers
    return RoundTerms(
        round=os.urandom(32),
        context=_CONTEXT,
        count=values,
        bits=VALUE_BITS + math.ceil(math.log2(clients)),
        threshold=threshold,
        peers=peers,
        is_active=protocol == ACTIVE,
    )


def play(protocol: str, clients: int, values: int, dropped: float) -> Costs:
    """Play a round, of whose clients a share leaves before it sends its values.

    Raises:
        AssertionError: the sum is not right to the bit.
    """
    terms = terms_of(protocol, clients, values)
    keys = [SigningKey() for _ in range(clients)]
    enrolled = {key.public for key in keys}
    policy = ClientPolicy(
        context=_CONTEXT,
        bits=terms.bits,
        needs_consistency=terms.is_active,
        graph=RISKS,
        is_enrolled=enrolled.__contains__,
        is_new_round=lambda round_id: True,
    )
    parties: dict[bytes, SecureAggregationClient] = {}
    for seed, key in enumerate(keys):
        parties[key.public] = SecureAggregationClient(key, _values(seed, values), policy)
    server = SecureAggregationServer(terms, enrolled.__contains__, most_clients=clients)
    leaving = [key.public for key in keys[clients - round(dropped * clients) :]]
    costs = _phases(parties, server, leaving, keys[0].public)
    expected = np.zeros(values, np.uint64)
    for seed in range(clients - len(leaving)):
        expected += _values(seed, values)
    assert server.total is not None
    assert np.array_equal(server.total, expected)
    return costs


def _phases(
    parties: dict[bytes, SecureAggregationClient],
    server: SecureAggregationServer,
    leaving: list[bytes],
    watched: bytes,
) -> Costs:
    """Carry all messages, and count the seconds that they cost each side."""
    costs = Costs()
    waiting = dict.fromkeys(parties, server.terms.to_bytes())
    for phase in PHASES:
        if phase == "agree" and not server.terms.is_active:
            continue
        if phase == "mask":
            waiting = {name: content for name, content in waiting.items() if name not in leaving}
        for identity, content in waiting.items():
            began = time.process_time()
            answer = getattr(parties[identity], phase)(content)
            answered = time.process_time()
            server.receive(identity, answer)
            costs.client[phase] += answered - began
            costs.server[phase] += time.process_time() - answered
            if identity == watched:
                costs.sent += len(content) + len(answer)
        began = time.process_time()
        waiting = server.advance()
        costs.server[phase] += time.process_time() - began
    return costs


def message_bytes(protocol: str, clients: int, values: int) -> int:
    """Return the bytes that a client sends and is sent in a round that nobody leaves.

    Its messages are written out with as many entries of the real sizes; what is in them does not
    change their length.
    """
    terms = terms_of(protocol, clients, values)
    advertisement = _advertisement()
    peers = terms.peers or clients - 1
    seats = list(range(clients))
    sealed = [bytes(SEALED_SHARE_BYTES)] * peers
    written = [
        terms,
        advertisement,
        messages.Roster(members=[advertisement] * clients),
        messages.SealedShares(sealed=sealed),
        messages.Inbox(sharers=seats, sealed=sealed),
        messages.MaskedInput(values=bytes(packed_bytes(values, terms.bits))),
        messages.Survivors(seats=seats),
        messages.RevealedShares(shares=[bytes(SHARE_BYTES)] * (peers + 1)),
    ]
    if terms.is_active:
        signed = [bytes(64)] * terms.threshold
        written.append(messages.Agreement(signature=bytes(64)))
        written.append(messages.Agreements(seats=seats[: terms.threshold], signatures=signed))
    return sum(len(message.to_bytes()) for message in written)


def _advertisement() -> Advertisement:
    key = AgreementKey().public
    return Advertisement(identity=key, cipher_key=key, mask_key=key, signature=bytes(64))


def _values(seed: int, count: int) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 1 << VALUE_BITS, count, np.uint32)

"""A round of secure aggregation in one process, whose messages a test carries, changes or loses."""

import os

import numpy as np

from handheld.federated.secagg.client import ClientPolicy, SecureAggregationClient
from handheld.federated.secagg.keys import SigningKey
from handheld.federated.secagg.messages import RoundTerms
from handheld.federated.secagg.server import SecureAggregationServer

CONTEXT = bytes(range(32))
STEPS = ("advertise", "share", "mask", "agree", "reveal")


class Round:
    """Clients and a server, whose messages a test carries, changes or loses."""

    def __init__(
        self, clients, *, count=50, bits=20, threshold=None, peers=0, active=True, graph=None
    ):
        self.keys = [SigningKey() for _ in range(clients)]
        self.graph = graph
        self.enrolled = {key.public for key in self.keys}
        self.threshold = threshold or 2 * clients // 3 + 1
        self.terms = RoundTerms(
            round=os.urandom(32),
            context=CONTEXT,
            count=count,
            bits=bits,
            threshold=self.threshold,
            peers=peers,
            is_active=active,
        )
        rng = np.random.default_rng(clients)
        self.values = {
            key.public: rng.integers(0, 1 << bits, count, np.uint32) for key in self.keys
        }
        self.clients = {key.public: self.client(key) for key in self.keys}
        self.server = SecureAggregationServer(self.terms, self.enrolled.__contains__)
        self.steps = [step for step in STEPS if active or step != "agree"]
        self.waiting = dict.fromkeys(self.clients, self.terms.to_bytes())
        self.sent = set()

    def client(self, key, **changes):
        demands = {
            "context": CONTEXT,
            "bits": self.terms.bits,
            "needs_consistency": self.terms.is_active,
            "graph": self.graph,
            "is_enrolled": self.enrolled.__contains__,
            "is_new_round": lambda round_id: True,
        }
        policy = ClientPolicy(**demands | changes)
        return SecureAggregationClient(key, self.values[key.public], policy)

    def phase(self, gone=(), order=None):
        """Let those who are still there, but for some, answer; return what the server says next."""
        step = self.steps.pop(0)
        identities = [identity for identity in self.waiting if identity not in gone]
        if order is not None:
            order.shuffle(identities)
        for identity in identities:
            answer = getattr(self.clients[identity], step)(self.waiting[identity])
            self.server.receive(identity, answer)
            if step == "mask":
                self.sent.add(identity)
        self.waiting = self.server.advance()
        return self.waiting

    def until(self, step):
        """Go on, with everybody, to where clients are to take a step."""
        while self.steps[0] != step:
            self.phase()
        return self

    def expected(self):
        total = sum(self.values[identity].astype(np.uint64) for identity in self.sent)
        return total & ((1 << self.terms.bits) - 1)

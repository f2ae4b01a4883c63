"""Clients and a server of a Flower app without Flower: what travels is bytes."""

from pathlib import Path

import numpy as np
from msgspec.structs import replace

from handheld.federated.algorithms import FedAvg
from handheld.federated.device import ClientDemands
from handheld.federated.flower.client_side import ClientSide, TrainedModel
from handheld.federated.flower.messages import (
    secure_answer_from,
    step_offer_from,
    train_offer_from,
)
from handheld.federated.flower.plan import UpdatePlan
from handheld.federated.flower.secure_client import SecureClient
from handheld.federated.flower.secure_server import SecureRound
from handheld.federated.flower.server_side import ServerSide
from handheld.federated.stages import Clip, WholeNumbers

CLIENTS = 4
LENGTH = 4.0
SECURE = UpdatePlan((Clip(LENGTH), WholeNumbers(CLIENTS, 16)), uniform=True)
MODEL = {"weight": np.zeros((2, 3), np.float32), "bias": np.ones(2, np.float32)}


def trained(number, examples=1.0):
    """Return what client ``number`` makes of the model: each of its 8 numbers grows by number."""
    arrays = {name: array + np.float32(number) for name, array in MODEL.items()}
    return TrainedModel(arrays, examples)


class SecureApp:
    """A round of secure aggregation, step by step, over folders of clients."""

    def __init__(self, path: Path, *, clients=CLIENTS, threshold=3, demands=None):
        self.clients = {
            node: SecureClient(SECURE, path / str(node), demands or ClientDemands())
            for node in range(1, clients + 1)
        }
        self.server = ServerSide(FedAvg(), SECURE, seed=1)
        offer = self.server.begin(MODEL)
        self.terms = self.server.terms(offer, threshold, is_active=True)
        self.offer = replace(offer, terms=self.terms)
        self.round = SecureRound(self.terms, lambda identity: True, CLIENTS)
        self.offers = {}

    def begin(self, gone=()):
        for node in self.clients:
            if node not in gone:
                self.round.receive(node, self.keys(node).to_bytes())
        self.offers = self.round.advance()

    def keys(self, node):
        side = ClientSide.of(SECURE, train_offer_from(self.offer.to_bytes()), MODEL)
        return self.clients[node].begin(side, trained(node / 10))

    def step(self, gone=()):
        for node, offer in self.offers.items():
            if node not in gone:
                answer = self.clients[node].go_on(step_offer_from(offer.to_bytes()))
                assert secure_answer_from(answer.to_bytes()) == answer
                self.round.receive(node, answer.to_bytes())
        self.offers = self.round.advance()

    def model(self):
        """Return the (8,) numbers of the model after the round."""
        arrays = self.server.close(self.round.sums())
        return np.concatenate([array.reshape(-1) for array in arrays.values()])

"""A client's half of a round, the same in a simulation and on a real device."""

from handheld.federated.client.answer import ClientAnswer, ClientRound, RejectedUpdateError

__all__ = ["ClientAnswer", "ClientRound", "RejectedUpdateError"]

"""A client's half of a round, the same in a simulation and on a real device."""

from handheld.federated.client.answer import ClientAnswer, ClientRound, RejectedUpdateError
from handheld.federated.client.seeds import SERVER, fresh_number, secret_seeds, seeds

__all__ = [
    "SERVER",
    "ClientAnswer",
    "ClientRound",
    "RejectedUpdateError",
    "fresh_number",
    "secret_seeds",
    "seeds",
]

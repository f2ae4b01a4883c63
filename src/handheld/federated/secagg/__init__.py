"""Secure aggregation: a server learns the sum of what many clients send, and nothing else of it.

Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning" (CCS 2017);
with few peers each Bell et al. (CCS 2020). Nothing here opens a socket, reads a clock or knows of
models: bytes in, bytes out.
"""

from handheld.federated.secagg.client import ClientPolicy, SecureAggregationClient
from handheld.federated.secagg.errors import RefusedMessageError, RoundFailedError
from handheld.federated.secagg.graph import GraphParameters, GraphRisks, graph_parameters
from handheld.federated.secagg.keys import SigningKey
from handheld.federated.secagg.messages import RoundTerms
from handheld.federated.secagg.server import SecureAggregationServer, ServerPhase

__all__ = [
    "ClientPolicy",
    "GraphParameters",
    "GraphRisks",
    "RefusedMessageError",
    "RoundFailedError",
    "RoundTerms",
    "SecureAggregationClient",
    "SecureAggregationServer",
    "ServerPhase",
    "SigningKey",
    "graph_parameters",
]

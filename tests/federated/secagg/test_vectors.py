"""What the protocol's bytes are, kept as they were: it cannot change without this being seen.

Where the protocol changes on purpose, with its version, they are written anew:

    python -m tests.federated.secagg.test_vectors
"""

import hashlib
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from handheld.federated.secagg import messages
from handheld.federated.secagg.client import ClientPolicy, SecureAggregationClient, pair_context
from handheld.federated.secagg.graph import GraphRisks, graph_parameters
from handheld.federated.secagg.keys import AgreementKey, SigningKey, seal
from handheld.federated.secagg.masks import MaskGenerator, word_type
from handheld.federated.secagg.messages import Advertisement, RoundTerms
from handheld.federated.secagg.packing import pack
from handheld.federated.secagg.roster import RoundRoster, signed_keys
from handheld.federated.secagg.secrets_of_round import SEALED_SHARE_BYTES, split_both
from handheld.federated.secagg.server import SecureAggregationServer
from handheld.federated.secagg.shares import split

FOLDER = Path(__file__).parent / "vectors"
STEPS = {True: ("advertise", "share", "mask", "agree", "reveal")}
STEPS[False] = tuple(step for step in STEPS[True] if step != "agree")


def numbered(number):
    """32 bytes that say which they are."""
    return bytes([number]) * 32


class Stream:
    """In place of the operating system's generator: SHA-256 of a counter."""

    def __init__(self):
        self._drawn = 0

    def __call__(self, size):
        content = b""
        while len(content) < size:
            content += hashlib.sha256(self._drawn.to_bytes(8, "big")).digest()
            self._drawn += 1
        return content[:size]


def terms_of(**changes):
    fields = {"round": numbered(1), "context": numbered(2), "count": 5, "bits": 20, "threshold": 3}
    return RoundTerms(**fields | changes)


def advertisement(number, terms):
    identity = SigningKey(numbered(number))
    cipher_key, mask_key = AgreementKey(numbered(number + 50)), AgreementKey(numbered(number + 100))
    keys = signed_keys(terms, cipher_key.public, mask_key.public)
    return Advertisement(
        identity=identity.public,
        cipher_key=cipher_key.public,
        mask_key=mask_key.public,
        signature=identity.sign(keys),
    )


def roster_of(terms):
    members = [advertisement(number, terms) for number in range(10, 14)]
    return RoundRoster(terms, tuple(sorted(members, key=lambda member: member.identity)))


def masks():
    """From keys to masks."""
    roster = roster_of(terms_of())
    one, other = AgreementKey(numbered(110)), AgreementKey(numbered(111))
    context = pair_context(roster)
    seed = one.agree(other.public, context)
    vectors = {
        "private": one.private.hex(),
        "public": one.public.hex(),
        "other": other.public.hex(),
        "pair context": context.hex(),
        "seed": seed.hex(),
    }
    for bits in (16, 32):
        values = np.zeros(6, word_type(bits))
        MaskGenerator(roster.digest).add(values, seed)
        vectors[f"words of {bits} bits"] = values.tolist()
    with mock.patch("os.urandom", Stream()):
        vectors["sealed"] = seal(seed, b"content", b"context").hex()
    return vectors


def shares():
    """Of a polynomial whose coefficients are the stream's."""
    with mock.patch("os.urandom", Stream()):
        elements = split(bytes(range(8)), 5, 3)
    with mock.patch("os.urandom", Stream()):
        both = split_both(numbered(7), numbered(8), 3, 2)
    return {"elements": elements.tolist(), "both": [share.hex() for share in both]}


def packing():
    values = np.arange(11, dtype=np.uint32) * 390_451_573 + 77
    widths = (1, 7, 8, 13, 16, 17, 20, 24, 31, 32)
    return {str(bits): pack(values, bits).hex() for bits in widths}


def digests():
    vectors = {}
    for name, changes in {"active": {}, "graph": {"peers": 2, "is_active": False}}.items():
        terms = terms_of(**changes)
        roster = roster_of(terms)
        vectors[name] = {
            "terms": terms.digest.hex(),
            "roster": roster.digest.hex(),
            "ring": roster._ring,
        }
    return vectors


def graphs():
    vectors = {}
    for clients in (10, 100, 500, 1000, 10_000):
        for dropout in (0.1, 0.3):
            parameters = graph_parameters(clients, GraphRisks(dropout=dropout))
            vectors[f"{clients}, {dropout}"] = [parameters.peers, parameters.threshold]
    return vectors


def transcript(active):
    """Every message of a round of four, of whom one leaves before it sends its values."""
    with mock.patch("os.urandom", Stream()):
        return _transcript(active)


def _transcript(active):
    keys = [SigningKey(numbered(number)) for number in range(10, 14)]
    identities = {key.public for key in keys}
    terms = terms_of(is_active=active)
    policy = ClientPolicy(
        context=terms.context,
        bits=terms.bits,
        needs_consistency=active,
        is_enrolled=identities.__contains__,
        is_new_round=lambda round_id: True,
    )
    clients = {
        key.public: SecureAggregationClient(key, np.arange(5, dtype=np.uint32) + number, policy)
        for number, key in enumerate(keys)
    }
    server = SecureAggregationServer(terms, identities.__contains__)
    waiting = dict.fromkeys(sorted(identities), terms.to_bytes())
    lines = []
    for step in STEPS[active]:
        if step == "mask":
            del waiting[keys[2].public]
        for identity, content in waiting.items():
            answer = getattr(clients[identity], step)(content)
            lines.append({"to": identity.hex()[:8], "step": step, "message": content.hex()})
            lines.append({"from": identity.hex()[:8], "step": step, "message": answer.hex()})
            server.receive(identity, answer)
        waiting = server.advance()
    lines.append({"total": server.total.tolist()})
    return lines


VECTORS = {
    "masks": masks,
    "shares": shares,
    "packing": packing,
    "digests": digests,
    "graphs": graphs,
    "active": lambda: transcript(True),
    "semi_honest": lambda: transcript(False),
}


@pytest.mark.parametrize("name", VECTORS)
def test_reference_of_kept_bytes(name):
    kept = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    assert VECTORS[name]() == kept


@pytest.mark.parametrize("active", [True, False])
def test_kept_messages_are_read_as_they_were_written(active):
    name = {True: "active", False: "semi_honest"}[active]
    lines = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    read = {
        "advertise": (messages.terms_from, messages.advertisement_from),
        "mask": (
            lambda content: messages.inbox_from(content, 4, SEALED_SHARE_BYTES),
            lambda content: messages.input_from(content, terms_of()),
        ),
        "agree": (
            lambda content: messages.survivors_from(content, 4),
            messages.agreement_from,
        ),
    }
    seen = set()
    for line in lines:
        if line.get("step") in read:
            content = bytes.fromhex(line["message"])
            message = read[line["step"]]["from" in line](content)
            assert message.to_bytes() == content
            seen.add(type(message).__name__)
    assert len(seen) == (6 if active else 4)
    # Values 0 to 4 of one, and 1 to 5 and 3 to 7 of two more; who had 2 to 6 left.
    assert lines[-1]["total"] == [4, 7, 10, 13, 16]


def write():
    FOLDER.mkdir(exist_ok=True)
    for name, vectors in VECTORS.items():
        (FOLDER / f"{name}.json").write_text(json.dumps(vectors(), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    write()

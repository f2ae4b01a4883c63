"""A device whose server is hostile: it says well signed what no server of ours says."""

import hashlib
import io
import json
import threading

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("numba")

from torch import nn

from handheld.errors import InputError
from handheld.federated.device import ExampleStore, Personalisation
from handheld.federated.device.agent import ClientTurn, FederationClient
from handheld.federated.device.demands import ClientDemands
from handheld.federated.device.device import ClientDevice
from handheld.federated.device.folder import ClientFolder
from handheld.federated.secagg.keys import SigningKey
from handheld.federated.secagg.messages import RoundTerms
from handheld.federated.tasks import evaluation, training
from handheld.federated.wire import messages as wire
from handheld.federated.wire.connection import WireAnswer

OPTIONS = {"name": "points", "shape": [6], "classes": 3, "model": {"network": "linear"}}
WHOLE = [{"name": "clip", "length": 2.0}, {"name": "whole_numbers", "clients": 16}]
NOISY = [{"name": "clip", "length": 2.0}, {"name": "local_noise", "multiplier": 30.0}]
NOISY_OPTIONS = {**OPTIONS, "stages": NOISY, "uniform": True, "clients": 10.0, "population": 50}
WEIGHTS = 21  # of the linear network


def terms(context, count=1024, bits=20):
    return RoundTerms(
        round=bytes(32), context=context, count=count, bits=bits, threshold=3, is_active=True
    ).to_bytes()


class HostileServer:
    """In place of a connection: offers a plan and a model as they are given, and keeps what comes.

    Args:
        plan, model: in bytes.
        purpose: that the offer names.
        terms: of a context, makes those of secure aggregation; None: the offer is plain.
    """

    def __init__(self, plan, model, *, purpose="training", terms=None):
        self.key = SigningKey()
        self.plan = plan
        self.model = model
        self.purpose = purpose
        self.terms = terms
        self.asked = []
        self.uploads = []
        self.identity = b""

    def ask(self, method, path, content=b"", *, headers=None, most_bytes):
        self.asked.append(path)
        return WireAnswer(200, self._answer(path, content))

    def close(self):
        pass

    def _answer(self, path, content):
        if path == "/v1/nonce":
            return wire.Nonce(nonce=b"n", server=self.key.public).to_bytes()
        if path == "/v1/enrol":
            self.identity = wire.message_from(content, wire.Enrolment).identity
            return wire.OpenSession(token="t", seconds=100.0).to_bytes()
        if path == "/v1/check-in":
            return wire.Selected(round="0" * 32, task="points").to_bytes()
        if path.endswith("/offer"):
            return self._offer()
        if "/messages/" in path:
            self.uploads.append(content)
            outcome = wire.RoundOutcome(counted=True, state="committed", reason="", seconds=7.0)
            return outcome.to_bytes()
        blobs = {hashlib.sha256(blob).hexdigest(): blob for blob in (self.plan, self.model)}
        return blobs[path.rpartition("/")[2]]

    def _offer(self):
        model = wire.BlobAddress(hashlib.sha256(self.model).digest(), len(self.model))
        plan = wire.BlobAddress(hashlib.sha256(self.plan).digest(), len(self.plan))
        plans = [wire.PlanAddress(1, plan)]
        content = wire.Offer(
            round="0" * 32,
            number=1,
            task="points",
            purpose=self.purpose,
            model=model,
            plans=plans,
            seconds=10.0,
            most_bytes=10_000,
            terms=self.terms(wire.context_of(model, plans)) if self.terms else b"",
        ).to_bytes()
        signature = self.key.sign(wire.signed_offer(self.identity, content))
        return wire.Signed(content=content, signature=signature).to_bytes()


@pytest.fixture
def client(tmp_path):
    """Make a device with some examples."""

    def make(server, count=20, **options):
        folder = tmp_path / f"device{count}"
        store = ExampleStore(folder / "examples.sqlite")
        rng = np.random.default_rng(0)
        for number in range(count):
            store.add(rng.normal(size=6).astype(np.float32), number % 3)
        device = ClientDevice(nn.Linear(6, 3), store)
        return FederationClient(
            ClientFolder(folder / "kept"), server, {"points": device}, **options
        )

    return make


def offering(task, *, trained=None, changes=None, arrays=None, terms=terms):
    """Return a server with a task, whose plan and model are changed."""
    plan = json.loads(task.plans()[1]) | (changes or {})
    model = task.public((trained or task).start())
    if arrays:
        content = io.BytesIO()
        np.savez(content, **dict(np.load(io.BytesIO(model))) | arrays)
        model = content.getvalue()
    return HostileServer(json.dumps(plan).encode(), model, purpose=task.purpose, terms=terms)


def test_an_honest_server_is_answered(client):
    server = offering(training(**OPTIONS, stages=WHOLE))
    assert client(server).take_turn().counted
    assert len(server.uploads) == 1


def test_a_plain_plan_under_a_secure_offer_gets_no_update(client):
    server = offering(training(**OPTIONS))
    with pytest.raises(InputError, match="expected secure aggregation"):
        client(server).take_turn()
    # Who demands nothing does not take the one for the other either.
    with pytest.raises(InputError, match="expected an offer of a plain upload"):
        client(server, demands=ClientDemands(secure=False)).take_turn()
    assert not server.uploads


def test_an_evaluation_adds_no_noise_and_is_refused_where_noise_is_demanded(client):
    server = offering(
        evaluation(**NOISY_OPTIONS),
        trained=training(**NOISY_OPTIONS),
        terms=lambda context: terms(context, count=4, bits=32),
    )
    with pytest.raises(InputError, match="an evaluation adds none"):
        client(server, demands=ClientDemands(local_epsilon=1.0)).take_turn()
    assert not server.uploads


def test_nothing_beside_an_update_tells_what_its_noise_hides(client):
    demands = ClientDemands(secure=False, local_epsilon=1.0)
    beside = []
    for count in (20, 0):
        server = offering(training(**NOISY_OPTIONS), terms=None)
        assert client(server, count, demands=demands).take_turn().counted
        _, _, content, *others = msgspec.msgpack.decode(server.uploads[0])
        assert len(content) == 4 * WEIGHTS
        beside.append(others)
    # A weight of 1, a loss of 0, and nothing else: with examples and without.
    assert beside == [[1.0, 0.0, b"", b""]] * 2


def test_how_many_examples_there_are_is_not_told_where_devices_count_alike(client):
    server = offering(training(**OPTIONS, uniform=True), terms=None)
    assert client(server, demands=ClientDemands(secure=False)).take_turn().counted
    assert msgspec.msgpack.decode(server.uploads[0])[3] == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shapes": [[10**9]]}, "a model of 21 weights, got one for 1,000,000,000"),
        ({"shapes": [[22]]}, "a model of 21 weights, got one for 22"),
        ({"statistics": 10**9}, "0 statistics or fewer, got one for 1,000,000,000"),
    ],
    ids=str,
)
def test_a_plan_for_another_model_ends_before_its_model_is_fetched(client, changes, words):
    server = offering(training(**OPTIONS, stages=WHOLE), changes=changes)
    with pytest.raises(InputError, match=words):
        client(server).take_turn()
    assert sum("/blobs/" in path for path in server.asked) == 1


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"about": np.array([0, 0])}, "what 2 stages keep, got that of 0"),
        ({"about": np.array([0, 3])}, "what 2 stages keep, got that of 3"),
        ({"weights": np.zeros(20, np.float32)}, "got 20 and 0"),
        ({"statistics": np.zeros(3)}, "got 21 and 3"),
        ({"weights": np.full(WEIGHTS, np.nan, np.float32)}, "not to blame"),
    ],
    ids=["fewer stages", "more stages", "weights", "statistics", "nan"],
)
def test_a_model_that_does_not_fit_its_plan_is_refused(client, arrays, words):
    server = offering(training(**OPTIONS, stages=WHOLE), arrays=arrays)
    with pytest.raises(InputError, match=words):
        client(server).take_turn()
    assert not server.uploads


def test_no_error_ends_a_device(client):
    # A length that no honest plan has: the grid's step is no number above 0.
    stages = [{"name": "clip", "length": 1e-300}, WHOLE[1]]
    server = offering(training(**OPTIONS, stages=WHOLE), changes={"stages": stages})
    stop = threading.Event()
    turns = []

    def progress(turn):
        turns.append(turn)
        stop.set()

    client(server).run(stop, progress=progress)
    assert not turns[0].counted
    assert "ZeroDivisionError" in turns[0].reason


@pytest.mark.parametrize(
    ("seconds", "shortest", "longest"), [(0.0, 0.1, 0.11), (1e7, 86_400, 95_040)]
)
def test_a_server_makes_no_device_ask_without_end_or_stay_away_for_years(
    client, seconds, shortest, longest
):
    class Stop(threading.Event):
        waited = None

        def wait(self, timeout=None):
            self.waited = timeout
            self.set()

    stop = Stop()
    one = client(offering(training(**OPTIONS, stages=WHOLE)))
    one.take_turn = lambda: ClientTurn(seconds)
    one.run(stop)
    assert shortest <= stop.waited <= longest


def test_a_turn_counts_though_the_users_own_model_cannot_be_fitted(client):
    server = offering(training(**NOISY_OPTIONS), terms=None)
    one = client(server, 0, demands=ClientDemands(secure=False), personalisation=Personalisation())
    turn = one.take_turn()
    assert (turn.counted, turn.seconds) == (True, 7.0)

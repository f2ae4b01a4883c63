"""Whole rounds over real TLS: sums are exact, whoever leaves, and each counts once."""

import pytest

from handheld.errors import FetchError, InputError
from handheld.federated.secagg.errors import RefusedMessageError
from handheld.federated.secagg.graph import GraphRisks, graph_parameters
from handheld.federated.wire.messages import ComeBack, RoundOutcome


@pytest.fixture
def settled():
    """Wait until a task has so many models; return the newest state."""

    def wait(ours, number, task="sum"):
        ours.until(lambda: ours.head(task)[0] >= number)
        return ours.head(task)[1]

    return wait


def test_a_secure_round_end_to_end(
    federation, start, device, together, book, settled, database_url
):
    server = start(federation(server={"database": database_url}))
    devices = [device(server, value=value) for value in (1, 10, 100)]
    outcomes = together(*[one.take_part for one in devices])
    assert [outcome.counted for outcome in outcomes] == [True, True, True]
    state = settled(book(server.folder, database_url), 1)
    assert (state["clients"], state["total"]) == (3, [111] * 5)


def test_a_round_of_a_server_that_is_trusted(federation, start, device, together, book):
    server = start(federation(tasks=[{"is_active": False}]))
    devices = [device(server, value=value) for value in (1, 10, 100)]
    outcomes = together(*[one.take_part for one in devices])
    assert [outcome.counted for outcome in outcomes] == [True, True, True]
    ours = book(server.folder)
    number, state = ours.until(lambda: ours.head()[0] and ours.head())
    assert (number, state["clients"], state["total"]) == (1, 3, [111] * 5)


def test_a_round_of_few_peers_each(federation, start, device, together, book):
    risks = {"corrupt": 0.1, "dropout": 0.1, "security_bits": 8, "correctness_bits": 4}
    graph = GraphRisks(**risks)
    peers = graph_parameters(24, graph, fewest=16).peers
    assert 0 < peers < 20
    task = {"is_active": False, "few_peers": risks, "goal": 24}
    server = start(federation(tasks=[task | {"report_seconds": 3.0, "phase_seconds": 3.0}]))
    devices = [device(server, value=number, graph=graph) for number in range(24)]
    # One that trusts nobody with few peers is a drop-out.
    devices[0].graph = None
    results = together(*[lambda one=one: outcome_of(one) for one in devices])
    assert [result for result in results if isinstance(result, str)] == [
        "expected that all are peers, as the policy says"
    ]
    ours = book(server.folder)
    number, state = ours.until(lambda: ours.head()[0] and ours.head())
    assert (number, state["clients"], state["total"]) == (1, 23, [sum(range(24))] * 5)


def outcome_of(device):
    try:
        return device.take_part()
    except RefusedMessageError as error:
        return str(error)


def test_a_plain_round(federation, start, device, together, book, settled, database_url):
    folder = federation(server={"database": database_url}, tasks=[{"options": {"plain": True}}])
    server = start(folder)
    devices = [device(server, value=value) for value in (1, 10, 100)]
    outcomes = together(*[one.take_part for one in devices])
    assert [outcome.counted for outcome in outcomes] == [True, True, True]
    state = settled(book(folder, database_url), 1)
    assert (state["clients"], state["total"]) == (3, [111] * 5)


def test_groups_are_added_up(federation, start, device, together, book, settled):
    """11 devices in groups of at most 5: three groups, one sum."""
    server = start(federation(tasks=[{"goal": 11, "group": 5}]))
    devices = [device(server, value=1 << number) for number in range(11)]
    together(*[one.take_part for one in devices])
    ours = book(server.folder)
    state = settled(ours, 1)
    assert (state["clients"], state["total"]) == (11, [2047] * 5)
    commit = ours.ledger.head("sum")
    assert ours.store.get(commit.round).clients == 11


def test_one_who_leaves_in_the_middle(federation, start, device, together, book, settled):
    """Of four, one sends its keys and shares, and nothing more: the others' sum comes out."""
    folder = federation(tasks=[{"goal": 4, "least": 3, "phase_seconds": 1.0}])
    server = start(folder)
    devices = [device(server, value=value) for value in (1, 10, 100, 1000)]

    def leaves():
        offer = devices[3].session.offer(devices[3].selected())
        client = devices[3].client(offer)
        answer = devices[3].session.exchange(offer.round, 0, client.advertise(offer.terms))
        devices[3].session.exchange(offer.round, 1, client.share(answer.content))

    outcomes = together(*[one.take_part for one in devices[:3]], leaves)
    assert all(outcome.counted for outcome in outcomes[:3])
    state = settled(book(folder), 1)
    assert (state["clients"], state["total"]) == (3, [111] * 5)


def test_too_few_are_left_and_nothing_comes_out(
    federation, start, device, together, book, database_url
):
    folder = federation(
        server={"database": database_url},
        tasks=[{"goal": 3, "phase_seconds": 0.5, "pause_seconds": 60}],
    )
    server = start(folder)
    devices = [device(server) for _ in range(3)]

    def leaves():
        offer = devices[2].session.offer(devices[2].selected())
        client = devices[2].client(offer)
        devices[2].session.exchange(offer.round, 0, client.advertise(offer.terms))

    outcomes = together(devices[0].take_part, devices[1].take_part, leaves)
    assert not outcomes[0].counted
    ours = book(folder, database_url)
    (last,) = ours.store.last_rounds("sum")
    ours.until(lambda: ours.store.get(last.id).state == "abandoned")
    assert "3 clients or more shared their secrets, got 2" in ours.store.get(last.id).reason
    assert ours.head()[0] == 0


def test_those_who_are_too_many_are_sent_away(federation, start, device, together, book, settled):
    """Five are selected for three: the last two are told so, and none of it is in the sum."""
    folder = federation(
        tasks=[{"goal": 3, "over_selection": 1.6, "report_seconds": 30.0, "pause_seconds": 60}]
    )
    server = start(folder)
    devices = [device(server, value=1) for _ in range(5)]
    offers = together(*[lambda one=one: one.session.offer(one.selected()) for one in devices])
    outcomes = together(
        *[
            lambda one=one, offer=offer: one.send(offer)
            for one, offer in zip(devices, offers, strict=True)
        ]
    )
    assert sorted(outcome.counted for outcome in outcomes) == [False, False, True, True, True], (
        outcomes
    )
    reasons = {outcome.reason for outcome in outcomes if not outcome.counted}
    assert reasons <= {"enough others were faster", ""} or "3 clients" in str(reasons)
    assert settled(book(folder), 1)["clients"] == 3


def test_a_full_round_sends_devices_away_and_says_when_to_come(federation, start, device):
    server = start(federation(pace={"shortest": 2.0, "meeting": 10.0}))
    devices = [device(server) for _ in range(4)]
    for one in devices[:3]:
        one.selected()
    answer = devices[3].session.check_in(plans=[1])
    assert isinstance(answer, ComeBack)
    assert 2.0 <= answer.seconds <= 15.0


def test_tasks_side_by_side_and_one_that_measures_the_other(
    federation, start, device, together, book, settled
):
    tasks = [
        {"goal": 3, "rounds": 1},
        {
            "options": {"name": "measure", "plain": True, "purpose": "evaluation"},
            "model_of": "sum",
            "goal": 2,
            "least": 2,
            "rounds": 1,
        },
    ]
    server = start(federation(tasks=tasks))
    learners = [device(server, value=2) for _ in range(3)]
    measurers = [device(server, value=5) for _ in range(2)]
    offers = []

    def measure(one):
        offer = one.session.offer(one.selected(["measure"]))
        offers.append(offer)
        return one.send(offer)

    together(
        *[lambda one=one: one.take_part(["sum"]) for one in learners],
        *[lambda one=one: measure(one) for one in measurers],
    )
    ours = book(server.folder)
    assert settled(ours, 1)["total"] == [6] * 5
    ours.until(lambda: ours.ledger.head("measure").number == 1)
    measured = ours.ledger.head("measure")
    assert measured.figures["accuracy"] == 0.5
    assert {offer.purpose for offer in offers} == {"evaluation"}
    # What it measured stays what it was.
    started = ours.ledger.history("sum")[-1]
    learned = ours.ledger.head("sum")
    assert measured.model_blob in (started.model_blob, learned.model_blob)
    ours.until(lambda: {row.state for row in ours.ledger.tasks()} == {"done"})


def test_what_a_device_cannot_do_is_not_asked_of_it(federation, start, device):
    tasks = [{"needs": ["a camera"]}]
    server = start(federation(tasks=tasks))
    device(server).selected(abilities=["a camera"])  # a round is open
    one = device(server)
    assert isinstance(one.session.check_in(plans=[1]), ComeBack)
    assert isinstance(one.session.check_in(plans=[9], abilities=["a camera"]), ComeBack)
    assert isinstance(
        one.session.check_in(plans=[1], abilities=["a camera"], tasks=["another"]), ComeBack
    )
    assert one.selected(plans=[2, 9], abilities=["a camera"]).task == "sum"


def test_a_device_rests_after_a_round(federation, start, device, together, book, settled):
    folder = federation(tasks=[{"options": {"plain": True}, "goal": 1, "rest": 2}])
    server = start(folder)
    ours = book(folder)
    first, second = device(server), device(server)
    first.take_part()
    settled(ours, 1)
    ours.until(lambda: [row for row in ours.store.last_rounds("sum") if row.base == 1])
    answer = ours.until(lambda: first.session.check_in(plans=[1]).reason)
    assert answer == "this device took part a short while ago"
    for number in (2, 3):
        second = device(server)
        second.take_part()
        settled(ours, number)
    assert first.take_part().counted


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("refuses", "these numbers make no sense"),
        ("raises", "ZeroDivisionError: a bug of the task"),
    ],
)
def test_a_task_that_fails_is_paused_and_the_others_go_on(
    federation, start, device, together, book, settled, broken, words
):
    tasks = [
        {
            "options": {"name": "bad", "broken": broken, "plain": True},
            "goal": 1,
            "most_failures": 2,
        },
        {"options": {"name": "good", "plain": True}, "goal": 1},
    ]
    server = start(federation(tasks=tasks))
    ours = book(server.folder)
    one = device(server)
    for _ in range(2):
        one.take_part(["bad"])
    ours.until(lambda: ours.ledger.task("bad").state == "paused")
    assert words in ours.ledger.task("bad").reason
    one.take_part(["good"])
    settled(ours, 1, "good")
    assert ours.head("bad")[0] == 0


def test_a_goal_of_fewer_than_a_sum_may_have_pauses_the_task(federation, start, book):
    server = start(federation(tasks=[{"goal": 2}]))
    ours = book(server.folder)
    ours.until(lambda: ours.ledger.task("sum").state == "paused")
    assert "goal: expected 3 devices or more" in ours.ledger.task("sum").reason


def test_bytes_of_a_round_are_those_that_devices_counted(
    federation, start, device, together, book, database_url
):
    server = start(federation(server={"database": database_url}, tasks=[{"goal": 6}]))
    devices = [device(server) for _ in range(6)]
    before = [(one.connection.sent, one.connection.received) for one in devices]
    together(*(one.take_part for one in devices))
    ours = book(server.folder, database_url)

    def committed():
        rounds = ours.store.last_rounds("sum")
        return next((row for row in rounds if row.state == "committed"), None)

    row = ours.until(committed)
    sent = sum(one.connection.sent - up for one, (up, _) in zip(devices, before, strict=True))
    received = sum(
        one.connection.received - down for one, (_, down) in zip(devices, before, strict=True)
    )
    # Beside them go check-ins, offers and outcomes, of some hundred bytes a device.
    assert 0 <= sent - row.bytes_up <= 6 * 100
    assert 0 <= received - row.bytes_down <= 6 * 700


def test_a_model_is_checked_by_its_hash(federation, start, device):
    server = start(federation(tasks=[{"goal": 1, "options": {"plain": True}}]))
    one = device(server)
    offer = one.session.offer(one.selected())
    assert one.session.blob(offer.model).startswith(b"model of ")
    assert one.session.blob(offer.plans[1].blob) == b"send ones, version 2"
    with pytest.raises(FetchError, match="status 404"):
        one.session.blob(type(offer.model)(bytes(32), 100))


def test_the_same_again_does_no_harm_and_another_is_refused(federation, start, device):
    server = start(federation(tasks=[{"goal": 2, "options": {"plain": True}}]))
    one, other = device(server), device(server)
    selected = one.selected()
    assert one.session.check_in(plans=[1]) == selected
    other.selected()
    offer = one.session.offer(selected)
    first = one.session.exchange(offer.round, 0, b"[1, 1, 1, 1, 1]")
    again = one.session.exchange(offer.round, 0, b"[1, 1, 1, 1, 1]")
    assert isinstance(first, RoundOutcome)
    assert first.counted
    assert again.counted
    with pytest.raises(InputError, match="sent something else"):
        one.session.exchange(offer.round, 0, b"[2, 2, 2, 2, 2]")


def test_a_round_to_which_nobody_comes_is_abandoned(federation, start, book, database_url):
    folder = federation(
        server={"database": database_url},
        tasks=[{"selection_seconds": 0.2, "most_failures": 2}],
    )
    server = start(folder)
    ours = book(folder, database_url)

    def abandoned():
        return [line for line in server.log() if line["event"] == "round abandoned"]

    ours.until(lambda: len(abandoned()) > 3)
    assert "expected 3 devices or more to come, got 0" in abandoned()[0]["reason"]
    # As at night: that is no fault of the task.
    assert ours.ledger.task("sum").state == "running"

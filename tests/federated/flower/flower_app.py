"""A small app of Flower's, and a grid in this process that carries its messages as bytes would."""

import copy
from pathlib import Path

import numpy as np
import pytest

# Flower holds the packages of this environment to older versions, so it has an environment of its
# own: see docs/use-with-flower.md.
pytest.importorskip("flwr", reason="Flower is not installed: docs/use-with-flower.md says how")

from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.task_identity import TaskIdentity

from handheld.federated.algorithms import ServerState
from handheld.federated.learning.learner import Learned

RATE = 0.5
EXAMPLES = np.array([1, 2, 3, 4])
# No two clients are as far from each other as two others: Krum's choice has no ties.
TARGETS = (np.arange(32, dtype=np.float32).reshape(4, 8) / 24) ** 2
"""Where each client's weights would like to be."""

START = {"weight": np.zeros((2, 3), np.float32), "bias": np.ones(2, np.float32)}
_SERVER = 1
_FIRST_NODE = 100


def flat(arrays):
    return np.concatenate([np.asarray(array).reshape(-1) for array in arrays.values()])


def change(number, weights):
    """Return by how much a client changes weights (8,)."""
    return (np.float32(RATE) * (TARGETS[number] - weights)).astype(np.float32)


class SameTraining:
    """The same population for our simulator."""

    at_once = 1
    examples = EXAMPLES
    shapes = ((2, 3), (2,))

    def start(self):
        return flat(START)

    def learn(self, task, users, states):
        weights = task.state.weights
        return [Learned(change(user, weights), float(EXAMPLES[user]), 0.1, 0.5) for user in users]

    def evaluate(self, state: ServerState):
        return {"loss": float(np.square(state.weights).sum())}


def client_app(mods):
    """Return an app that trains as ``SameTraining``."""
    app = ClientApp(mods=mods)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        assert set(message.content) == {"arrays", "config"}, "an app sees what is its own"
        number = context.node_config["partition-id"]
        arrays = {name: array.numpy() for name, array in message.content["arrays"].items()}
        weights = flat(arrays)
        after = weights + change(number, weights)
        learned = {"weight": after[:6].reshape(2, 3), "bias": after[6:]}
        metrics = {"num-examples": int(EXAMPLES[number]), "loss": float(number)}
        content = {
            "arrays": ArrayRecord({name: _array(value) for name, value in learned.items()}),
            "metrics": MetricRecord(metrics),
        }
        return Message(RecordDict(content), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"num-examples": 1, "accuracy": 0.5})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def _array(value):
    from flwr.app import Array

    return Array(np.asarray(value, np.float32))


def model():
    return ArrayRecord({name: _array(array) for name, array in START.items()})


class LocalGrid(Grid):
    """Carries messages to apps in this process, and keeps what it carried.

    Args:
        apps: one of each client.
        gone: whether a client does not answer a message of the run, by its number and that of the
            messages before.
    """

    def __init__(self, apps, gone=lambda number, calls: False):
        TaskIdentity.run_id = TaskIdentity.task_id = 1
        TaskIdentity.node_id = _SERVER
        self.apps = apps
        self.gone = gone
        self.calls = 0
        self.carried = []
        self.contexts = [
            Context(
                run_id=1,
                node_id=_FIRST_NODE + number,
                node_config={"partition-id": number, "num-partitions": len(apps)},
                state=RecordDict(),
                run_config={},
            )
            for number in range(len(apps))
        ]

    def set_run(self, run):
        raise NotImplementedError

    @property
    def run(self):
        raise NotImplementedError

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        raise NotImplementedError

    def get_node_ids(self):
        return [_FIRST_NODE + number for number in range(len(self.apps))]

    def push_messages(self, messages):
        raise NotImplementedError

    def pull_messages(self, message_ids):
        raise NotImplementedError

    def send_and_receive(self, messages, *, timeout=None):
        replies = []
        for message in messages:
            number = message.metadata.dst_node_id - _FIRST_NODE
            if self.gone(number, self.calls):
                replies.append(Message(Error(code=0, reason="gone"), reply_to=message))
                continue
            request = copy.deepcopy(message)
            reply = copy.deepcopy(self.apps[number](request, self.contexts[number]))
            self.carried.append((number, message, reply))
            replies.append(reply)
        self.calls += 1
        return replies


def apps(mods, count=4):
    """Return one app for all clients."""
    return [client_app(mods)] * count


def folder_in(path: Path):
    """Return where each client keeps its identity."""
    return lambda context: path / str(context.node_config["partition-id"])


def everybody(**more):
    """Return Flower's options by which all of four clients train, and nobody evaluates."""
    return {
        "min_train_nodes": 4,
        "min_available_nodes": 4,
        "fraction_evaluate": 0.0,
        **more,
    }


__all__ = [
    "EXAMPLES",
    "START",
    "TARGETS",
    "ConfigRecord",
    "LocalGrid",
    "SameTraining",
    "apps",
    "change",
    "client_app",
    "everybody",
    "flat",
    "folder_in",
    "model",
]

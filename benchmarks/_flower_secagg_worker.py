"""A round of Flower's SecAgg+ (flwr 1.41) in one process, without engine and without messages'
bytes: its workflow asks, its mod answers, and CPU seconds of both are counted apart.

    python _flower_secagg_worker.py JOB.json-text

The job has ``clients``, ``values``, ``dropped`` (a share of the clients, who leave before they send
their masked values) and ``neighbours``. Prints a line of JSON.
"""

import copy
import json
import logging
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, RecordDict
from flwr.client.mod import secaggplus_mod
from flwr.common import Code, FitIns, FitRes, Status, ndarrays_to_parameters
from flwr.compat.common import recorddict_compat as compat
from flwr.server import LegacyContext
from flwr.server.client_manager import SimpleClientManager
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key
from flwr.supercore.task_identity import TaskIdentity

_EXAMPLES = 10
_SERVER = 1  # its node


class _Proxy:
    """What the strategy samples."""

    def __init__(self, node: int) -> None:
        self.node_id = node
        self.cid = str(node)


class _Everybody(FedAvg):
    """All clients take part, and what comes out is the mean."""

    def __init__(self, nodes: Iterable[int]) -> None:
        super().__init__()
        self._nodes = list(nodes)

    def configure_fit(self, server_round: int, parameters: Any, client_manager: Any) -> Any:
        instructions = FitIns(parameters, {})
        return [(_Proxy(node), instructions) for node in self._nodes]


class _Grid:
    """Carries messages from the workflow to the mods, and counts their seconds."""

    def __init__(self, values: dict[int, np.ndarray], leaving: set[int]) -> None:
        self.seconds = 0.0
        self.carried = 0.0
        self._values = values
        self._leaving = leaving
        self._contexts = {
            node: Context(run_id=1, node_id=node, node_config={}, state=RecordDict(), run_config={})
            for node in values
        }
        self._calls = 0

    def send_and_receive(self, messages: Iterable[Message], **_: Any) -> list[Message]:
        answers = []
        self._calls += 1
        for message in messages:
            if self._calls >= 3 and message.metadata.dst_node_id in self._leaving:
                answers.append(Message(Error(code=0, reason="gone"), reply_to=message))
                continue
            answers.append(self._answer(message))
        return answers

    def _answer(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        # The engine would send bytes: what a client does to a message is its own affair.
        began = time.process_time()
        message = copy.deepcopy(message)
        self.carried += time.process_time() - began
        began = time.process_time()
        answer = secaggplus_mod(message, self._contexts[node], self._fit)
        self.seconds += time.process_time() - began
        return answer

    def _fit(self, message: Message, context: Context) -> Message:
        outcome = FitRes(
            status=Status(Code.OK, ""),
            parameters=ndarrays_to_parameters([self._values[context.node_id]]),
            num_examples=_EXAMPLES,
            metrics={},
        )
        return Message(compat.fitres_to_recorddict(outcome, False), reply_to=message)


def main() -> None:
    job = json.loads(sys.argv[1])
    logging.getLogger("flwr").setLevel(logging.ERROR)
    TaskIdentity.run_id = TaskIdentity.task_id = 1
    TaskIdentity.node_id = _SERVER
    rng = np.random.default_rng(0)
    nodes = range(100, 100 + job["clients"])
    values = {node: rng.uniform(-1, 1, job["values"]).astype(np.float32) for node in nodes}
    leaving = set(list(nodes)[: round(job["dropped"] * job["clients"])])
    state = RecordDict()
    state[MAIN_CONFIGS_RECORD] = ConfigRecord({Key.CURRENT_ROUND: 1})
    state[MAIN_PARAMS_RECORD] = ArrayRecord([np.zeros(job["values"], np.float32)])
    context = LegacyContext(
        Context(run_id=1, node_id=_SERVER, node_config={}, state=state, run_config={}),
        strategy=_Everybody(nodes),
        client_manager=SimpleClientManager(),
    )
    workflow = SecAggPlusWorkflow(
        num_shares=job["neighbours"] + 1, reconstruction_threshold=job["threshold"]
    )
    grid = _Grid(values, leaving)
    began = time.process_time()
    workflow(grid, context)
    seconds = time.process_time() - began
    mean = context.state.array_records[MAIN_PARAMS_RECORD].to_numpy_ndarrays()[0]
    expected = np.mean([values[node] for node in nodes if node not in leaving], axis=0)
    off = float(np.abs(mean - expected).max())
    print(
        json.dumps(
            {"client": grid.seconds, "server": seconds - grid.seconds - grid.carried, "off": off}
        )
    )


if __name__ == "__main__":
    main()

"""Devices that train a torch module.

One after another, or many in one go where the module is small.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from handheld._copies import copied
from handheld.errors import HandheldError, InputError, TrainingError
from handheld.federated.algorithms import ServerState
from handheld.federated.learning.descent import Descent, single_norms
from handheld.federated.learning.description import contents, structure
from handheld.federated.learning.evaluation import (
    ExampleScores,
    Metrics,
    PerUser,
    evaluate_examples,
    per_user,
)
from handheld.federated.learning.learner import (
    ClientTask,
    ClientWork,
    Doubles,
    Floats,
    Learned,
    Shape,
)
from handheld.federated.learning.parallel_descent import difference, learn_in_parallel
from handheld.federated.learning.plain_state import PlainState
from handheld.federated.learning.trainable import Loss, TrainableModule, batch_of, cross_entropy
from handheld.federated.learning.trial import require_labels, tried
from handheld.federated.learning.users import Examples, Users
from handheld.federated.learning.vectors import ModuleLayout
from handheld.federated.user_code import raised, said
from handheld.ranges import whole_in_range
from handheld.training.runs import array_digest

# Side by side saves what torch takes for each call, which counts where a step is short.
_LARGEST = 50_000  # weights
_AT_ONCE = 64  # devices; the same on all machines, as it decides in which order sums are taken
# What gains from going side by side.
_SMALL = (nn.Linear, nn.Embedding, nn.EmbeddingBag, nn.LayerNorm)
_DRAWING = (nn.Dropout, nn.AlphaDropout)
_SAMPLE = 4  # examples of a trial: enough for a batch, and for one beside it


class ModuleLearner:
    """Devices with a torch module.

    The module's trainable weights are float32. Weights with ``requires_grad=False`` and buffers
    that training does not move stay as they are and never travel; statistics, such as the running
    means of batch normalisation, are averaged over devices by their examples, apart from the
    weights. What a module keeps in plain attributes begins anew with each device. Small modules of
    linear layers and embeddings learn side by side (``torch.func.vmap``) where that gives the same
    as one by one, others one by one.

    Args:
        module: takes (batch, ...) inputs; a copy of it is trained.
        users: devices and their examples.
        test: examples to evaluate on, which no device has; None evaluates nothing.
        loss: of what it says: (batch,) losses, one of each example.
        at_once: devices that learn side by side; found by the module's size and kind if left out.
        metrics: more figures of the examples to test on, by name; see
            :data:`~handheld.federated.learning.evaluation.Metrics`.
        freeze_statistics: whether normalising layers use the means and variances that they have and
            never change them: noise promises nothing of those that devices send.

    Raises:
        InputError: a module with nothing to train, ``at_once`` below 0, or a test without examples.
    """

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        module: nn.Module,
        users: Users,
        test: Examples | None = None,
        *,
        loss: Loss = cross_entropy,
        at_once: int = 0,
        metrics: Metrics | None = None,
        freeze_statistics: bool = False,
    ):
        whole_in_range("at_once", at_once, low=0)
        if test is not None and not len(test):
            raise InputError("test holds no examples: leave it out to evaluate nothing")
        # Never run, so that it is as it came.
        self._original = copied(module)
        self.module = copied(module)
        self.users = users
        self.test = test
        self.loss = loss
        self.metrics = dict(metrics or {})
        self.layout = ModuleLayout.of(self.module, self._forward, fixed=freeze_statistics)
        self.vector = self.layout.weights
        self.first = self.vector.of(self.module)
        self._first_statistics = self.layout.statistics.of(self.module)
        # Attributes that no buffer holds would go from one device to the next.
        self._plain = PlainState.of(self._original, self._forward)
        self._structure = structure(self.module)
        if not at_once:
            at_once = 1
            # Asked for only where it decides: it tries a batch of both ways.
            if self._may_go_side_by_side():
                at_once = _AT_ONCE
        self.at_once = at_once

    @property
    def examples(self) -> NDArray[np.int64]:
        """(users,) how many examples each device has."""
        return self.users.partition.sizes

    @property
    def shapes(self) -> Sequence[Shape]:
        """Shapes of the module's weights, as they lie in the vector."""
        return self.vector.arrays

    def start(self) -> Floats:
        """Return (n,) the module's trainable weights as they were given."""
        return self.first.copy()

    def statistics(self) -> Doubles:
        """Return (m,) the module's statistics as they were given."""
        return self._first_statistics.copy()

    def check(self) -> None:
        """Try a batch before the first round.

        Raises:
            InputError: inputs that the module does not take, labels beyond its classes, a loss that
                is not one number for each example, or devices that were to learn side by side and
                cannot.
        """
        outputs = self._tried()
        if outputs is None:
            return
        classes = outputs.shape[-1]
        if self.loss is cross_entropy:
            require_labels("a device's", self.users.examples.targets, classes)
            if self.test is not None:
                require_labels("the test's", self.test.targets, classes)
        if self.test is not None:
            self._try_test(self.test)
        if self.at_once > 1 and (why := self._apart()):
            raise InputError(
                f"devices cannot learn side by side with this module ({why}): leave at_once out"
            )

    def _tried(self) -> torch.Tensor | None:
        """Return the outputs of the first batch that can be learned from; None without batches."""
        errors = []
        for rows in self._batches():
            try:
                return tried(self._fresh_model(), self.users.examples, rows)
            except InputError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return None

    def check_work(self, work: ClientWork) -> None:
        """Raise :class:`InputError` where a layer could learn means from no batch of any device."""
        largest = int(self.examples.max(initial=0))
        batch = largest
        if work.batch is not None:
            batch = min(work.batch, largest)
        batches = self._batches()
        if batch != 1 or not len(self.layout.statistics) or not batches:
            return
        inputs, _ = batch_of(self.users.examples, batches[0][:1])
        if single := single_norms(self.layout.train(self.fresh()), inputs):
            raise InputError(
                f"{single[0]} is given one number a channel in batches of one example, which has"
                " no variance: take batches of 2 or more, GroupNorm or LayerNorm, or"
                " freeze_statistics"
            )

    def learn(
        self, task: ClientTask, users: Sequence[int], states: Sequence[Floats | None]
    ) -> list[Learned]:
        """Let devices learn; one whose learning raises answers why."""
        if self.at_once > 1:
            try:
                return learn_in_parallel(self.model, self.users, task, users, states)
            except MemoryError:
                raise
            except Exception:  # one of them raises: learning one by one finds out which
                pass
        return [self._alone(task, user, state) for user, state in zip(users, states, strict=True)]

    def evaluate(self, state: ServerState) -> dict[str, float]:
        """Return ``loss``, ``accuracy`` of classes, and metrics on the examples to test on.

        Raises :class:`TrainingError` where the module, the loss or a metric raises.
        """
        if self.test is None:
            return {}
        return self._scores(state, self.test, "the test's").figures

    def evaluate_users(self, state: ServerState) -> PerUser:
        """Return how good a model is for each device on its own examples (federated evaluation).

        Raises :class:`TrainingError` where the module, the loss or a metric raises.
        """
        scores = self._scores(state, self.users.examples, "devices'")
        return per_user(scores, self.users.partition)

    def fresh(self) -> nn.Module:
        """Return a copy of the module as it was given."""
        return copied(self._original)

    @property
    def model(self) -> TrainableModule:
        """The module that learns, with how its weights lie, and its loss."""
        return TrainableModule(self.module, self.layout, self.loss)

    def _fresh_model(self) -> TrainableModule:
        return TrainableModule(self.fresh(), self.layout, self.loss)

    def fingerprint(self) -> dict[str, object]:
        """Return what tells this population, its data and its model from others."""
        batches = self._batches()
        inputs = None
        if batches:
            inputs, _ = batch_of(self.users.examples, batches[0])
        partition = self.users.partition
        test = None
        if self.test is not None:
            test = [self.test.inputs, self.test.targets]
        loss: object = self.loss
        # A module by what it is made of: two runs of one command have two objects.
        if isinstance(loss, nn.Module):
            loss = structure(loss)
        return {
            "data": {
                "inputs": self.users.examples.inputs,
                "targets": self.users.examples.targets,
                "users": array_digest(partition.offsets) + array_digest(partition.indices),
            },
            "test": test,
            "network": {"structure": self._structure, "holds": contents(self.fresh(), inputs)},
            "loss": loss,
            "metrics": self.metrics,
            "at_once": self.at_once,
            "freeze_statistics": self.layout.fixed,
        }

    def _scores(self, state: ServerState, examples: Examples, whose: str) -> ExampleScores:
        self._plain.restore(self.module)
        try:
            return evaluate_examples(
                self.model,
                state.weights,
                examples,
                statistics=state.statistics,
                metrics=self.metrics,
            )
        except (HandheldError, MemoryError):
            raise
        except Exception as error:  # whatever a user's module or metric raises
            raise TrainingError(
                f"the module cannot be evaluated on {whose} examples: {raised(error)}"
            ) from error

    def _alone(self, task: ClientTask, user: int, state: Floats | None) -> Learned:
        self._plain.restore(self.module)
        rows = self.users.partition.of(user)
        try:
            descent = Descent(self.model, task, user, state)
            return descent.learn(self.users.examples, rows)
        except MemoryError:
            raise
        except Exception as error:  # whatever a user's module raises on one device's examples
            return Learned.failed(raised(error))

    def _forward(self, module: nn.Module) -> None:
        # One batch is enough to see what a forward pass moves.
        for rows in self._batches()[:1]:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                module(batch_of(self.users.examples, rows)[0])

    def _batches(self) -> list[NDArray[np.int64]]:
        """Return examples of the first, middle and last devices: one alone may be odd."""
        rows = self.users.partition.indices
        if not len(rows):
            return []
        last = max(0, len(rows) - _SAMPLE)
        starts = (0, len(rows) // 2, last)
        return [rows[start : start + _SAMPLE] for start in starts]

    def _try_test(self, test: Examples) -> None:
        rows = np.arange(min(_SAMPLE, len(test)))
        model = self._fresh_model()
        try:
            evaluate_examples(model, self.first, test.of(rows), metrics=self.metrics)
        except InputError:
            raise
        except Exception as error:  # whatever a user's module or metric raises
            raise InputError(
                f"the module cannot be evaluated on the test's examples: {said(error)}"
            ) from error

    def _may_go_side_by_side(self) -> bool:
        layers = list(self.module.modules())
        with_weights = [layer for layer in layers if list(layer.parameters(recurse=False))]
        if len(self.vector) > _LARGEST or len(self.layout.statistics):
            return False
        if not all(isinstance(layer, _SMALL) for layer in with_weights):
            return False
        # What draws would draw other numbers side by side.
        if any(isinstance(layer, _DRAWING) for layer in layers):
            return False
        return not self._apart()

    def _apart(self) -> str:
        """Return why side by side is not the same as one by one; nothing if it is.

        Random layers, branches on data and layers that look at a whole batch, padding too, are
        found out so.
        """
        if len(self.layout.statistics):
            return "its layers keep statistics, which would be those of all devices"
        if self._plain:
            return "it keeps state in plain attributes, which would be that of all devices"
        if any(layer._forward_pre_hooks for layer in self.module.modules()):
            return "its hooks compute weights, and would keep those of all devices"
        batches = self._batches()
        if not batches or len(batches[0]) < 2:
            return ""
        *several, single = batches[0]
        # Padding of another example: a layer that looks at the whole batch shows itself by it.
        rows = np.array([several, [single, *several[:-1]]])
        counted = torch.ones(rows.shape)
        counted[1, 1:] = 0
        try:
            with torch.random.fork_rng(devices=[]):
                one_by_one = self._fresh_model()
                side_by_side = self._fresh_model()
                self.layout.train(one_by_one.module)
                self.layout.train(side_by_side.module)
                return difference(one_by_one, side_by_side, self.users.examples, rows, counted)
        except InputError:
            return ""  # of the loss: a check says so
        except Exception as error:  # of vmap, of torch, or of the user's module
            return said(error)

    def __getstate__(self) -> dict[str, object]:
        """Leave out the module that learns: what it holds now depends on who learned last."""
        return {name: value for name, value in self.__dict__.items() if name != "module"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self.module = self.fresh()

"""Devices that train a torch module: one after another, or many in one go where the module is small."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from handheld.errors import HandheldError, InputError, TrainingError
from handheld.federated.algorithms import State
from handheld.federated.learning.copies import copied
from handheld.federated.learning.descent import (
    Loss,
    as_tensors,
    batch_of,
    cross_entropy,
    descend,
    of_each,
    single_norms,
    within,
)  # fmt: skip
from handheld.federated.learning.description import contents, structure
from handheld.federated.learning.evaluation import Answers, Metrics, PerUser, answers, per_user
from handheld.federated.learning.learner import Doubles, Floats, Learned, Shape, Task, Work
from handheld.federated.learning.plain_state import PlainState
from handheld.federated.learning.trial import require_labels, tried
from handheld.federated.learning.users import Examples, Users
from handheld.federated.learning.vectors import Layout
from handheld.federated.own_code import raised, said
from handheld.training.runs import array_digest

_LARGEST, _AT_ONCE = 50_000, 64
_SMALL = (
    nn.Linear,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.LayerNorm,
)  # what gains from going side by side
_SAMPLE = 4  # examples of a trial: enough for a batch, and for one beside it
_APART = 1e-3  # of the largest gradient: far above rounding, far below what a mixed-up batch does


class ModuleLearner:
    """Devices with a torch module.

    The module's trainable weights are float32. Weights with ``requires_grad=False`` and buffers
    that training does not move stay as they are and never travel; statistics, such as the running
    means of batch normalisation, are averaged over devices by their examples, apart from the
    weights. What a module keeps in plain attributes begins anew with each device. Small modules of
    linear layers and embeddings learn side by side (``torch.func.vmap``)
    where that gives the same as one by one, others one by one.

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

    def __init__(
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
        if at_once < 0:
            raise InputError(f"expected 1 device or more at once, got {at_once}")
        if test is not None and not len(test):
            raise InputError("test holds no examples: leave it out to evaluate nothing")
        self._given = copied(module)  # never run, so that it is as it was given
        self.module = copied(module)
        self.users = users
        self.test = test
        self.loss = loss
        self.metrics = dict(metrics or {})
        self.layout = Layout.of(self.module, self._forward, fixed=freeze_statistics)
        self.vector = self.layout.weights
        self.first = self.vector.of(self.module)
        self._first_statistics = self.layout.statistics.of(self.module)
        self._plain = PlainState.of(self._given, self._forward)
        self._structure = structure(self.module)
        self.at_once = at_once or (_AT_ONCE if self._may_go_side_by_side() else 1)

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
        batches = self._batches()
        if not batches:
            return
        errors = []
        for rows in batches:
            try:
                outputs = tried(self.fresh(), self.layout, self.users.examples, rows, self.loss)
                break
            except InputError as error:
                errors.append(error)
        else:
            raise errors[0]
        if self.loss is cross_entropy:
            require_labels("a device's", self.users.examples.targets, outputs.shape[-1])
            if self.test is not None:
                require_labels("the test's", self.test.targets, outputs.shape[-1])
        if self.test is not None:
            self._try_test(self.test)
        if self.at_once > 1 and (why := self._apart()):
            raise InputError(
                f"devices cannot learn side by side with this module ({why}): leave at_once out"
            )

    def check_work(self, work: Work) -> None:
        """Raise :class:`InputError` where no batch of any device is one that a layer can learn means from."""
        largest = int(self.examples.max(initial=0))
        batch = largest if work.batch is None else min(work.batch, largest)
        batches = self._batches()
        if batch != 1 or not len(self.layout.statistics) or not batches:
            return
        inputs, _ = batch_of(self.users.examples, batches[0][:1])
        if single := single_norms(self.layout.train(self.fresh()), inputs):
            raise InputError(
                f"{single[0]} is given one number a channel in batches of one example, which has no variance: take"
                " batches of 2 or more, GroupNorm or LayerNorm, or freeze_statistics"
            )

    def learn(
        self, task: Task, users: Sequence[int], own: Sequence[Floats | None]
    ) -> list[Learned]:
        """Let devices learn; one whose learning raises answers why."""
        if self.at_once > 1:
            try:
                return self._together(task, users, own)
            except MemoryError:
                raise
            except Exception:  # one of them raises: learning one by one finds out which
                return [
                    self._alone(task, user, kept) for user, kept in zip(users, own, strict=True)
                ]
        return [self._alone(task, user, kept) for user, kept in zip(users, own, strict=True)]

    def evaluate(self, state: State) -> dict[str, float]:
        """Return ``loss``, ``accuracy`` of classes, and metrics on the examples to test on.

        Raises :class:`TrainingError` where the module, the loss or a metric raises.
        """
        if self.test is None:
            return {}
        return self._answers(state, self.test, "the test's").figures

    def evaluate_users(self, state: State) -> PerUser:
        """Return how good a model is for each device on its own examples (federated evaluation).

        Raises :class:`TrainingError` where the module, the loss or a metric raises.
        """
        return per_user(self._answers(state, self.users.examples, "devices'"), self.users.partition)

    def fresh(self) -> nn.Module:
        """Return a copy of the module as it was given."""
        return copied(self._given)

    def fingerprint(self) -> dict[str, object]:
        """Return what tells this population, its data and its model from others."""
        batches = self._batches()
        inputs = batch_of(self.users.examples, batches[0])[0] if batches else None
        dealt = self.users.partition
        test = None if self.test is None else [self.test.inputs, self.test.targets]
        return {
            "data": {
                "inputs": self.users.examples.inputs,
                "targets": self.users.examples.targets,
                "users": array_digest(dealt.offsets) + array_digest(dealt.indices),
            },
            "test": test,
            "network": {"structure": self._structure, "holds": contents(self.fresh(), inputs)},
            "loss": structure(self.loss) if isinstance(self.loss, nn.Module) else self.loss,
            "metrics": self.metrics,
            "at_once": self.at_once,
            "freeze_statistics": self.layout.fixed,
        }

    def _answers(self, state: State, examples: Examples, whose: str) -> Answers:
        self._plain.restore(self.module)
        try:
            return answers(
                self.module, self.layout, state.weights, examples, self.loss,
                statistics=state.statistics, metrics=self.metrics,
            )  # fmt: skip
        except (HandheldError, MemoryError):
            raise
        except Exception as error:  # whatever a user's module or metric raises
            raise TrainingError(
                f"the module cannot be evaluated on {whose} examples: {raised(error)}"
            ) from error

    def _alone(self, task: Task, user: int, own: Floats | None) -> Learned:
        examples = self.users.examples
        places = self.users.partition.of(user)
        self._plain.restore(self.module)
        try:
            return descend(self.module, self.layout, examples, places, task, user, own, self.loss)
        except MemoryError:
            raise
        except Exception as error:  # whatever a user's module raises on one device's examples
            return Learned.failed(raised(error))

    def _together(
        self, task: Task, users: Sequence[int], own: Sequence[Floats | None]
    ) -> list[Learned]:
        state = as_tensors(task.state)
        rows, counted = self._padded(task, users)
        kept = (
            None
            if own[0] is None
            else torch.from_numpy(np.stack([each for each in own if each is not None]))
        )
        here = torch.from_numpy(np.repeat(task.state.weights[None], len(users), axis=0))
        lost = torch.zeros(len(users))
        subspaces = task.subspaces(users, self.shapes)
        self.layout.train(self.module)
        self.layout.constants.restore(self.module)
        for step in range(rows.shape[1]):
            inputs, targets = batch_of(self.users.examples, rows[:, step].ravel())
            shape = rows[:, step].shape
            slopes, losses = self._slopes(
                self.module,
                here,
                inputs.view(*shape, *inputs.shape[1:]),
                targets.view(*shape, *targets.shape[1:]),
                counted[:, step],
            )
            active = counted[:, step].any(dim=1, keepdim=True)
            here -= (
                task.rate
                * active
                * within(subspaces, task.algorithm.adjust(slopes, here, state, kept))
            )
            lost += losses * counted[:, step].sum(dim=1)
        changes = here.numpy() - task.state.weights
        seen = counted.sum(dim=(1, 2)).clamp(min=1)
        steps = counted.any(dim=2).sum(dim=1)
        return [
            Learned(change, float(self.examples[user]), int(went) * task.rate, float(loss))
            for change, user, went, loss in zip(changes, users, steps, lost / seen, strict=True)
        ]

    def _padded(self, task: Task, users: Sequence[int]) -> tuple[NDArray[np.int64], torch.Tensor]:
        """Return (devices, steps, batch) numbers of examples, and which of them count: devices have not all as many."""
        chosen = [self._steps_of(task, user) for user in users]
        steps = max(map(len, chosen))
        batch = max((len(rows) for device in chosen for rows in device), default=0)
        numbers = np.zeros((len(users), steps, batch), np.int64)
        counted = torch.zeros(len(users), steps, batch)
        for device, rows_of_steps in enumerate(chosen):
            if rows_of_steps:
                # Padding counts nothing, but the module sees it: another device's example could
                # raise.
                numbers[device] = rows_of_steps[0][0]
            for step, rows in enumerate(rows_of_steps):
                numbers[device, step, : len(rows)] = rows
                counted[device, step, : len(rows)] = 1
        return numbers, counted

    def _steps_of(self, task: Task, user: int) -> list[NDArray[np.int64]]:
        places = self.users.partition.of(user)
        return [places[rows] for rows in task.work.batches(len(places), task.random(user))]

    def _slopes(
        self,
        module: nn.Module,
        here: torch.Tensor,
        inputs: torch.Tensor,
        targets: torch.Tensor,
        counted: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (devices, n) gradients of each device's mean loss, and (devices,) those losses."""

        def of_one(
            vector: torch.Tensor, x: torch.Tensor, y: torch.Tensor, counts: torch.Tensor
        ) -> torch.Tensor:
            outputs = functional_call(module, self.vector.views(vector), (x,))
            losses = of_each(self.loss(outputs, y), len(counts), self.loss)
            return (losses * counts).sum() / counts.sum().clamp(min=1)

        slopes, losses = vmap(grad_and_value(of_one))(here, inputs, targets, counted)
        return slopes, losses

    def _forward(self, module: nn.Module) -> None:
        for rows in self._batches()[:1]:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                module(batch_of(self.users.examples, rows)[0])

    def _batches(self) -> list[NDArray[np.int64]]:
        """Return examples of the first, middle and last devices: one alone may be odd."""
        places = self.users.partition.indices
        starts = (0, len(places) // 2, max(0, len(places) - _SAMPLE))
        return [places[start : start + _SAMPLE] for start in starts if len(places)]

    def _try_test(self, test: Examples) -> None:
        module = self.fresh().eval()
        rows = np.arange(min(_SAMPLE, len(test)))
        try:
            answers(module, self.layout, self.first, test.of(rows), self.loss, metrics=self.metrics)
        except InputError:
            raise
        except Exception as error:  # whatever a user's module or metric raises
            raise InputError(
                f"the module cannot be evaluated on the test's examples: {said(error)}"
            ) from error

    def _may_go_side_by_side(self) -> bool:
        leaves = [
            layer
            for layer in self.module.modules()
            if any(True for _ in layer.parameters(recurse=False))
        ]
        draws = any(
            isinstance(layer, nn.Dropout | nn.AlphaDropout) for layer in self.module.modules()
        )
        small = all(isinstance(layer, _SMALL) for layer in leaves) and len(self.vector) <= _LARGEST
        return small and not draws and not len(self.layout.statistics) and not self._apart()

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
                return self._compared(rows, counted)
        except InputError:
            return ""  # of the loss: a check says so
        except Exception as error:  # of vmap, of torch, or of the user's module
            return said(error)

    def _compared(self, rows: NDArray[np.int64], counted: torch.Tensor) -> str:
        module = self.layout.train(self.fresh())
        examples = self.users.examples
        alone = []
        for numbers, counts in zip(rows, counted.bool().numpy(), strict=True):
            inputs, targets = batch_of(examples, numbers[counts])
            module.zero_grad()
            of_each(self.loss(module(inputs), targets), len(inputs), self.loss).mean().backward()  # type: ignore[no-untyped-call]
            gradients = dict(module.named_parameters())
            empty = {name: torch.zeros(shape) for name, shape in self.vector.shapes.items()}
            flat = [
                gradients[name].grad if gradients[name].grad is not None else empty[name]
                for name in empty
            ]
            alone.append(torch.cat([one.flatten() for one in flat if one is not None]))
        inputs, targets = batch_of(examples, rows.ravel())
        beside, _ = self._slopes(
            self.layout.train(self.fresh()),
            torch.from_numpy(np.repeat(self.first[None], len(rows), axis=0)),
            inputs.view(*rows.shape, *inputs.shape[1:]),
            targets.view(*rows.shape, *targets.shape[1:]),
            counted,
        )
        expected = torch.stack(alone)
        distance = float((beside - expected).abs().max())
        if distance <= _APART * float(expected.abs().max()) + 1e-7:
            return ""
        return f"gradients differ by {distance:.3g} from those of each alone"

    def __getstate__(self) -> dict[str, object]:
        """Leave out the module that learns: what it holds now depends on who learned last."""
        return {name: value for name, value in self.__dict__.items() if name != "module"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self.module = self.fresh()

"""Populations for tests."""

from dataclasses import dataclass, field

import numpy as np

from handheld.data.users.partitions import by_quantity
from handheld.federated.learning import Examples, Learned, Users


@dataclass
class Steady:
    """Devices that all learn the same change, but for those that are broken."""

    users: int = 20
    size: int = 6
    at_once: int = 3
    sizes: dict = field(default_factory=dict)
    broken: dict = field(default_factory=dict)
    learned: list = field(default_factory=list, compare=False)

    @property
    def examples(self):
        return np.array([self.sizes.get(user, 10) for user in range(self.users)])

    @property
    def shapes(self):
        return ((self.size,),)

    def start(self):
        return np.zeros(self.size, np.float32)

    def learn(self, task, users, own):
        self.learned += [(task.state.round, user) for user in users]
        return [
            Learned(
                self.broken.get(user, np.ones(self.size, np.float32)),
                float(self.examples[user]),
                1.0,
                0.5,
            )
            for user in users
        ]

    def evaluate(self, state):
        return {"mean": float(state.weights.mean(dtype=np.float64))}


def points(count=300, users=12, classes=3, seed=0):
    """Points around the centres of some classes, few users with many of them; and as many to judge
    by.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, 5)) * 3
    targets = rng.integers(classes, size=2 * count)
    inputs = (centres[targets] + rng.normal(size=(2 * count, 5))).astype(np.float32)
    train, test = (
        Examples(inputs[part], targets[part]) for part in (slice(count), slice(count, None))
    )
    return Users(train, by_quantity(count, users, skew=1, seed=seed)), test

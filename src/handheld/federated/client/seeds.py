"""Seeds of a round, alike on a device, on its server and in a simulation."""

import secrets
from dataclasses import replace

from handheld.federated.learning.learner import ClientTask
from handheld.federated.stages import StageSeeds
from handheld.federated.stages.randomness import Randomness
from handheld.federated.updates.encoder import seed_of

SERVER = -1
"""In place of a device's number."""

# Uses of the plan's seed, apart from all others of this room: what a round's devices share (random
# rotations, grids), and what is a device's alone (encoding, and in simulations rounding and noise).
_COMMON_SEED = 11
_OWN_SEED = 12
# As many as an answer's number may have.
_NUMBER_BITS = 31


def seeds(task: ClientTask, number: int) -> StageSeeds:
    """Return the seeds of a device's stages in a round, all from the plan's seed.

    Args:
        task: of the round.
        number: of the device; ``SERVER`` for the server's.
    """
    common = seed_of(task.seed, _COMMON_SEED, task.state.round)
    own_seed = seed_of(task.seed, _OWN_SEED, task.state.round, number + 1)
    return StageSeeds(int(common), int(own_seed), task.subspace_seed(number))


def secret_seeds(task: ClientTask, number: int) -> StageSeeds:
    """Return the same, but for what must be nobody else's: that is fresh from the system."""
    known = seeds(task, number)
    fresh = Randomness.fresh()
    return replace(known, private=fresh.seed, encoding=known.private, is_secret=True)


def fresh_number() -> int:
    """Return a number for a device in one round, from which nobody can tell which one it is."""
    return secrets.randbits(_NUMBER_BITS)

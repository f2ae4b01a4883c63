"""A seed that torch does not take is refused by name, before anything is learned."""

import pytest

from handheld.errors import InputError

pytest.importorskip("torch")

from handheld.compress import FamilySettings
from handheld.federated.simulator import Plan
from handheld.projection.training.plan import TextModelPlan
from handheld.reply.training.config import ReplySettings


@pytest.mark.parametrize("seed", [-1, 2**63, 10**20, 1.5, True])
def test_a_seed_is_a_whole_number_of_63_bits(seed):
    makers = (Plan, FamilySettings, ReplySettings, lambda seed: TextModelPlan(10_000, seed=seed))
    for make in makers:
        with pytest.raises(InputError, match=r"seed: expected a whole number"):
            make(seed=seed)
        assert make(seed=2**63 - 1).seed == 2**63 - 1

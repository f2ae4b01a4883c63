import numpy as np
import pytest
import torch

from handheld.errors import InputError
from handheld.federated.learning import Examples
from handheld.federated.learning.evaluation import evaluate_examples
from handheld.federated.learning.trainable import TrainableModule, cross_entropy
from handheld.federated.learning.vectors import ModuleLayout


def test_nothing_to_evaluate_on_is_said():
    module = torch.nn.Linear(4, 2)
    layout = ModuleLayout.of(module)
    empty = Examples(np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    with pytest.raises(InputError, match="expected an example or more to evaluate on"):
        evaluate_examples(
            TrainableModule(module, layout, cross_entropy), layout.weights.of(module), empty
        )

"""What a federation's devices are asked: to train a model, or to evaluate it.

A task is what the server of ``federated.server`` serves, which knows bytes and sums alone; its
device's half is ``federated.client``.
"""

from handheld.federated.tasks.evaluation import EvaluationTask
from handheld.federated.tasks.options import TrainingOptions, evaluation, training
from handheld.federated.tasks.plan import DevicePlan
from handheld.federated.tasks.training import TrainingTask

__all__ = [
    "DevicePlan",
    "EvaluationTask",
    "TrainingOptions",
    "TrainingTask",
    "evaluation",
    "training",
]

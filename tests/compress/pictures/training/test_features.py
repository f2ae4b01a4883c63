import pytest
import torch
from torch import nn

from handheld.compress.pictures.training.features import FeatureDistance, watched
from handheld.errors import InputError
from handheld.networks.structure.layers import last_linear


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return (
        nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)),
        nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)),
    )


def test_features_teach_the_student_alone():
    student, teacher = networks()
    features = FeatureDistance(student, teacher)
    inputs = torch.randn(8, 4)
    logits, distance = features(inputs)
    assert torch.equal(logits, student(inputs))
    assert 0 <= float(distance.detach()) <= 4
    distance.backward()
    assert student[0].weight.grad is not None
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert {id(p) for p in features.parameters()}.isdisjoint(id(p) for p in teacher.parameters())


def test_watching_ends():
    student, _ = networks()
    with watched(student) as seen:
        student(torch.zeros(1, 4))
    student(torch.zeros(1, 4))
    assert [tuple(tensor.shape) for tensor in seen] == [(1, 3)]


def test_a_network_without_a_linear_layer_has_no_features():
    with pytest.raises(InputError, match="no linear layer"):
        last_linear(nn.Sequential(nn.ReLU()))

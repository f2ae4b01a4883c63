import pytest
import torch
from torch import nn

from handheld.compress.training.distil import Distillation, Features, last_linear, student_loss, watched
from handheld.errors import InputError

LOGITS, LABELS = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])


def test_without_a_teacher_it_is_the_cross_entropy():
    expected = nn.functional.cross_entropy(LOGITS, LABELS)
    assert student_loss(LOGITS, LABELS, None, Distillation()) == expected
    assert student_loss(LOGITS, LABELS, LOGITS, Distillation(weight=0.0)) == expected


def test_a_student_that_says_what_its_teacher_says_has_nothing_more_to_learn():
    assert float(student_loss(LOGITS, LABELS, LOGITS + 3, Distillation(weight=1.0))) == pytest.approx(0, abs=1e-6)


def test_the_soft_part_by_hand():
    # teacher 3:1 at temperature 1, student 1:1: 0.75 ln(0.75 / 0.5) + 0.25 ln(0.25 / 0.5)
    teacher, student = torch.log(torch.tensor([[0.75, 0.25]])), torch.zeros(1, 2)
    loss = student_loss(student, torch.tensor([0]), teacher, Distillation(weight=1.0, temperature=1.0))
    assert float(loss) == pytest.approx(0.1308, abs=1e-4)


def test_gradients_keep_their_size_at_high_temperatures():
    sizes = []
    for temperature in (5.0, 20.0):
        student = torch.zeros(1, 2, requires_grad=True)
        student_loss(student, torch.tensor([0]), LOGITS[:1], Distillation(weight=1.0, temperature=temperature)).backward()
        sizes.append(float(student.grad.norm()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return (
        nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)),
        nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)),
    )


def test_features_teach_the_student_alone():
    student, teacher = networks()
    features = Features(student, teacher)
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


@pytest.mark.parametrize("wrong", [{"weight": 1.5}, {"temperature": 0}, {"features": -1}, {"smoothing": 1.0}])
def test_impossible_weights_are_refused(wrong: dict[str, float]):
    with pytest.raises(InputError, match="expected a weight"):
        Distillation(**wrong)

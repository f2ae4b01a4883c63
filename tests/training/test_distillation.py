import math

import pytest
import torch
from torch import nn

from handheld.errors import InputError
from handheld.training import Distillation, student_loss

LOGITS, LABELS = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])


def test_without_a_teacher_it_is_the_cross_entropy():
    expected = nn.functional.cross_entropy(LOGITS, LABELS)
    assert student_loss(LOGITS, LABELS, None, Distillation()) == expected
    assert student_loss(LOGITS, LABELS, LOGITS, Distillation(weight=0.0)) == expected


def test_a_student_that_says_what_its_teacher_says_has_nothing_more_to_learn():
    assert float(
        student_loss(LOGITS, LABELS, LOGITS + 3, Distillation(weight=1.0))
    ) == pytest.approx(0, abs=1e-6)


def test_the_soft_part_by_hand():
    # teacher 3:1 at temperature 1, student 1:1: 0.75 ln(0.75 / 0.5) + 0.25 ln(0.25 / 0.5)
    teacher, student = torch.log(torch.tensor([[0.75, 0.25]])), torch.zeros(1, 2)
    loss = student_loss(
        student, torch.tensor([0]), teacher, Distillation(weight=1.0, temperature=1.0)
    )
    assert float(loss) == pytest.approx(0.1308, abs=1e-4)


def test_gradients_keep_their_size_at_high_temperatures():
    sizes = []
    for temperature in (5.0, 20.0):
        student = torch.zeros(1, 2, requires_grad=True)
        student_loss(
            student,
            torch.tensor([0]),
            LOGITS[:1],
            Distillation(weight=1.0, temperature=temperature),
        ).backward()
        sizes.append(float(student.grad.norm()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight", 1.5),
        ("weight", math.nan),
        ("temperature", 0),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "4"),
        ("features", -1),
        ("features", math.inf),
        ("smoothing", 1.0),
    ],
)
def test_impossible_weights_are_refused(name: str, value: object):
    with pytest.raises(InputError, match=f"^{name}: expected a number in .*, got {value!r}$"):
        Distillation(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [0.0, 0.9, 1.0])
def test_an_example_that_counts_three_times_is_as_good_as_three(weight: float):
    teacher = torch.tensor([[0.3, 1.0], [2.0, -1.0]])
    weighted = Distillation(weight=weight, class_weights=(1.0, 3.0))
    often = [0, 1, 1, 1]
    expected = student_loss(
        LOGITS[often], LABELS[often], teacher[often], Distillation(weight=weight)
    )
    assert float(student_loss(LOGITS, LABELS, teacher, weighted)) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    "weights", [(0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (float("inf"), 1.0)]
)
def test_class_weights_are_above_0(weights: tuple[float, ...]):
    with pytest.raises(
        InputError, match=r"^class_weights\[0\]: expected a number in \(0, inf\), got "
    ):
        Distillation(class_weights=weights)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_class_weights_count_in_every_type(dtype: torch.dtype):
    weighted = Distillation(class_weights=(1.0, 3.0))
    teacher = torch.tensor([[0.5, 1.0], [2.0, -1.0]])
    expected = student_loss(LOGITS, LABELS, teacher, weighted)
    loss = student_loss(LOGITS.to(dtype), LABELS, teacher.to(dtype), weighted)
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)


def test_a_class_that_the_teacher_rules_out_has_no_share():
    # teacher 3:1:0 and student 1:1:0, to rounding: as without the third class
    teacher = torch.tensor([[0.75, 0.25, 0.0]]).log()
    student = torch.tensor([[0.0, 0.0, -100.0]], requires_grad=True)
    alone = Distillation(weight=1.0, temperature=1.0)
    loss = student_loss(student, torch.tensor([0]), teacher, alone)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.1308, abs=1e-4)
    # shares of the student less those of the teacher
    assert student.grad is not None
    assert student.grad.tolist()[0] == pytest.approx([-0.25, 0.25, 0.0], abs=1e-6)


def test_other_classes_than_the_students_are_named():
    with pytest.raises(InputError, match=r"^teacher: expected logits \[2, 2\] .* got \[1, 2\]$"):
        student_loss(LOGITS, LABELS, LOGITS[:1], Distillation())
    with pytest.raises(InputError, match=r"^class_weights: 3 numbers for 2 classes$"):
        student_loss(LOGITS, LABELS, None, Distillation(class_weights=(1.0, 1.0, 1.0)))

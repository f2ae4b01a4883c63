"""Answers of a teacher are kept, view by view."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from handheld.compress.pictures.training.answers import TeacherAnswers  # noqa: E402


class Pictures:
    """Stands where batches do: each view of a picture is another number."""

    def __init__(self, count=600, views=3):
        self.pictures, self.views = np.zeros((count, 1)), views

    def view(self, places, step, view):
        return torch.from_numpy(
            np.stack([places + view, places * 0 + view], axis=1).astype(np.float32)
        )


class TeacherSource:
    def __init__(self):
        self.asked = 0

    def __call__(self, inputs):
        self.asked += len(inputs)
        return inputs * 2


def test_a_run_that_goes_on_does_not_ask_again(tmp_path):
    teacher, said = TeacherSource(), []
    first = TeacherAnswers(teacher, Pictures(), 2, save=tmp_path)
    assert teacher.asked == 1800
    again = TeacherAnswers(teacher, Pictures(), 2, save=tmp_path, report=said.append)
    assert (teacher.asked, said) == (1800, [])
    assert (again.kept == first.kept).all()
    assert first.kept[2, 5].tolist() == [14, 4]


def test_views_that_are_missing_or_damaged_are_asked_for(tmp_path):
    first = TeacherAnswers(TeacherSource(), Pictures(), 2, save=tmp_path)
    (tmp_path / "answers_0.npy").write_bytes(b"no array")
    np.save(tmp_path / "answers_1.npy", np.zeros((5, 2), np.float16))
    teacher = TeacherSource()
    again = TeacherAnswers(teacher, Pictures(), 2, save=tmp_path)
    assert teacher.asked == 1200
    assert (again.kept == first.kept).all()


def as_zip(path):
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    path.with_suffix(".npz").replace(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 no archive"),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(path.read_bytes().replace(b"<f2", b"|O8")),
        lambda path: path.write_bytes(
            path.read_bytes().replace(b"(600, 2)", b"(9" + b"9" * 14 + b",)")
        ),
        lambda path: path.write_bytes(path.read_bytes()[:-2] + b"\x00\x7c"),
        as_zip,
    ],
    ids=["empty", "half a zip", "cut", "objects", "huge", "infinite", "a zip"],
)
def test_no_damage_ends_the_run(tmp_path, damage):
    first = TeacherAnswers(TeacherSource(), Pictures(), 2, save=tmp_path)
    damage(tmp_path / "answers_1.npy")
    teacher = TeacherSource()
    again = TeacherAnswers(teacher, Pictures(), 2, save=tmp_path)
    assert teacher.asked == 600
    assert (again.kept == first.kept).all()


def test_without_a_folder_nothing_is_kept(tmp_path):
    TeacherAnswers(TeacherSource(), Pictures(), 2)
    assert not list(tmp_path.iterdir())

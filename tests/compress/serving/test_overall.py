import pytest

from handheld.compress.serving.overall import PICTURES, Overall, texts


@pytest.fixture
def said():
    return []


def test_stages_make_one_share(said):
    overall = Overall(lambda share, text: said.append((share, text)), PICTURES)
    overall("teacher's file", 0.0, "")
    overall("joint training", 0.5, "loss 1.2345")
    overall("measuring", 1.0, "")
    assert said[0] == (0.04, "teacher's file")
    assert said[1] == (
        pytest.approx(0.04 + 0.94 * (0.04 + 0.10 + 0.24)),
        "joint training: loss 1.2345",
    )
    assert said[2] == (pytest.approx(0.98), "measuring")


def test_it_never_goes_back_nor_beyond(said):
    overall = Overall(lambda share, text: said.append(share), PICTURES)
    for stage, done in (
        ("files", 1.0),
        ("candidates", 0.1),
        ("a stage of tomorrow", 0.9),
        ("members", 0.9),
        ("members", 0.1),
    ):
        overall(stage, done, "")
    overall("measuring", 7.0, "")
    assert said == sorted(said)
    assert said[-1] == pytest.approx(0.98)


def test_members_for_texts_have_equal_parts(said):
    overall = Overall(lambda share, text: said.append(share), texts(["rows_1", "signs_2"]))
    for stage in ("teacher", "rows_1", "signs_2", "measuring"):
        overall(stage, 1.0, "")
    assert said == pytest.approx([0.04 + 0.94 * share for share in (0.4, 0.675, 0.95, 1.0)])

import io
import pickle
import zipfile

import numpy as np
import pytest
from made import open_hand

from handheld.errors import ModelError
from handheld.hands import GestureClassifier, GestureTable, HandResult, HandTracker, load_recogniser
from handheld.hands.classifier import FEATURES, features_of
from handheld.hands.perceptron import Perceptron
from handheld.hands.shapes import hand_shape
from handheld.media import Rect


def result(points, handedness="Right", confidence=None):
    points = points.astype(np.float32)
    return HandResult(
        id=0,
        roi=Rect(0, 0, 1, 1),
        score=1.0,
        handedness=handedness,
        landmarks=points,
        world=points / 1000,
        confidence=confidence,
    )


def known(threshold=0.6):
    """A network whose numbers one can follow: unit i of 2 is feature i, class i is unit i."""
    first = np.zeros((FEATURES, 2), np.float32)
    first[[0, 1], [0, 1]] = 1
    second = np.eye(2, 3, dtype=np.float32)
    biases = (np.zeros(2, np.float32), np.zeros(3, np.float32))
    return Perceptron(("a", "b", "none"), (first, second), biases, threshold)


def features(*values):
    row = np.zeros((1, FEATURES), np.float32)
    row[0, : len(values)] = values
    return row


def test_probabilities_are_those_of_a_layer_of_relus_and_a_softmax():
    # Units 2 and relu(-3) = 0: exponentials e^2, 1 and 1.
    e = np.exp(2)
    expected = np.array([[e, 1, 1]]) / (e + 2)
    np.testing.assert_allclose(known().probabilities(features(2, -3)), expected, rtol=1e-6)
    large = known().probabilities(features(1e4, 0))
    np.testing.assert_allclose(large, [[1, 0, 0]])  # no overflow


def test_a_hand_is_named_where_the_network_is_sure():
    assert known().named(features(2)) == ["a"]  # 0.787
    assert known(threshold=0.8).named(features(2)) == [None]
    assert known(threshold=0.0).named(features(-1, -1)) == ["a"]  # all alike: the first
    none = Perceptron(("none", "b", "a"), known().weights, known().biases, 0.1)
    assert none.named(features(2)) == [None]


def test_a_classifier_comes_back_from_its_file(tmp_path):
    known(threshold=0.75).save(tmp_path / "mine.npz")
    again = load_recogniser(tmp_path / "mine.npz")
    assert again.network.names == ("a", "b", "none")
    assert again.network.threshold == 0.75
    np.testing.assert_array_equal(again.network.weights[0], known().weights[0])
    assert (tmp_path / "mine.npz").stat().st_size < 4000


class Loud:
    def __reduce__(self):
        return print, ("code of a stranger ran",)


def hostile():
    return np.array([Loud()], dtype=object)


def file_with(**arrays):
    good = {"names": np.array(["a", "b", "none"]), "threshold": np.array(0.5)}
    for layer in (0, 1):
        good[f"weight_{layer}"] = known().weights[layer]
        good[f"bias_{layer}"] = known().biases[layer]
    return good | arrays


WRONG = {
    "objects, which could run code": (file_with(names=hostile()), "allow_pickle"),
    "another number of features": (file_with(weight_0=np.zeros((64, 2))), "of 64 features"),
    "layers that do not fit": (file_with(weight_1=np.zeros((3, 3))), "do not fit together"),
    "a scalar for a layer": (file_with(weight_1=np.zeros(())), "two matrices and two vectors"),
    "no class for none": (file_with(names=np.array(["a", "b", "c"])), "expected a class 'none'"),
    "a name that moves a terminal's cursor": (
        file_with(names=np.array(["a", "\x1b[2J", "none"])),
        "name of a class: expected 1 to 64 letters that can be printed",
    ),
    "three thresholds": (file_with(threshold=np.full(3, 0.5)), "threshold: expected one number"),
    "a list of one threshold": (file_with(threshold=np.array([0.5])), "expected one number"),
    "a threshold that is none": (file_with(threshold=np.array("x")), "threshold: expected numbers"),
    "a threshold beyond 1": (file_with(threshold=np.array(2.0)), r"threshold: .* in \[0, 1\]"),
    "a number for names": (file_with(names=np.array(3)), "names: expected a list of texts"),
    "names in a table": (file_with(names=np.array([["none"]])), "names: expected a list of texts"),
    "complex numbers": (file_with(bias_1=np.zeros(3, complex)), "bias_1: expected numbers"),
    "numbers that are none": (file_with(bias_1=np.full(3, np.nan)), "not finite"),
}


@pytest.mark.parametrize(("arrays", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_refused(arrays, message, tmp_path, capsys):
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(ModelError, match=f"wrong.npz: .*{message}"):
        GestureClassifier.load(tmp_path / "wrong.npz")
    assert "stranger" not in capsys.readouterr().out


CONTENTS = {"nothing": b"", "text": b"no zip", "a pickle": pickle.dumps(3), "half": b"PK\x03\x04"}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_what_is_no_archive_is_refused(content, tmp_path):
    (tmp_path / "wrong.npz").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as a classifier"):
        GestureClassifier.load(tmp_path / "wrong.npz")


def test_a_file_that_unpacks_to_more_than_a_classifier_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "wrong.npz", **file_with(more=np.zeros(1 << 20)))
    assert (tmp_path / "wrong.npz").stat().st_size < 20_000
    with pytest.raises(ModelError, match="more than the 4,194,304 that are read"):
        GestureClassifier.load(tmp_path / "wrong.npz")


def test_an_entry_that_is_no_array_is_refused(tmp_path):
    arrays = file_with()
    del arrays["names"]
    np.savez(tmp_path / "wrong.npz", **arrays)
    with zipfile.ZipFile(tmp_path / "wrong.npz", "a") as archive:
        archive.writestr("names", "none")
    with pytest.raises(ModelError, match=r"wrong\.npz: .*'names' in it is no array"):
        GestureClassifier.load(tmp_path / "wrong.npz")


def test_no_damaged_byte_ends_in_another_error(tmp_path):
    np.savez_compressed(tmp_path / "good.npz", **file_with())
    content = (tmp_path / "good.npz").read_bytes()
    messages = []
    for position in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        (tmp_path / "wrong.npz").write_bytes(damaged)
        try:
            GestureClassifier.load(tmp_path / "wrong.npz")
        except ModelError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all("wrong.npz: " in message for message in messages)


def test_a_header_that_no_parser_reads_is_refused(tmp_path):
    """Numpy has Python's own parser read it, and lets the parser's errors through."""
    np.savez(tmp_path / "good.npz", **file_with())
    with (
        zipfile.ZipFile(tmp_path / "good.npz") as good,
        zipfile.ZipFile(tmp_path / "wrong.npz", "w") as wrong,
    ):
        for name in good.namelist():
            wrong.writestr(name, good.read(name).replace(b"}", b"(", 1))
    with pytest.raises(ModelError, match=r"wrong\.npz: cannot be read as a classifier"):
        GestureClassifier.load(tmp_path / "wrong.npz")


def test_an_array_that_claims_terabytes_is_refused(tmp_path):
    arrays = file_with()
    del arrays["bias_1"]
    np.savez(tmp_path / "wrong.npz", **arrays)
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "wrong.npz", "a") as archive:
        archive.writestr("bias_1.npy", header.getvalue())
    with pytest.raises(ModelError, match=r"wrong\.npz: cannot be read as a classifier"):
        GestureClassifier.load(tmp_path / "wrong.npz")


def test_a_missing_array_or_file_is_refused(tmp_path):
    arrays = file_with()
    del arrays["bias_0"]
    np.savez(tmp_path / "wrong.npz", **arrays)
    for name in ("wrong.npz", "missing.npz"):
        with pytest.raises(ModelError, match=name):
            GestureClassifier.load(tmp_path / name)


def test_the_classifier_that_ships_knows_an_open_palm_on_either_hand():
    learned = load_recogniser("learned")
    right = open_hand(300, 300)
    left = right * np.array([-1, 1, 1], np.float32) + np.array([600, 0, 0], np.float32)
    assert learned.recognise(result(right)) == "open palm"
    assert learned.recognise(result(left, "Left")) == "open palm"
    # The same picture in a mirror: the hand is still the person's right one.
    assert learned.recognise(result(left), mirrored=True) == "open palm"


def test_no_gesture_from_fingers_that_are_not_seen():
    learned = load_recogniser("learned")
    points = open_hand(300, 300)
    assert learned.recognise(result(points), size=(600, 600)) == "open palm"
    assert learned.recognise(result(points), size=(600, 310)) is None  # cut at the right
    doubtful = np.full(21, 0.9, np.float32)
    doubtful[8] = 0.1
    assert learned.recognise(result(points, confidence=doubtful)) is None


def test_a_hand_without_landmarks_has_no_gesture():
    assert load_recogniser("learned").recognise(HandResult(0, Rect(0, 0, 1, 1), 1.0)) is None


def test_features_are_the_shape_and_its_turn():
    shape = hand_shape(result(open_hand()))
    described = features_of(shape)
    assert described.shape == (FEATURES,)
    assert described[-2:] == pytest.approx((1, 0), abs=1e-6)  # upright


def test_recognisers_by_name(tiny_pack):
    assert isinstance(load_recogniser("american"), GestureTable)
    given = GestureClassifier(known())
    assert load_recogniser(given) is given
    with HandTracker(pack=tiny_pack, gestures="learned") as tracker:
        image = np.full((240, 320, 3), 30, np.uint8)
        image[90:150, 70:130] = 255
        assert len(tracker.detect(image)) == 1

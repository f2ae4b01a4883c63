import numpy as np
import pytest
from numpy.typing import NDArray

from handheld.errors import InputError
from handheld.projection import signs as module
from handheld.projection.features import Bag, Features
from handheld.projection.hashing import mix
from handheld.projection.signs import Signs

TEXTS = [
    "hey, how's it going?",
    "",
    "How's it going buddy?",
    "the invoice is attached",
    "\U0001f44d",
    "ok",
] * 8
LONG = " ".join(f"word{n}" for n in range(700))


def sums(bag: Bag, size: int, keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """As the definition says, one bit at a time."""
    found = np.zeros((len(bag), size), np.intp)
    for text, (start, end) in enumerate(zip(bag.offsets, bag.offsets[1:], strict=False)):
        for value in bag.hashes[start:end]:
            words = mix(value + keys)
            found[text] += [
                2 * int(words[bit // 64] >> np.uint64(bit % 64) & np.uint64(1)) - 1
                for bit in range(size)
            ]
    return found


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (5, 13), (9, 64)])
def test_bits_are_signs_of_sums(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], compiled: bool
) -> None:
    monkeypatch.setattr(module, "_FEW_TEXTS", 0 if compiled else 10**9)
    signs = Signs(*size, seed=3)
    bag = Features(words=2, skips=1).of([*TEXTS[:6], LONG])
    expected = sums(bag, signs.size, signs._keys)
    assert np.array_equal(signs.of(bag), expected > 0)
    counts = np.diff(bag.offsets)[:, None]
    dead = np.floor(0.5 * np.sqrt(counts))
    assert np.array_equal(
        signs.ternary(bag), np.where(expected > dead, 1, np.where(expected < -dead, -1, 0))
    )


def test_alone_in_a_batch_and_in_both_ways_of_counting_bits_are_the_same() -> None:
    signs, features = Signs(60, 14), Features()
    together = signs.of(features.of(TEXTS))  # more than a few: counted by compiled code
    assert all(
        np.array_equal(signs.of(features.of([text]))[0], bits)
        for text, bits in zip(TEXTS, together, strict=True)
    )


def test_golden_bits() -> None:
    bits = Signs(4, 8, seed=1).of(Features().of(["are you coming tonight?"]))
    assert np.packbits(bits).tobytes().hex() == "c24fe308"


def test_near_texts_agree_in_more_bits() -> None:
    one, other, far = Signs(80, 14).of(
        Features().of(["hey, how's it going?", "How's it going buddy?", "the invoice is attached"])
    )
    assert (one != other).mean() < 0.35 < 0.45 < (one != far).mean() < 0.55


def test_seeds_give_other_bits() -> None:
    bag = Features().of(["are you coming tonight?"])
    assert 0.4 < (Signs(80, 14).of(bag) != Signs(80, 14, seed=1).of(bag)).mean() < 0.6


def test_bits_of_vectors_follow_their_angle() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 300))
    b = a * np.cos(0.7) + (b - a * (a @ b) / (a @ a)) * np.sin(0.7) * np.linalg.norm(
        a
    ) / np.linalg.norm(b)
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    one, other = Signs(300, 14).of_vectors(np.stack([a, b]))
    assert (one != other).mean() == pytest.approx(angle / np.pi, abs=0.03)
    assert np.array_equal(Signs(300, 14).of_vectors(1e-6 * a[None])[0], one)
    assert np.array_equal(Signs(3, 14).of_vectors(np.zeros((2, 5))), np.zeros((2, 42)))


def test_pictures_are_vectors() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8)
    assert np.array_equal(
        Signs(5, 3).of_vectors(pictures), Signs(5, 3).of_vectors(pictures.reshape(3, 16))
    )


@pytest.mark.parametrize("wrong", [{"functions": 0}, {"bits": 0}, {"bits": 65}, {"seed": -1}])
def test_numbers_outside_of_what_is_known(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Signs(**wrong)


@pytest.mark.parametrize(
    "wrong", [np.array([[np.nan, 1.0]]), np.zeros((0, 3)), np.array([[np.inf]])]
)
def test_vectors_that_have_no_bits(wrong: NDArray[np.float64]) -> None:
    with pytest.raises(InputError):
        Signs(2, 2).of_vectors(wrong)

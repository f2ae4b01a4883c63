import gc
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from made import frame, picture

from handheld.errors import CalculatorError, GraphError, InputError, TimestampError
from handheld.hands import HandTracker, calculators
from handheld.hands.calculators import run_on_crop
from handheld.media import Frame


@pytest.fixture
def tracker(tiny_pack):
    with HandTracker(pack=tiny_pack, max_hands=2, smoothing=False, redetect_every=5) as tracker:
        yield tracker


def runs(tracker):
    return tracker.stats().nodes["palm_detector"].calls


def test_one_hand_is_found_followed_and_lost(tracker):
    for index in range(10):
        (hand,) = tracker.track(frame(index, (100 + 3 * index, 120)))
        assert hand.id == 0
        assert hand.landmarks.shape == hand.world.shape == (21, 3)
        assert abs(hand.centre[0] - (100 + 3 * index)) < 20
    assert tracker.track(frame(10)) == []
    (back,) = tracker.track(frame(11, (130, 120)))
    assert back.id == 0


def test_the_detector_runs_only_when_a_hand_is_missing(tracker):
    for index in range(11):
        assert len(tracker.track(frame(index, (70, 120), (250, 120)))) == 2
    assert runs(tracker) == 1  # both found at once, none lost
    for index in range(11, 22):
        assert len(tracker.track(frame(index, (70, 120)))) == 1
    # Frame 11 shows the loss; frame 12 looks at once, then every fifth frame does: 17.
    assert runs(tracker) == 3


@pytest.mark.parametrize(("closer", "frames"), [(False, 5), (True, 10)])
def test_a_new_hand_is_found_within_k_frames(tiny_pack, closer, frames):
    # Twice as many where every other look is a closer one, which need not show it.
    with HandTracker(pack=tiny_pack, redetect_every=5, look_closer=closer) as tracker:
        for index in range(3):
            tracker.track(frame(index, (70, 120)))
        found = [len(tracker.track(frame(index, (70, 120), (250, 120)))) for index in range(3, 14)]
    assert found[-1] == 2
    assert found.index(2) < frames


def test_a_new_hand_is_found_at_once_by_default(tiny_pack):
    with HandTracker(pack=tiny_pack) as tracker:
        for index in range(3):
            tracker.track(frame(index, (70, 120)))
        # The 98 % of what looking in each frame finds, that any other k misses.
        assert tracker.options.redetect_every == 1
        assert len(tracker.track(frame(3, (70, 120), (250, 120)))) == 2


def test_ids_stay_with_their_hands_when_they_move(tracker):
    for index in range(30):
        hands = {
            hand.id: hand
            for hand in tracker.track(frame(index, (60 + 2 * index, 120), (250, 90 + 2 * index)))
        }
        assert sorted(hands) == [0, 1]
        if index == 0:
            left = min(hands, key=lambda i: hands[i].centre[0])
        assert hands[left].centre[0] < hands[1 - left].centre[0]


def test_no_more_hands_than_asked(tiny_pack):
    with HandTracker(pack=tiny_pack, max_hands=1) as tracker:
        for index in range(5):
            assert len(tracker.track(frame(index, (70, 120), (250, 120)))) == 1
        assert runs(tracker) == 1


def test_what_is_no_hand_keeps_no_hand_out(tiny_pack, monkeypatch):
    look = calculators.run_on_crop

    def no_hand_on_the_left(model, image, region, *, border):
        answers = look(model, image, region, border=border)
        if border == "replicate" and region.x < 160:  # the landmark model's border
            answers[1][:] = 0
        return answers

    monkeypatch.setattr(calculators, "run_on_crop", no_hand_on_the_left)
    with HandTracker(pack=tiny_pack, max_hands=1) as tracker:
        for index in range(3):
            (hand,) = tracker.track(frame(index, (70, 120), (250, 120)))
            assert hand.centre[0] > 160


def test_a_picture_has_no_memory(tracker):
    assert len(tracker.detect(picture((70, 120)))) == 1
    assert tracker.detect(picture()) == []
    (again,) = tracker.detect(picture((250, 120)))
    assert again.id == 0
    assert tracker.stats() is None


def test_palms_only(tiny_pack):
    with HandTracker(pack=tiny_pack, palms_only=True) as tracker:
        for index in range(3):
            (hand,) = tracker.track(frame(index, (70, 120)))
            assert (
                hand.landmarks,
                hand.world,
                hand.handedness,
                hand.handedness_score,
                hand.gesture,
            ) == (None,) * 5
            assert hand.palm.keypoints.shape == (7, 2)
            assert hand.id == 0
            assert hand.to_json()["landmarks"] is None


def test_mirrored_swaps_the_hands(tiny_pack):
    sides = []
    for mirrored in (False, True):
        with HandTracker(pack=tiny_pack, mirrored=mirrored) as tracker:
            sides.append(tracker.detect(picture((70, 120)))[0].handedness)
    assert set(sides) == {"Left", "Right"}


def test_every_intermediate_result_can_be_observed(tracker):
    seen = {stream: [] for stream in tracker.streams}
    for stream in tracker.streams:
        tracker.observe(stream, lambda packet, stream=stream: seen[stream].append(packet))
    for index in range(3):
        tracker.track(frame(index, (70, 120)))
    assert [
        len(seen[stream])
        for stream in ("frame", "detect", "palms", "regions", "next_regions", "hands")
    ] == [
        3,
        3,
        1,
        3,
        3,
        3,
    ]
    with pytest.raises(InputError, match="no stream"):
        tracker.observe("nothing", print)


def test_smoothing_steadies_and_can_be_left_out(tiny_pack):
    places = np.random.default_rng(0).integers(-3, 4, (40, 2))
    spread = {}
    for smoothing in (True, False):
        with HandTracker(pack=tiny_pack, smoothing=smoothing) as tracker:
            centres = [
                tracker.track(frame(i, (150 + int(x), 120 + int(y))))[0].centre
                for i, (x, y) in enumerate(places)
            ]
            spread[smoothing] = np.std(centres[5:], axis=0).max()
    assert spread[True] < spread[False]


@pytest.mark.parametrize(
    "image",
    [
        picture((70, 120))[:, :, 0],
        picture((70, 120))[:, :, :1],
        np.dstack([picture((70, 120)), np.full((240, 320), 255, np.uint8)]),
        (picture((70, 120)) / 255).astype(np.float32),
        picture((70, 120)).astype(np.uint16) * 257,
        picture((70, 120))[:, ::-1][:, ::-1],
    ],
    ids=["grey", "one channel", "with alpha", "float", "sixteen bits", "not contiguous"],
)
def test_any_form_of_picture(tracker, image):
    assert len(tracker.track(Frame(image, 0, 0))) == 1


@pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 500), (8000, 8000), (1, 8000)],
    ids=["1x1", "1x500", "8000x8000", "1x8000"],
)
def test_any_size_of_picture(tracker, height, width):
    assert tracker.detect(np.zeros((height, width, 3), np.uint8)) == []


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros(5, np.uint8),
        np.full((4, 4, 3), np.nan, np.float32),
        np.full((4, 4, 3), 255.0),
        np.zeros((4, 4, 3), np.int64),
        np.array([["a"]]),
    ],
    ids=["empty", "two channels", "a line", "NaN", "float to 255", "int64", "text"],
)
def test_what_is_no_picture_is_refused_and_loses_nothing(tracker, image):
    assert len(tracker.track(frame(0, (70, 120)))) == 1
    with pytest.raises(InputError, match="expected a"):
        tracker.track(Frame(image, 40_000, 1))
    assert tracker.track(frame(2, (70, 120)))[0].id == 0
    assert runs(tracker) == 1


def test_time_must_not_run_backwards(tracker):
    tracker.track(frame(5, (70, 120)))
    for index in (4, 5):
        with pytest.raises(TimestampError, match=r"frame \d at \d+ us does not follow"):
            tracker.track(frame(index, (70, 120)))
    assert tracker.track(frame(6, (70, 120)))[0].id == 0
    tracker.reset()
    assert len(tracker.track(frame(0, (70, 120)))) == 1


def test_a_failing_observer_arrives_with_its_place_and_the_tracker_goes_on(tracker):
    def fail(packet):
        raise RuntimeError("too bad")

    tracker.observe("regions", fail)
    with pytest.raises(CalculatorError, match=r"observer.*regions.*timestamp 0.*too bad"):
        tracker.track(frame(0, (70, 120)))
    tracker._observers.clear()
    assert len(tracker.track(frame(0, (70, 120)))) == 1


def test_a_tracker_that_is_closed_while_another_thread_detects_says_so(tiny_pack, monkeypatch):
    tracker = HandTracker(pack=tiny_pack)

    def run_after_close(model, image, rect, *, border):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(tracker.close).result()
        return run_on_crop(model, image, rect, border=border)

    monkeypatch.setattr(calculators, "run_on_crop", run_after_close)
    with pytest.raises(GraphError, match=r"^the tracker is closed$") as caught:
        tracker.detect(picture((70, 120)))
    assert type(caught.value) is GraphError
    assert "the model is closed" in str(caught.value.__cause__)


def test_a_model_that_fails_in_an_open_tracker_is_told_as_such(tracker, monkeypatch):
    def broken(model, image, rect, *, border):
        raise InputError("too bad")

    monkeypatch.setattr(calculators, "run_on_crop", broken)
    with pytest.raises(CalculatorError, match="too bad"):
        tracker.detect(picture((70, 120)))


def test_a_closed_tracker_says_so(tiny_pack):
    tracker = HandTracker(pack=tiny_pack)
    tracker.track(frame(0, (70, 120)))
    tracker.close()
    tracker.close()
    for use in (lambda: tracker.track(frame(1)), lambda: tracker.detect(picture())):
        with pytest.raises(GraphError, match="closed"):
            use()


@pytest.mark.parametrize(
    "options", [{"max_hands": 0}, {"redetect_every": 0}, {"min_palm_score": 1.0}, {"threads": 0}]
)
def test_options_are_checked(tiny_pack, options):
    with pytest.raises(InputError):
        HandTracker(pack=tiny_pack, **options)


def test_ten_thousand_frames_do_not_grow(tiny_pack):
    """Small frames and models, so that it is the tracker's own memory that counts; hands come, go
    and are named anew.
    """
    with HandTracker(pack=tiny_pack, max_hands=2) as tracker:

        def run(start, stop):
            for index in range(start, stop):
                squares = [(40, 40)] if index % 100 < 80 else []
                tracker.track(frame(index, *squares, height=64, width=64, side=24))

        run(0, 2000)
        gc.collect()
        objects, before = len(gc.get_objects()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run(2000, 10_000)
        gc.collect()
        assert len(gc.get_objects()) < objects + 500
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB


def test_a_picture_is_no_frame(tracker):
    with pytest.raises(InputError, match=r"expected a Frame .*got ndarray"):
        tracker.track(picture())


def test_a_model_that_gives_no_numbers_loses_the_hand(tracker, monkeypatch):
    def broken(model, *args, **kwargs):
        outputs = run_on_crop(model, *args, **kwargs)
        return (outputs[0] * np.nan, *outputs[1:]) if len(outputs) == 4 else outputs

    assert len(tracker.track(frame(0, (70, 120)))) == 1
    monkeypatch.setattr("handheld.hands.calculators.run_on_crop", broken)
    assert tracker.track(frame(1, (70, 120))) == []
    monkeypatch.undo()
    (back,) = tracker.track(frame(2, (70, 120)))
    assert back.id == 0


def ids_of(tracker, *indices):
    return [[hand.id for hand in tracker.track(frame(index, (100, 120)))] for index in indices]


def test_trackers_work_side_by_side(tiny_pack):
    with HandTracker(pack=tiny_pack) as one, HandTracker(pack=tiny_pack) as other:
        for index in range(4):
            (left,) = one.track(frame(index, (70, 120)))
            (right,) = other.track(frame(index, (250, 120)))
            assert left.centre[0] < 100 < 220 < right.centre[0]
        assert len(one.detect(picture((70, 120), (250, 120)))) == 2  # a picture while a stream runs
        assert ids_of(one, 4) == [[0]]


def test_a_stream_of_frames_is_of_one_thread(tracker):
    """A callback within it is as another thread is: there is no next frame yet."""

    def again(packet):
        tracker.track(Frame(np.zeros((48, 64, 3), np.uint8), 10, 1))

    tracker.observe("regions", again)
    with pytest.raises(CalculatorError, match="follows one stream of frames, and another thread"):
        tracker.track(Frame(np.zeros((48, 64, 3), np.uint8), 0, 0))
    tracker._observers.clear()
    assert tracker.track(Frame(np.zeros((48, 64, 3), np.uint8), 20, 2)) == []


def test_palms_that_no_landmark_model_refuses_have_an_even_chance_by_default():
    for palms_only, least in ((False, 0.2), (True, 0.5)):
        with HandTracker(palms_only=palms_only) as tracker:
            assert tracker.options.min_palm_score == least
    with HandTracker(palms_only=True, min_palm_score=0.2) as tracker:
        assert tracker.options.min_palm_score == 0.2


def test_what_cannot_be_called_observes_nothing(tracker):
    with pytest.raises(InputError, match="expected what can be called with a packet, got None"):
        tracker.observe("regions", None)


def test_trackers_work_in_threads_as_they_do_alone(tiny_pack):
    def positions(x):
        with HandTracker(pack=tiny_pack) as tracker:
            tracked = [tracker.track(frame(index, (x + 2 * index, 120))) for index in range(20)]
        return [[(hand.id, hand.landmarks.tolist()) for hand in hands] for hands in tracked]

    alone = [positions(x) for x in (60, 90, 120, 150)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(positions, (60, 90, 120, 150))) == alone


def test_one_tracker_finds_hands_in_pictures_for_many_threads(tracker):
    xs = [60 + 5 * number for number in range(32)]
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda x: len(tracker.detect(picture((x, 120)))), xs))
    assert counts == [1] * 32


def test_a_tracker_that_was_never_closed_does_not_stand_in_the_way(tiny_pack):
    HandTracker(pack=tiny_pack).track(frame(0, (70, 120)))
    kept = HandTracker(pack=tiny_pack)
    kept.track(frame(0, (70, 120)))
    assert ids_of(HandTracker(pack=tiny_pack), 0, 1) == [[0], [0]]
    kept.close()


def test_a_misspelt_stream_leaves_trackers_usable(tiny_pack, tracker):
    with HandTracker(pack=tiny_pack) as wrong:
        with pytest.raises(InputError, match="'palm' is no stream"):
            wrong.observe("palm", print)
        assert len(wrong.track(frame(0, (70, 120)))) == 1
    assert ids_of(tracker, 0, 1) == [[0], [0]]


def test_after_an_interrupt_the_tracker_goes_on_and_gives_no_id_twice(tracker, monkeypatch):
    assert ids_of(tracker, 0, 1) == [[0], [0]]

    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("handheld.hands.calculators.project_landmarks", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tracker.track(frame(2, (100, 120)))
    assert ids_of(tracker, 3, 4) == [[1], [1]]
    tracker.reset()
    assert ids_of(tracker, 0) == [[0]]


@pytest.mark.parametrize("threads", ["2", 1.5, None, 0])
def test_threads_are_a_whole_number(tiny_pack, threads):
    with pytest.raises(InputError, match=r"threads: expected a whole number in \[1, 1024\], got"):
        HandTracker(pack=tiny_pack, threads=threads)


@pytest.mark.parametrize("smoothing", [True, False])
def test_results_are_the_users_to_change(tiny_pack, smoothing):
    with (
        HandTracker(pack=tiny_pack, smoothing=smoothing) as one,
        HandTracker(pack=tiny_pack, smoothing=smoothing) as other,
    ):
        for index in range(6):
            (expected,) = one.track(frame(index, (100 + index, 120)))
            (hand,) = other.track(frame(index, (100 + index, 120)))
            assert np.array_equal(hand.landmarks, expected.landmarks)
            assert np.array_equal(hand.world, expected.world)
            hand.landmarks[:, :2] /= (320, 240)  # as those who come from MediaPipe do
            hand.world[:] = 0
            hand.centre[:] = 0
            hand.region.centre[:] = 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_hands", "2"),
        ("max_hands", 0),
        ("redetect_every", 1.5),
        ("min_palm_score", 1.0),
        ("min_hand_score", float("nan")),
        ("min_palm_score", "half"),
        ("smoothing", "much"),
        ("smoothing", 3),
        ("mirrored", "no"),
        ("palms_only", 1),
        ("max_hands", True),
    ],
)
def test_a_wrong_option_is_named(tiny_pack, option, value):
    with pytest.raises(InputError, match=f"{option}: expected"):
        HandTracker(pack=tiny_pack, **{option: value})


def test_a_new_hand_must_be_surer_than_one_that_is_followed(tiny_pack):
    """The tiny landmark model is about as sure of any square."""
    with HandTracker(pack=tiny_pack, smoothing=False) as tracker:
        (first,) = tracker.track(frame(0, (100, 120)))
    above = replace(tiny_pack, new_hand_score=min(1.0, first.score + 0.01))
    with HandTracker(pack=above, smoothing=False) as tracker:
        assert tracker.options.min_hand_score == 0.5
        assert tracker.options.min_new_hand_score == above.new_hand_score
        assert tracker.track(frame(0, (100, 120))) == []
        assert tracker.detect(frame(0, (100, 120)).image) == []
    with HandTracker(pack=above, smoothing=False, min_new_hand_score=0.5) as tracker:
        assert len(tracker.track(frame(0, (100, 120)))) == 1


def test_who_asks_for_doubtful_hands_gets_new_ones_too(tiny_pack):
    with HandTracker(pack=replace(tiny_pack, new_hand_score=1.0), min_hand_score=0.1) as tracker:
        assert tracker.options.min_new_hand_score == 0.1
        assert len(tracker.detect(frame(0, (100, 120)).image)) == 1


def test_a_frame_is_no_picture(tiny_pack):
    with (
        HandTracker(pack=tiny_pack) as tracker,
        pytest.raises(InputError, match=r"got a frame: its picture is frame\.image"),
    ):
        tracker.detect(frame(0, (100, 120)))


def test_a_pack_says_what_a_followed_hand_needs(tiny_pack):
    for score, followed in ((0.0, 1), (1.0, 0)):
        with HandTracker(pack=replace(tiny_pack, hand_score=score, new_hand_score=0.0)) as tracker:
            assert tracker.options.min_hand_score == score
            assert len(tracker.track(frame(0, (100, 120)))) == followed
        with HandTracker(pack=replace(tiny_pack, hand_score=score), min_hand_score=0.4) as tracker:
            assert tracker.options.min_hand_score == 0.4


def test_a_followed_hand_may_fall_below_what_a_new_one_needs(tiny_pack, monkeypatch):
    with HandTracker(pack=tiny_pack, smoothing=False, min_new_hand_score=0.9) as tracker:
        (first,) = tracker.track(frame(0, (100, 120)))
        assert first.score > 0.9
        # From now on the model is less sure of everything.
        monkeypatch.setattr(calculators, "run_on_crop", less_sure)
        assert [hand.id for hand in tracker.track(frame(1, (100, 120)))] == [first.id]
        assert tracker.detect(frame(2, (100, 120)).image) == []


def less_sure(model, image, rect, *, border):
    outputs = run_on_crop(model, image, rect, border=border)
    if border == "black":  # the palm model's
        return outputs
    return outputs[0], np.full_like(outputs[1], 0.6), *outputs[2:]


def test_a_stream_that_is_refused_does_not_come_back(tracker):
    for _ in range(2):
        with pytest.raises(InputError, match="'nope' is no stream"):
            tracker.observe("nope", print)
        tracker.track(frame(0, (70, 120)))
        tracker.reset()

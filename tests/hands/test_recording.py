import json
import signal
from pathlib import Path

import numpy as np
import pytest
from made import frame

from handheld.errors import FileError, InputError, MediaError, TimestampError
from handheld.hands import HandTracker, MotionEvent, MotionRecogniser, draw_hands
from handheld.hands.recording import HandDrawer, record
from handheld.media import PALETTE, Frame, MediaWarning, VideoWriter, open_video


@pytest.fixture
def tracker(tiny_pack):
    with HandTracker(pack=tiny_pack, redetect_every=3) as tracker:
        yield tracker


FRAMES = [frame(index, (70 + index, 120)) for index in range(8)]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines_and_an_annotated_video(tracker, tmp_path):
    seen = []
    recording = record(
        FRAMES,
        tracker,
        video=tmp_path / "out.mp4",
        jsonl=tmp_path / "out.jsonl",
        on_frame=lambda r, f, h: seen.append((r.frames, f.index)),
    )
    assert seen == [(index + 1, index) for index in range(8)]
    # One of two hands is in view; at the sixth frame nothing but that hand has moved.
    assert recording.detector_frames == [0, 3, 6]
    assert recording.fps > 0
    assert recording.latency_percentile(50) <= recording.latency_percentile(95)
    lines = lines_of(tmp_path / "out.jsonl")
    assert [(line["t_us"], line["frame"]) for line in lines] == [(f.t_us, f.index) for f in FRAMES]
    keys = {
        "id",
        "handedness",
        "handedness_score",
        "score",
        "landmarks",
        "world",
        "confidence",
        "gesture",
        "roi",
    }
    for line in lines:
        (hand,) = line["hands"]
        assert hand.keys() == keys
        assert np.shape(hand["landmarks"]) == np.shape(hand["world"]) == (21, 3)
    drawn = list(open_video(tmp_path / "out.mp4"))
    assert [f.t_us for f in drawn] == [f.t_us for f in FRAMES]
    assert not np.array_equal(drawn[-1].image, FRAMES[-1].image)


def test_every_node(tracker, tmp_path):
    record(FRAMES[:4], tracker, jsonl=tmp_path / "out.jsonl", every_node=True)
    first, second, *_, last = lines_of(tmp_path / "out.jsonl")
    assert first["nodes"]["detect"] is True
    assert first["nodes"]["palms"][0]["score"] > 0.5
    assert second["nodes"]["detect"] is False
    assert "palms" not in second["nodes"]
    assert second["nodes"]["regions"][0]["track"] == 0
    assert last["nodes"]["frame"] == {
        "frame": 3,
        "t_us": FRAMES[3].t_us,
        "height": 240,
        "width": 320,
    }


@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), MediaError("the camera stopped")], ids=["Ctrl-C", "broken source"]
)
def test_what_was_done_is_kept(tracker, tmp_path, stop):
    def source():
        yield from FRAMES[:3]
        raise stop

    files = {"video": tmp_path / "out.mp4", "jsonl": tmp_path / "out.jsonl"}
    if isinstance(stop, MediaError):
        with pytest.raises(MediaError, match="camera stopped"):
            record(source(), tracker, **files)
    else:
        recording = record(source(), tracker, **files)
        assert (recording.frames, recording.interrupted) == (3, True)
    assert len(lines_of(tmp_path / "out.jsonl")) == 3
    assert len(list(open_video(tmp_path / "out.mp4"))) == 3


def test_a_bug_leaves_no_half_file_and_the_old_one_untouched(tracker, tmp_path):
    (tmp_path / "out.jsonl").write_text("old\n")

    def fail(*_):
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        record(
            FRAMES, tracker, jsonl=tmp_path / "out.jsonl", video=tmp_path / "out.mp4", on_frame=fail
        )
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == "old\n"


def test_an_empty_source(tracker, tmp_path):
    assert record([], tracker, jsonl=tmp_path / "out.jsonl").frames == 0
    assert (tmp_path / "out.jsonl").read_text() == ""
    with pytest.raises(MediaError, match="no frame"):
        record([], tracker, video=tmp_path / "out.mp4")


def test_drawing_leaves_the_frame_alone(tracker):
    before = FRAMES[0].image.copy()
    recording = record(FRAMES[:1], tracker)
    drawn = HandDrawer()(FRAMES[0], recording.hands[0])
    assert np.array_equal(FRAMES[0].image, before)
    assert not np.array_equal(drawn, before)


def test_one_tracker_records_one_stream_after_the_other(tracker):
    first, second = record(FRAMES, tracker), record(FRAMES[:4], tracker)
    assert (first.frames, first.detector_frames) == (8, [0, 3, 6])
    assert (second.frames, second.detector_frames) == (4, [0, 3])
    assert tracker.stats() is None


def test_a_failure_of_any_kind_in_the_middle_keeps_what_was_done(tracker, tmp_path):
    wrong = Frame(FRAMES[3].image, FRAMES[2].t_us, 3)  # a time that does not go on
    with pytest.raises(TimestampError, match="does not follow"):
        record(
            [*FRAMES[:3], wrong], tracker, video=tmp_path / "out.mp4", jsonl=tmp_path / "out.jsonl"
        )
    assert len(lines_of(tmp_path / "out.jsonl")) == 3
    assert len(list(open_video(tmp_path / "out.mp4"))) == 3


def test_a_video_that_fails_leaves_the_lines_whole(tracker, tmp_path, monkeypatch):
    def fail_on_the_fourth(writer, image, t_us):
        if t_us == FRAMES[3].t_us:
            raise MediaError("the disk is full")
        write(writer, image, t_us)

    write = VideoWriter.write
    monkeypatch.setattr(VideoWriter, "write", fail_on_the_fourth)
    with pytest.raises(MediaError, match="the disk is full"):
        record(FRAMES, tracker, video=tmp_path / "a.mp4", jsonl=tmp_path / "a.jsonl")
    assert [line["frame"] for line in lines_of(tmp_path / "a.jsonl")] == [0, 1, 2]


def test_a_video_that_cannot_be_finished_leaves_the_lines_whole(tracker, tmp_path, monkeypatch):
    def fail(writer, error):
        raise MediaError("cannot be finished")

    monkeypatch.setattr(VideoWriter, "_finish", fail)
    with pytest.raises(MediaError, match="cannot be finished"):
        record(FRAMES, tracker, video=tmp_path / "a.mp4", jsonl=tmp_path / "a.jsonl")
    assert len(lines_of(tmp_path / "a.jsonl")) == len(FRAMES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_lines_that_fail_leave_the_video_whole(tracker, tmp_path):
    with pytest.raises(FileError, match="/dev/full: cannot be written: No space left"):
        record(FRAMES, tracker, video=tmp_path / "a.mkv", jsonl="/dev/full")
    assert [one.t_us for one in open_video(tmp_path / "a.mkv")] == [FRAMES[0].t_us]


def test_an_interrupt_while_files_are_finished_is_told(tracker, tmp_path, monkeypatch):
    def interrupted_finish(writer, error):
        signal.raise_signal(signal.SIGINT)
        finish(writer, error)

    finish = VideoWriter._finish
    monkeypatch.setattr(VideoWriter, "_finish", interrupted_finish)
    recording = record(FRAMES, tracker, video=tmp_path / "a.mkv", jsonl=tmp_path / "a.jsonl")
    assert recording.interrupted
    assert len(list(open_video(tmp_path / "a.mkv"))) == len(FRAMES)
    assert len(lines_of(tmp_path / "a.jsonl")) == len(FRAMES)


def test_frames_that_change_their_size_are_all_recorded(tracker, tmp_path):
    small = [frame(index, (50, 60), height=120, width=160) for index in range(8, 12)]
    with pytest.warns(MediaWarning, match="frames of 160 x 120 pixels are scaled to 320 x 240"):
        record([*FRAMES, *small], tracker, video=tmp_path / "out.mp4", jsonl=tmp_path / "out.jsonl")
    assert len(lines_of(tmp_path / "out.jsonl")) == 12
    assert [f.image.shape for f in open_video(tmp_path / "out.mp4")] == [(240, 320, 3)] * 12


def test_json_lines_on_standard_output(tracker, capsys):
    record(FRAMES[:3], tracker, jsonl="-")
    assert [json.loads(line)["frame"] for line in capsys.readouterr().out.splitlines()] == [0, 1, 2]


def test_a_long_stream_need_not_be_kept(tracker):
    recording = record(FRAMES, tracker, keep=False)
    assert (recording.frames, recording.hands) == (8, [])


def test_a_video_with_a_suffix_for_pictures_is_refused_by_name(tracker, tmp_path):
    with pytest.raises(MediaError, match=r"x\.gif: no video format has this suffix"):
        record(FRAMES, tracker, video=tmp_path / "x.gif")


def test_both_results_in_one_file_are_refused(tracker, tmp_path):
    with pytest.raises(InputError, match="cannot go to one file"):
        record(FRAMES, tracker, video=tmp_path / "x.mp4", jsonl=tmp_path / "." / "x.mp4")
    assert list(tmp_path.iterdir()) == []


def test_labels_of_hands_that_are_near_do_not_cover_each_other(tracker):
    hands = tracker.track(frame(0, (90, 120), (205, 120)))
    assert len(hands) == 2
    drawn = draw_hands(np.zeros((240, 320, 3), np.uint8), hands)
    for hand in hands:
        colour = PALETTE[hand.id % len(PALETTE)]
        assert (drawn == colour).all(axis=2).sum() > 500  # each box is there, whole


class Twice(MotionRecogniser):
    """Tells of a motion in the third frame, and of another one at the end."""

    def update(self, hands, t_us, *, size=None):
        assert size == (240, 320)
        return [WAVE] if t_us == FRAMES[2].t_us else []

    def finish(self):
        return [SWIPE]


WAVE = MotionEvent("wave", 0, 1, 2)
SWIPE = MotionEvent("swipe left", 0, 3, 4)


def test_motions_are_in_the_lines_of_the_frames_that_end_them(tracker, tmp_path):
    recording = record(FRAMES, tracker, jsonl=tmp_path / "out.jsonl", motions=Twice())
    assert recording.motions == [WAVE, SWIPE]
    *lines, last = lines_of(tmp_path / "out.jsonl")
    assert [line["motions"] for line in lines] == [[], [], [WAVE.to_json()], *[[]] * 5]
    assert last == {"motions": [SWIPE.to_json()]}  # of the stream's end


def test_without_a_recogniser_lines_have_no_motions(tracker, tmp_path):
    recording = record(FRAMES, tracker, jsonl=tmp_path / "out.jsonl")
    assert recording.motions == []
    assert all("motions" not in line for line in lines_of(tmp_path / "out.jsonl"))

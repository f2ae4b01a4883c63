"""A whole stream of frames tracked, drawn and written down."""

import json
import os
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from handheld.errors import HandheldError
from handheld.files import LineWriter, ensure_apart, open_lines, uninterrupted
from handheld.graph import Packet
from handheld.hands.drawing import draw_hands
from handheld.hands.motion import MotionEvent, MotionRecogniser
from handheld.hands.result import HandResult, Palm, Region
from handheld.hands.tracker import HandTracker, Observer
from handheld.media import Frame, Image, Rect, VideoWriter

# Frames: two thirds of a second at 30 a second.
_TRACE_LENGTH = 20

Output = TypeVar("Output")


@dataclass
class Recording:
    """What came of a stream.

    Attributes:
        latency_ms: wall time of ``track`` for each frame.
        cpu_s: processor time of all of them.
        detector_frames: indices of frames on which the palm detector ran.
        hands: for each frame, its hands; none where they are not kept.
        t_us: for each frame, its time.
        interrupted: whether Ctrl-C ended it.
        motions: of all hands, as they ended; none where nobody looked for them.
    """

    latency_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    detector_frames: list[int] = field(default_factory=list)
    hands: list[list[HandResult]] = field(default_factory=list)
    t_us: list[int] = field(default_factory=list)
    interrupted: bool = False
    motions: list[MotionEvent] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Number of frames so far."""
        return len(self.latency_ms)

    @property
    def fps(self) -> float:
        """Frames per second of wall time spent tracking."""
        # Of tracking alone: reading and drawing are not the tracker's.
        total = sum(self.latency_ms)
        if total:
            return 1000 * self.frames / total
        return 0.0

    def latency_percentile(self, percent: float) -> float:
        """Return a percentile of the latency, ms; 0 for an empty stream."""
        if self.latency_ms:
            return float(np.percentile(self.latency_ms, percent))
        return 0.0


OnFrame = Callable[[Recording, Frame, list[HandResult]], None]


def _ignore(recording: Recording, frame: Frame, hands: list[HandResult]) -> None:
    """Do nothing after a frame."""


def record(  # noqa: PLR0913  # options by keyword, each by itself
    frames: Iterable[Frame],
    tracker: HandTracker,
    *,
    video: str | os.PathLike[str] | None = None,
    jsonl: str | os.PathLike[str] | None = None,
    every_node: bool = False,
    motions: MotionRecogniser | None = None,
    fps: float = 30.0,
    keep: bool = True,
    on_frame: OnFrame = _ignore,
) -> Recording:
    """Track every frame of a new stream; draw into a video and write JSON lines if asked.

    An interrupt (Ctrl-C) ends the stream as its end does, and so does an error of the source, of
    the tracker or of one of the files, which is raised after what was done has been written: the
    other file is whole.

    Args:
        frames: a video, folder or camera.
        tracker: which hands, and how.
        video: file to write the annotated frames to.
        jsonl: file to write one JSON object per frame to; ``-`` is standard output. There, and in a
            pipe, each line is written as its frame is done.
        every_node: put what every node of the graph sent into the JSON lines.
        motions: finds motions, which are in the result, and in the JSON line of the frame that ends
            them; what the stream's end ends is in a last line of its own.
        fps: nominal rate of the annotated video; its frames keep their own times.
        keep: whether the result holds the hands of every frame: about 1 KB each, so not for a
            camera that runs for days.
        on_frame: called after each frame.

    Raises:
        InputError: both files are the same.
        HandheldError: whatever the source, the tracker or a file that is written could not do.
    """
    # Before anything is opened: one of them would overwrite the other.
    ensure_apart([video, jsonl])
    stream = _Stream(tracker, keep=keep)
    nodes: dict[str, Any] | None = {} if every_node else None
    with _finished_in_any_case(stream.recording) as stack:
        stack.enter_context(tracker.observing(_observers(stream.recording, tracker, nodes)))
        outputs = _Outputs(nodes)
        if video:
            outputs.video = _opened(stack, VideoWriter(video, fps=fps), stream.failures)
        if jsonl:
            outputs.lines = _opened(stack, open_lines(jsonl), stream.failures)
        with stream.ended():
            for frame, hands in stream.tracked(frames):
                events = _motions_of(motions, stream.recording, frame, hands)
                outputs.write(frame, hands, events)
                on_frame(stream.recording, frame, hands)
        if motions is not None:
            outputs.end(_kept(stream.recording, motions.finish()))
    # Only now, when the files are whole.
    if stream.failures:
        raise stream.failures[0]
    return stream.recording


def _motions_of(
    motions: MotionRecogniser | None, recording: Recording, frame: Frame, hands: list[HandResult]
) -> list[MotionEvent] | None:
    """Return the motions that a frame ends; None where nobody looks for them."""
    if motions is None:
        return None
    height, width = frame.image.shape[:2]
    return _kept(recording, motions.update(hands, frame.t_us, size=(height, width)))


def _kept(recording: Recording, events: list[MotionEvent]) -> list[MotionEvent]:
    recording.motions += events
    return events


_UNWRITABLE = (HandheldError, OSError)


def _observers(
    recording: Recording, tracker: HandTracker, nodes: dict[str, Any] | None
) -> list[Observer]:
    """Return what notes when the detector ran, and what every node sent, if that is asked for."""
    # Without landmarks the detector runs on every frame, and there is no schedule.
    detector = "palms" if tracker.options.palms_only else "detect"
    observers: list[Observer] = [(detector, partial(_note_detection, recording))]
    if nodes is not None:
        observers += [(stream, partial(_keep, nodes, stream)) for stream in tracker.streams]
    return observers


class _Stream:
    """A stream that is tracked, and what came of it.

    Attributes:
        recording: so far.
        failures: of the source, the tracker or the files, in their order.
    """

    def __init__(self, tracker: HandTracker, *, keep: bool):
        self._tracker = tracker
        self._keep = keep
        self.recording = Recording()
        self.failures: list[Exception] = []

    def tracked(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, list[HandResult]]]:
        """Yield each frame and its hands; a failure after the first frame ends it, and is noted."""
        source = iter(frames)
        while True:
            try:
                frame = next(source)
                hands = self._track(frame)
            except StopIteration:
                return
            except HandheldError as error:
                self._note(error)
                return
            yield frame, hands

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Let Ctrl-C, or a file that cannot be written, end the stream as its end does."""
        try:
            yield
        except KeyboardInterrupt:
            self.recording.interrupted = True
        except _UNWRITABLE as error:
            self._note(error)

    def _note(self, error: Exception) -> None:
        """Keep an error for later; of a stream without a frame nothing is worth finishing."""
        if not self.recording.frames:
            raise error
        self.failures.append(error)

    def _track(self, frame: Frame) -> list[HandResult]:
        recording = self.recording
        # Both: a machine with other work takes longer, and not more processor time.
        start = time.perf_counter()
        start_cpu = time.process_time()
        hands = self._tracker.track(frame)
        recording.latency_ms.append(1000 * (time.perf_counter() - start))
        recording.cpu_s += time.process_time() - start_cpu
        if self._keep:
            recording.hands.append(hands)
        recording.t_us.append(frame.t_us)
        return hands


class _Outputs:
    """The files that a stream is written to.

    Attributes:
        video: takes annotated frames; None: nobody wants them.
        lines: takes a JSON object a frame; None: likewise.
    """

    def __init__(self, nodes: dict[str, Any] | None):
        self._nodes = nodes
        self._draw = HandDrawer()
        self.video: VideoWriter | None = None
        self.lines: LineWriter | None = None

    def write(
        self, frame: Frame, hands: list[HandResult], motions: list[MotionEvent] | None
    ) -> None:
        """Write a frame, and forget what its nodes sent."""
        if self.video is not None:
            self.video.write(self._draw(frame, hands), frame.t_us)
        if self.lines is not None:
            line = _line_of(frame, hands, self._nodes)
            if motions is not None:
                line["motions"] = [event.to_json() for event in motions]
            _write_line(self.lines, line)
        if self._nodes is not None:
            # A node that is silent in the next frame must not seem to say the same again.
            self._nodes.clear()

    def end(self, motions: list[MotionEvent]) -> None:
        """Write the motions that the stream's end ended, of which no frame has told."""
        if self.lines is not None and motions:
            _write_line(self.lines, {"motions": [event.to_json() for event in motions]})


def _opened(
    stack: ExitStack, output: AbstractContextManager[Output], failures: list[Exception]
) -> Output:
    """Open a file that is finished with the stack, apart from others."""
    return stack.enter_context(_finished_apart(output, failures))


@contextmanager
def _finished_apart(
    output: AbstractContextManager[Output], failures: list[Exception]
) -> Iterator[Output]:
    """Give a file; where it cannot be finished, that is noted, and others are finished all the
    same.
    """
    is_open = False
    try:
        with output as file:
            is_open = True
            yield file
    except _UNWRITABLE as error:
        # A file that cannot be begun ends everything before the first frame.
        if not is_open:
            raise
        failures.append(error)


@contextmanager
def _finished_in_any_case(recording: Recording) -> Iterator[ExitStack]:
    """Give a stack whose files are finished even where Ctrl-C comes a second time, which the
    recording then says.
    """
    stack = ExitStack()
    try:
        yield stack
    except BaseException:
        # A second Ctrl-C would leave a file half written.
        with uninterrupted():
            if not stack.__exit__(*sys.exc_info()):
                raise
    else:
        try:
            with uninterrupted():
                stack.close()
        except KeyboardInterrupt:
            recording.interrupted = True


class HandDrawer:
    """Draws the hands of one frame after another, with a trace of where each has been."""

    def __init__(self) -> None:
        self._traces: dict[int, deque[Any]] = defaultdict(lambda: deque(maxlen=_TRACE_LENGTH))

    def __call__(self, frame: Frame, hands: list[HandResult]) -> Image:
        """Return a copy of the frame's picture, (height, width, 3) uint8, with its hands."""
        # A hand that is out of view would come back at the end of a line across the picture.
        for gone in self._traces.keys() - {hand.id for hand in hands}:
            del self._traces[gone]
        for hand in hands:
            self._traces[hand.id].append(hand.centre)
        traces = {id_: list(trace) for id_, trace in self._traces.items()}
        return draw_hands(frame.image, hands, traces=traces)


def _note_detection(recording: Recording, packet: Packet[Any]) -> None:
    # The schedule says True or False; palms, where there is none, are a list.
    if packet.payload is not False:
        recording.detector_frames.append(recording.frames)


def _keep(nodes: dict[str, Any], stream: str, packet: Packet[Any]) -> None:
    nodes[stream] = packet.payload


def _line_of(frame: Frame, hands: list[HandResult], nodes: dict[str, Any] | None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "t_us": frame.t_us,
        "frame": frame.index,
        "hands": [hand.to_json() for hand in hands],
    }
    if nodes is not None:
        line["nodes"] = {stream: _plain(value) for stream, value in nodes.items()}
    return line


def _write_line(lines: LineWriter, line: dict[str, Any]) -> None:
    # One object a line, so that a reader needs no more than a line in memory.
    lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    """Return what a stream of the hand graph carries as JSON can say it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Frame):
        return _plain_frame(value)
    if isinstance(value, HandResult):
        return value.to_json()
    if isinstance(value, Palm):
        keypoints = value.keypoints.round(2).tolist()
        return {**_plain_rect(value.rect), "score": round(value.score, 4), "keypoints": keypoints}
    if isinstance(value, Region):
        return {**_plain_rect(value.rect), "track": value.track}
    if isinstance(value, Rect):
        return _plain_rect(value)
    return value


def _plain_frame(frame: Frame) -> dict[str, Any]:
    """Return what a frame is, without its pixels."""
    height, width = frame.image.shape[:2]
    return {"frame": frame.index, "t_us": frame.t_us, "height": height, "width": width}


def _plain_rect(rect: Rect) -> dict[str, Any]:
    # A hundredth of a pixel is less than what the models tell apart.
    sides = [round(side, 2) for side in (rect.x, rect.y, rect.width, rect.height)]
    return {"rect": sides, "angle": rect.angle}

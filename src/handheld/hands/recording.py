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
from typing import IO, Any, TypeVar

import numpy as np

from handheld.errors import HandheldError
from handheld.files import ensure_apart, open_lines, uninterrupted
from handheld.graph import Packet
from handheld.hands.drawing import draw_hands
from handheld.hands.result import HandResult, Palm, Region
from handheld.hands.tracker import HandTracker
from handheld.media import Frame, VideoWriter

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
    """

    latency_ms: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    detector_frames: list[int] = field(default_factory=list)
    hands: list[list[HandResult]] = field(default_factory=list)
    t_us: list[int] = field(default_factory=list)
    interrupted: bool = False

    @property
    def frames(self) -> int:
        """Number of frames so far."""
        return len(self.latency_ms)

    @property
    def fps(self) -> float:
        """Frames per second of wall time spent tracking."""
        total = sum(self.latency_ms)
        return 1000 * self.frames / total if total else 0.0

    def latency_percentile(self, percent: float) -> float:
        """Return a percentile of the latency, ms; 0 for an empty stream."""
        return float(np.percentile(self.latency_ms, percent)) if self.latency_ms else 0.0


def record(
    frames: Iterable[Frame],
    tracker: HandTracker,
    *,
    video: str | os.PathLike[str] | None = None,
    jsonl: str | os.PathLike[str] | None = None,
    every_node: bool = False,
    fps: float = 30.0,
    keep: bool = True,
    on_frame: Callable[
        [Recording, Frame, list[HandResult]], None
    ] = lambda recording, frame, hands: None,
) -> Recording:
    """Track every frame of a new stream; draw into a video and write JSON lines if asked.

    An interrupt (Ctrl-C) ends the stream as its end does, and so does an error of the source, of the tracker or of one of
    the files, which is raised after what was done has been written: the other file is whole.

    Args:
        frames: a video, folder or camera.
        tracker: which hands, and how.
        video: file to write the annotated frames to.
        jsonl: file to write one JSON object per frame to; ``-`` is standard output. There, and in a pipe, each line is
            written as its frame is done.
        every_node: put what every node of the graph sent into the JSON lines.
        fps: nominal rate of the annotated video; its frames keep their own times.
        keep: whether the result holds the hands of every frame: about 1 KB each, so not for a camera that runs for days.
        on_frame: called after each frame.

    Raises:
        InputError: both files are the same.
        HandheldError: whatever the source, the tracker or a file that is written could not do.
    """
    ensure_apart([video, jsonl])
    recording = Recording()
    failures: list[Exception] = []
    nodes: dict[str, Any] = {}
    observed = [
        ("palms" if tracker.options.palms_only else "detect", partial(_note_detection, recording))
    ]
    observed += [
        (stream, partial(_keep, nodes, stream)) for stream in tracker.streams if every_node
    ]
    with _finished_in_any_case(recording) as stack:
        stack.enter_context(tracker.observing(observed))
        writer = _opened(stack, VideoWriter(video, fps=fps), failures) if video else None
        lines = _opened(stack, open_lines(jsonl), failures) if jsonl else None
        draw = _Drawer()
        try:
            for frame, hands in _tracked(frames, tracker, recording, failures, keep=keep):
                if writer is not None:
                    writer.write(draw(frame, hands), frame.t_us)
                if lines is not None:
                    _write_line(lines, frame, hands, nodes if every_node else None)
                nodes.clear()
                on_frame(recording, frame, hands)
        except KeyboardInterrupt:
            recording.interrupted = True
        except _UNWRITABLE as error:
            if not recording.frames:
                raise
            failures.append(error)
    if failures:  # only now, when the files are whole
        raise failures[0]
    return recording


_UNWRITABLE = (HandheldError, OSError)


def _opened(
    stack: ExitStack, output: AbstractContextManager[Output], failures: list[Exception]
) -> Output:
    """Open a file that is finished with the stack, apart from others."""
    return stack.enter_context(_finished_apart(output, failures))


@contextmanager
def _finished_apart(
    output: AbstractContextManager[Output], failures: list[Exception]
) -> Iterator[Output]:
    """Give a file; where it cannot be finished, that is put into ``failures``, and others are finished all the same."""
    is_open = False
    try:
        with output as file:
            is_open = True
            yield file
    except _UNWRITABLE as error:
        if not is_open:
            raise
        failures.append(error)


@contextmanager
def _finished_in_any_case(recording: Recording) -> Iterator[ExitStack]:
    """Give a stack whose files are finished even where Ctrl-C comes a second time, which the recording then says."""
    stack = ExitStack()
    try:
        yield stack
    except BaseException:
        with uninterrupted():
            if not stack.__exit__(*sys.exc_info()):
                raise
    else:
        try:
            with uninterrupted():
                stack.close()
        except KeyboardInterrupt:
            recording.interrupted = True


def _tracked(
    frames: Iterable[Frame],
    tracker: HandTracker,
    recording: Recording,
    failures: list[Exception],
    *,
    keep: bool,
) -> Iterator[tuple[Frame, list[HandResult]]]:
    """Yield each frame and its hands; a failure after the first frame ends it, and is put into ``failures``."""
    source = iter(frames)
    while True:
        try:
            frame = next(source)
            hands = _track(frame, tracker, recording, keep=keep)
        except StopIteration:
            return
        except HandheldError as error:
            if not recording.frames:
                raise
            failures.append(error)
            return
        yield frame, hands


class _Drawer:
    """Draws hands with a trace of where each has been."""

    def __init__(self) -> None:
        self._traces: dict[int, deque[Any]] = defaultdict(lambda: deque(maxlen=_TRACE_LENGTH))

    def __call__(self, frame: Frame, hands: list[HandResult]) -> Any:
        for gone in self._traces.keys() - {hand.id for hand in hands}:
            del self._traces[gone]
        for hand in hands:
            self._traces[hand.id].append(hand.centre)
        return draw_hands(
            frame.image, hands, traces={key: list(trace) for key, trace in self._traces.items()}
        )


def annotate(frames: Iterable[Frame], hands: Iterable[list[HandResult]]) -> list[Frame]:
    """Return copies of frames with their hands drawn."""
    draw = _Drawer()
    return [
        Frame(draw(frame, found), frame.t_us, frame.index)
        for frame, found in zip(frames, hands, strict=True)
    ]


def _track(
    frame: Frame, tracker: HandTracker, recording: Recording, *, keep: bool
) -> list[HandResult]:
    start = time.perf_counter()
    start_cpu = time.process_time()
    hands = tracker.track(frame)
    recording.latency_ms.append(1000 * (time.perf_counter() - start))
    recording.cpu_s += time.process_time() - start_cpu
    if keep:
        recording.hands.append(hands)
    recording.t_us.append(frame.t_us)
    return hands


def _note_detection(recording: Recording, packet: Packet[Any]) -> None:
    if packet.payload is not False:
        recording.detector_frames.append(recording.frames)


def _keep(nodes: dict[str, Any], stream: str, packet: Packet[Any]) -> None:
    nodes[stream] = packet.payload


def _write_line(
    lines: IO[str], frame: Frame, hands: list[HandResult], nodes: dict[str, Any] | None
) -> None:
    line: dict[str, Any] = {
        "t_us": frame.t_us,
        "frame": frame.index,
        "hands": [hand.to_json() for hand in hands],
    }
    if nodes is not None:
        line["nodes"] = {stream: _plain(value) for stream, value in nodes.items()}
    lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def _plain(value: Any) -> Any:
    """Return what a stream of the hand graph carries as JSON can say it."""
    if isinstance(value, Frame):
        return {
            "frame": value.index,
            "t_us": value.t_us,
            "height": value.image.shape[0],
            "width": value.image.shape[1],
        }
    if isinstance(value, HandResult):
        return value.to_json()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Palm | Region):
        rect = value.rect
        plain: dict[str, Any] = {
            "rect": [round(v, 2) for v in (rect.x, rect.y, rect.width, rect.height)],
            "angle": rect.angle,
        }
        if isinstance(value, Palm):
            return plain | {
                "score": round(value.score, 4),
                "keypoints": value.keypoints.round(2).tolist(),
            }
        return plain | {"track": value.track}
    return value

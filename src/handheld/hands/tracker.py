"""The hand tracker, as a person uses it."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Integral
from threading import Lock
from types import TracebackType
from typing import Any, Self

from handheld.engine import Model
from handheld.errors import CalculatorError, GraphError, InputError, TimestampError
from handheld.graph import Graph, GraphConfig, GraphStats, Packet, Timestamp, stream_names
from handheld.hands.gestures import GestureRecogniser
from handheld.hands.packs import OURS, ModelPack, load_pack
from handheld.hands.pipeline import HandOptions, hand_graph
from handheld.hands.recognisers import load_recogniser
from handheld.hands.result import HandResult
from handheld.hands.smoothing import OneEuroOptions
from handheld.media import Frame
from handheld.pictures import as_rgb

_EVEN_CHANCE = 0.5

_MODELS = ("palm_model", "landmark_model")  # side packets; without landmarks there is the first

Observer = tuple[str, Callable[[Packet[Any]], None]]
"""A stream's name, and what is called with each of its packets."""


class HandTracker:
    """Follows hands through frames, or finds them in single pictures.

    It is a context manager. :meth:`track` is not for several threads at once, :meth:`detect` is.

    Args:
        max_hands: hands to report at most.
        pack: a model pack's name or folder, see :func:`~handheld.hands.load_pack`; by default the
            one that ships.
        smoothing: whether landmarks are smoothed over time, or the filter's settings.
        mirrored: whether frames are mirror images, as selfie cameras show them; decides what is
            left and right.
        redetect_every: while some, but fewer than ``max_hands``, hands are in view, look for more
            in every k-th frame.
        redetect_change, look_closer: see :class:`~handheld.hands.HandOptions`.
        threads: threads of the models.
        palms_only: report where palms are, without landmarks.
        gestures: a gesture table's name or file, ``learned`` for the classifier that ships, or
            gestures of one's own, see :func:`~handheld.hands.load_recogniser`.
        min_palm_score: of a palm to be looked at, in (0, 1); by default the pack's own, or 0.5 with
            ``palms_only`` if that is more.
        min_hand_score: see :class:`~handheld.hands.HandOptions`; by default the pack's own.
        min_new_hand_score: see there; by default ``min_hand_score``, if that is given, or else the
            pack's own.

    Raises:
        FetchError: the pack is one of MediaPipe's, and has not been fetched.
        ModelError: a model file is corrupt or not of the pack's geometry.

    >>> with HandTracker(max_hands=2) as tracker:  # doctest: +SKIP
    ...     for frame in handheld.media.open_video("clip.mp4"):
    ...         hands = tracker.track(frame)
    """

    def __init__(  # noqa: PLR0913  # options by keyword, each by itself
        self,
        *,
        max_hands: int = 2,
        pack: str | os.PathLike[str] | ModelPack = OURS,
        smoothing: bool | OneEuroOptions = True,
        mirrored: bool = False,
        redetect_every: int = 1,
        redetect_change: float = 3.0,
        look_closer: bool = True,
        threads: int = 1,
        palms_only: bool = False,
        gestures: str | os.PathLike[str] | GestureRecogniser = "signs",
        min_palm_score: float | None = None,
        min_hand_score: float | None = None,
        min_new_hand_score: float | None = None,
    ) -> None:
        self.pack = load_pack(pack)
        if min_palm_score is None:
            # A pack's may be low where its landmark model refuses what is no hand.
            floor = _EVEN_CHANCE if palms_only else 0.0
            min_palm_score = max(self.pack.palm_score, floor)
        if min_new_hand_score is None:
            # Whoever asks for doubtful hands is not to be kept from them by the pack.
            min_new_hand_score = (
                self.pack.new_hand_score if min_hand_score is None else min_hand_score
            )
        self.options = HandOptions(
            max_hands=max_hands,
            min_palm_score=min_palm_score,
            min_hand_score=self.pack.hand_score if min_hand_score is None else min_hand_score,
            min_new_hand_score=min_new_hand_score,
            redetect_every=redetect_every,
            redetect_change=redetect_change,
            look_closer=look_closer,
            mirrored=mirrored,
            smoothing=_filter_options(smoothing),
            palms_only=palms_only,
        )
        # Opened once, for all streams: it takes longer than many frames.
        self._side: dict[str, Any] = {
            "pack": self.pack,
            "palm_model": self.pack.open_palm(threads=threads),
        }
        # Whoever wants palms alone need not have the landmark model.
        if not palms_only:
            self._side["landmark_model"] = self.pack.open_landmark(threads=threads)
            self._side["gestures"] = load_recogniser(gestures)
        self._observers: list[Observer] = []
        self._session: _Session | None = None
        self._closed = False
        self._tracking = Lock()
        # After an interrupt ids go on, so that none is given to two hands.
        self._next_id = 0

    @property
    def config(self) -> GraphConfig:
        """The graph that runs, to be looked at or drawn."""
        return hand_graph(self.options)

    @property
    def models(self) -> tuple[Model, ...]:
        """The open models: of palms, and of landmarks where they are wanted."""
        names = [name for name in _MODELS if name in self._side]
        return tuple(self._side[name] for name in names)

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams that :meth:`observe` can watch, in the order of computation."""
        return stream_names(self.config)

    def track(self, frame: Frame) -> list[HandResult]:
        """Return the hands of the next frame of a stream.

        Args:
            frame: any picture that :func:`handheld.pictures.as_rgb` takes, with a time after that
                of the frame before.

        Raises:
            TimestampError: time runs backwards; :meth:`reset` starts a new stream.
            InputError: the picture is of no known form.
            GraphError: the tracker is closed, or another thread is in here.
        """
        _check_frame(frame)
        # Whose frame would be the next one is not for chance to decide.
        if not self._tracking.acquire(blocking=False):
            raise GraphError(
                "track() follows one stream of frames, and another thread, or a callback within "
                "it, is in it: give each a tracker; detect() is for several threads"
            )
        try:
            return self._track(frame)
        finally:
            self._tracking.release()

    def _track(self, frame: Frame) -> list[HandResult]:
        frame = Frame(as_rgb(frame.image), frame.t_us, frame.index)
        if self._session is None:
            self._session = self._start(self._observers, first_id=self._next_id)
        if frame.t_us <= self._session.last_us:
            raise TimestampError(
                f"frame {frame.index} at {frame.t_us} us does not follow the one at "
                f"{self._session.last_us} us; call reset() before a new stream"
            )
        try:
            hands = self._session.feed(frame)
        except BaseException:
            # Ctrl-C too: a notebook's user goes on with the same tracker.
            self._end_session()
            raise
        for hand in hands:
            self._next_id = max(self._next_id, hand.id + 1)
        return hands

    def detect(self, image: Any) -> list[HandResult]:
        """Return the hands of a single picture, with no memory of frames before and none kept.

        With ``look_closer`` it is looked at in up to four views, where a frame of a stream
        is looked at in one.

        Raises:
            InputError: the picture is of no known form.
            GraphError: the tracker is closed, perhaps by another thread meanwhile.
        """
        # A graph of its own: a stream that runs meanwhile keeps its hands.
        session = self._start([], first_id=0, still=True)
        try:
            return session.feed(Frame(as_rgb(image), 0, 0))
        except CalculatorError as error:
            # Of another thread's close() the graph knows only that a model is gone.
            self._ensure_open(error)
            raise
        finally:
            session.graph.cancel()

    def observe(self, stream: str, callback: Callable[[Packet[Any]], None]) -> None:
        """Call ``callback`` with every packet of a stream, from the next frame of :meth:`track` on.

        It may be any stream of :attr:`config`.

        Raises:
            InputError: there is no such stream, or ``callback`` cannot be called.
        """
        # First: what is refused must not come back with the next stream of frames.
        if stream not in self.streams:
            raise InputError(f"{stream!r} is no stream of this graph: {', '.join(self.streams)}")
        if not callable(callback):
            raise InputError(f"expected what can be called with a packet, got {callback!r}")
        if self._session is not None:
            self._session.graph.observe(stream, callback)
        self._observers.append((stream, callback))

    @contextmanager
    def observing(self, callbacks: Sequence[Observer]) -> Iterator[None]:
        """Observe (stream, callback) pairs for one stream of frames, from the block's start to its
        end.
        """
        # A new stream, since all of it shall be seen.
        before = list(self._observers)
        self.reset()
        self._observers += callbacks
        try:
            yield
        finally:
            self._observers = before
            self.reset()

    def stats(self) -> GraphStats | None:
        """Return what the graph tells of itself since the stream began; ``None`` before a frame."""
        if self._session is None:
            return None
        return self._session.graph.stats()

    def reset(self) -> None:
        """Forget every hand; the next frame starts a new stream."""
        self._end_session()
        self._next_id = 0

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.graph.cancel()
            self._session = None

    def close(self) -> None:
        """Give the models' memory back."""
        # The graph first: it holds the models.
        self.reset()
        self._closed = True
        for model in self.models:
            model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ensure_open(self, cause: Exception | None = None) -> None:
        if self._closed:
            raise GraphError("the tracker is closed") from cause

    def _start(
        self,
        observers: Sequence[Observer],
        *,
        first_id: int,
        still: bool = False,
    ) -> "_Session":
        self._ensure_open()
        graph = hand_graph(self.options, first_id=first_id, still=still)
        session = _Session(graph, self._side)
        try:
            for stream, callback in observers:
                session.graph.observe(stream, callback)
        except BaseException:
            # Nobody else knows of it yet.
            session.graph.cancel()
            raise
        return session


def _filter_options(smoothing: bool | OneEuroOptions) -> OneEuroOptions | None:
    if isinstance(smoothing, bool):
        if smoothing:
            return OneEuroOptions()
        return None
    return smoothing


def _check_frame(frame: object) -> None:
    if not isinstance(frame, Frame):
        raise InputError(
            f"expected a Frame (for a picture alone there is detect()), got {type(frame).__name__}"
        )
    if not isinstance(frame.t_us, Integral):
        raise InputError(f"expected a time in whole microseconds on a frame, got {frame.t_us!r}")


class _Session:
    """One stream of frames through one running graph, on the calling thread.

    Attributes:
        graph: that runs.
        last_us: time of the last frame.
    """

    def __init__(self, config: GraphConfig, side: Mapping[str, Any]) -> None:
        self.graph = Graph(config, side=side)
        # Left by cancel(), in whichever method the stream ends.
        self.graph.__enter__()
        self._reader = self.graph.output("hands")
        self.last_us = int(Timestamp.UNSET)

    def feed(self, frame: Frame) -> list[HandResult]:
        self.graph.add("frame", frame, frame.t_us)
        self.last_us = frame.t_us
        # Without threads the graph computes within these calls.
        hands: list[HandResult] = next(self._reader).payload
        return hands

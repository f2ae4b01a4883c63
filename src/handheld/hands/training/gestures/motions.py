"""Hands in motion, made up: swipes, waves, pinches, circles, and what is nearly one of them.

A motion is a plan: for each time a pose, a place and a turn. It becomes keypoints with a tracker's
errors, or pictures for a tracker to look at.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import cos, pi, radians, sin

import numpy as np

from handheld.hands.motion.events import MOTIONS
from handheld.hands.training.render.mesh import Handedness
from handheld.hands.training.render.people import RenderedPerson
from handheld.hands.training.render.placing import PlacedHand, place_hand
from handheld.hands.training.render.poses import POSTURES, blend
from handheld.hands.training.render.rig import HandPose
from handheld.hands.training.render.sampling import pick
from handheld.hands.training.render.skinning import Doubles, rotation

OPEN = ("open_palm", "five", "flat", "four")
POINTING = ("one", "gun", "two")
RELAXED = ("at_rest", "half_closed", "wide_grasp", "claw")


@dataclass(frozen=True, eq=False)
class PlannedHand:
    """A hand at one time of a plan.

    Attributes:
        pose: how its fingers are bent.
        place: (3,) of the palm, in palm lengths from where it began; y downwards, z away.
        roll: radians clockwise in the picture, about the wrist.
    """

    pose: HandPose
    place: Doubles
    roll: float = 0.0


@dataclass(frozen=True, eq=False)
class MotionPlan:
    """What a hand does.

    Attributes:
        name: one of ``MOTIONS``, or what it is that only comes near one.
        seconds: how long it takes, the rest before and after it included.
        begin, end: seconds of the motion itself.
        at: the hand at a time in [0, seconds].
    """

    name: str
    seconds: float
    begin: float
    end: float
    at: Callable[[float], PlannedHand]

    @property
    def motion(self) -> str | None:
        """The motion that this is, or ``None``."""
        return self.name if self.name in MOTIONS else None


def eased(seconds: float, begin: float, end: float) -> float:
    """Return the share of a way that a hand has gone, [0, 1]: with the least jerk.

    As people move from one point to another (Flash and Hogan, 1985): 10 s^3 - 15 s^4 + 6 s^5.
    """
    share = min(max((seconds - begin) / (end - begin), 0.0), 1.0)
    return share**3 * (10 - 15 * share + 6 * share**2)


def _at(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Doubles:
    return np.array([x, y, z])


_REST = (0.3, 0.7)
"""Seconds that a hand rests before and after a motion, least and most."""


def _rest(random: np.random.Generator) -> float:
    return float(random.uniform(*_REST))


_SWIPES = {
    "swipe left": (-1.0, 0.0),
    "swipe right": (1.0, 0.0),
    "swipe up": (0.0, -1.0),
    "swipe down": (0.0, 1.0),
}


def _swipe(name: str) -> Callable[[np.random.Generator], MotionPlan]:
    def draw(random: np.random.Generator) -> MotionPlan:
        pose = POSTURES[pick(random, OPEN)]
        turn = random.normal(0, radians(6))
        x, y = _SWIPES[name]
        heading = np.array([x * cos(turn) - y * sin(turn), x * sin(turn) + y * cos(turn), 0.0])
        length = random.uniform(2.2, 5.0)
        begin = _rest(random)
        # Such that the highest speed, 1.875 times the mean one, is 10 to 30 palm lengths a second.
        end = begin + 1.875 * length / random.uniform(10, 30)
        # Half of the hands go back, without haste.
        goes_back = random.random() < 0.5
        back = end + random.uniform(0.3, 0.7)
        over = back + random.uniform(0.5, 1.0)

        def at(seconds: float) -> PlannedHand:
            share = eased(seconds, begin, end)
            if goes_back:
                share -= eased(seconds, back, over)
            return PlannedHand(pose, length * share * heading)

        return MotionPlan(name, over + _rest(random), begin, end, at)

    return draw


def _wave(random: np.random.Generator) -> MotionPlan:
    pose = POSTURES[pick(random, OPEN)]
    rate = random.uniform(1.3, 3.0)
    begin = _rest(random)
    end = begin + random.uniform(2.5, 5.0) / rate
    roll = radians(random.uniform(10, 32))
    # Half of them wave with the wrist alone, which moves the palm but little, the others with the
    # arm too.
    sway = max(random.uniform(-0.8, 0.8), 0.0)
    is_abrupt = random.random() < 0.5

    def at(seconds: float) -> PlannedHand:
        aside = _swing(seconds, begin, end, rate, is_abrupt=is_abrupt)
        return PlannedHand(pose, _at(x=sway * aside), roll * aside)

    return MotionPlan("wave", end + 0.7 + _rest(random), begin, end, at)


def _swing(
    seconds: float, begin: float, end: float, rate: float, *, is_abrupt: bool = False
) -> float:
    """Return how far a hand is aside, [-1, 1]: nothing outside of its time.

    It neither begins nor ends with a jerk, unless it is abrupt.
    """
    if not begin < seconds < end:
        return 0.0
    swell = 1.0
    if not is_abrupt:
        swell = min(1.0, (seconds - begin) * 2 * rate, (end - seconds) * 2 * rate)
    return swell * sin(2 * pi * rate * (seconds - begin))


def _pinch(random: np.random.Generator) -> MotionPlan:
    apart = POSTURES[pick(random, ("at_rest", "open_palm", "hold_flat", "split"))]
    touching = POSTURES[pick(random, ("pinch", "ok"))]
    begin = _rest(random)
    end = begin + random.uniform(0.15, 0.45)
    opens = end + random.uniform(0.15, 0.6)
    opened = opens + random.uniform(0.15, 0.4)

    def at(seconds: float) -> PlannedHand:
        share = eased(seconds, begin, end) - eased(seconds, opens, opened)
        return PlannedHand(blend(apart, touching, share), _at())

    return MotionPlan("pinch", opened + _rest(random), begin, end, at)


def _circle(name: str) -> Callable[[np.random.Generator], MotionPlan]:
    sense = 1 if name == "circle clockwise" else -1

    def draw(random: np.random.Generator) -> MotionPlan:
        pose = POSTURES[pick(random, POINTING)]
        radius = random.uniform(0.6, 2.2)
        height = random.uniform(0.75, 1.25)
        start = random.uniform(-pi, pi)
        begin = _rest(random)
        end = begin + random.uniform(0.6, 1.8)
        around = radians(random.uniform(355, 385))
        # From an even pace, as of a hand that was moving already, to half eased.
        ease = random.uniform(0.0, 0.5)

        def at(seconds: float) -> PlannedHand:
            angle = start + sense * around * _steady(seconds, begin, end, ease)
            offset = _at(cos(angle) - cos(start), height * (sin(angle) - sin(start)))
            return PlannedHand(pose, radius * offset)

        return MotionPlan(name, end + _rest(random), begin, end, at)

    return draw


def _steady(seconds: float, begin: float, end: float, ease: float) -> float:
    """Return the share of a circle that is drawn, in part with the least jerk: ``ease`` of it."""
    share = min(max((seconds - begin) / (end - begin), 0.0), 1.0)
    return (1 - ease) * share + ease * eased(seconds, begin, end)


def _reach(random: np.random.Generator) -> MotionPlan:
    """Go for something and take it: slower than a swipe, any way, nearer or farther."""
    start = POSTURES[pick(random, RELAXED)]
    grasp = POSTURES[pick(random, ("grasp", "half_closed", "c_shape"))]
    angle = random.uniform(-pi, pi)
    heading = _at(cos(angle), sin(angle), random.uniform(-0.6, 0.6))
    length = random.uniform(2.0, 5.0)
    begin = _rest(random)
    end = begin + random.uniform(0.6, 1.2)

    def at(seconds: float) -> PlannedHand:
        share = eased(seconds, begin, end)
        return PlannedHand(blend(start, grasp, share), length * share * heading)

    return MotionPlan("reach", end + _rest(random), begin, end, at)


def _tremor(random: np.random.Generator) -> MotionPlan:
    """Shake a little, with any hand."""
    pose = POSTURES[pick(random, (*OPEN, *POINTING, *RELAXED, "fist"))]
    rate = random.uniform(4, 8)
    size = random.uniform(0.04, 0.18)
    angle = random.uniform(-pi, pi)
    end = random.uniform(1.5, 2.5)

    def at(seconds: float) -> PlannedHand:
        aside = size * sin(2 * pi * rate * seconds)
        return PlannedHand(pose, _at(aside * cos(angle), aside * sin(angle)))

    return MotionPlan("tremor", end, 0.0, end, at)


def _scratch(random: np.random.Generator) -> MotionPlan:
    """Scratch: bent fingers that bend more and less, the hand with them."""
    first = POSTURES[pick(random, ("claw", "half_closed"))]
    second = POSTURES[pick(random, ("hook", "grasp"))]
    rate = random.uniform(2.5, 5)
    size = random.uniform(0.15, 0.45)
    angle = random.uniform(-pi, pi)
    end = random.uniform(1.5, 2.5)

    def at(seconds: float) -> PlannedHand:
        aside = sin(2 * pi * rate * seconds)
        offset = size * aside * _at(cos(angle), sin(angle))
        return PlannedHand(blend(first, second, (1 + aside) / 2), offset)

    return MotionPlan("scratch", end, 0.0, end, at)


def _talk(random: np.random.Generator) -> MotionPlan:
    """Move about as hands do that go with words: smoothly, to nowhere."""
    first = POSTURES[pick(random, (*OPEN, *RELAXED))]
    second = POSTURES[pick(random, (*OPEN, *RELAXED))]
    rates = random.uniform(0.25, 0.7, 3)
    phases = random.uniform(-pi, pi, 3)
    size = random.uniform(0.5, 1.5)
    end = random.uniform(2.5, 4.0)

    def at(seconds: float) -> PlannedHand:
        x, y, share = np.sin(2 * pi * rates * seconds + phases).tolist()
        return PlannedHand(blend(first, second, (1 + share) / 2), size * _at(x, y))

    return MotionPlan("talk", end, 0.0, end, at)


def _grab(random: np.random.Generator) -> MotionPlan:
    """Close the whole hand, and open it."""
    opened = POSTURES[pick(random, OPEN)]
    closed = POSTURES[pick(random, ("fist", "thumb_inside"))]
    begin = _rest(random)
    end = begin + random.uniform(0.15, 0.5)
    opens = end + random.uniform(0.1, 0.5)

    def at(seconds: float) -> PlannedHand:
        share = eased(seconds, begin, end) - eased(seconds, opens, opens + 0.3)
        return PlannedHand(blend(opened, closed, share), _at())

    return MotionPlan("grab", opens + 0.3 + _rest(random), begin, end, at)


def _wag(random: np.random.Generator) -> MotionPlan:
    """Wag a finger, as for no."""
    pose = POSTURES[pick(random, POINTING)]
    rate = random.uniform(1.5, 3.0)
    begin = _rest(random)
    end = begin + random.uniform(2.5, 4.5) / rate
    roll = radians(random.uniform(12, 25))

    def at(seconds: float) -> PlannedHand:
        return PlannedHand(pose, _at(), roll * _swing(seconds, begin, end, rate))

    return MotionPlan("wag", end + _rest(random), begin, end, at)


def _tick(random: np.random.Generator) -> MotionPlan:
    """Draw a tick or an arc in the air, which is no circle."""
    pose = POSTURES[pick(random, POINTING)]
    size = random.uniform(1.0, 2.5)
    begin = _rest(random)
    corner = begin + random.uniform(0.2, 0.5)
    end = corner + random.uniform(0.25, 0.6)
    is_arc = random.random() < 0.5

    def at(seconds: float) -> PlannedHand:
        if is_arc:
            angle = pi * eased(seconds, begin, end)
            return PlannedHand(pose, size * _at(1 - cos(angle), -sin(angle)))
        down = eased(seconds, begin, corner)
        up = eased(seconds, corner, end)
        return PlannedHand(pose, size * _at(0.4 * down + up, 0.5 * down - 1.3 * up))

    return MotionPlan("tick", end + _rest(random), begin, end, at)


def _dangle(random: np.random.Generator) -> MotionPlan:
    """Shake a hand whose fingers hang down, as to dry it: no wave."""
    pose = POSTURES[pick(random, (*OPEN, *RELAXED))]
    rate = random.uniform(1.3, 4.0)
    begin = _rest(random)
    end = begin + random.uniform(2.5, 6.0) / rate
    roll = radians(random.uniform(10, 32))

    def at(seconds: float) -> PlannedHand:
        aside = _swing(seconds, begin, end, rate)
        return PlannedHand(pose, _at(), pi + roll * aside)

    return MotionPlan("dangle", end + _rest(random), begin, end, at)


def _stir(random: np.random.Generator) -> MotionPlan:
    """Go round with an open hand or a loose one, as to wipe or to stir: no circle, no swipe."""
    pose = POSTURES[pick(random, (*OPEN, *RELAXED))]
    radius = random.uniform(0.5, 1.8)
    start = random.uniform(-pi, pi)
    sense = random.choice((-1.0, 1.0))
    begin = _rest(random)
    end = begin + random.uniform(0.6, 1.8)

    def at(seconds: float) -> PlannedHand:
        angle = start + sense * 2 * pi * _steady(seconds, begin, end, 0.5)
        offset = _at(cos(angle) - cos(start), sin(angle) - sin(start))
        return PlannedHand(pose, radius * offset)

    return MotionPlan("stir", end + _rest(random), begin, end, at)


def _eight(random: np.random.Generator) -> MotionPlan:
    """Draw an eight, whose halves turn opposite ways."""
    pose = POSTURES[pick(random, POINTING)]
    width, height = random.uniform(0.6, 2.0, 2)
    sense = random.choice((-1.0, 1.0))
    is_lying = random.random() < 0.5
    begin = _rest(random)
    end = begin + random.uniform(0.8, 2.4)

    def at(seconds: float) -> PlannedHand:
        angle = 2 * pi * _steady(seconds, begin, end, 0.5)
        once = sense * width * sin(angle)
        twice = height * sin(2 * angle)
        if is_lying:
            return PlannedHand(pose, _at(once, twice))
        return PlannedHand(pose, _at(twice, once))

    return MotionPlan("eight", end + _rest(random), begin, end, at)


PLANS: Mapping[str, Callable[[np.random.Generator], MotionPlan]] = {
    **{name: _swipe(name) for name in _SWIPES},
    "wave": _wave,
    "pinch": _pinch,
    "circle clockwise": _circle("circle clockwise"),
    "circle counterclockwise": _circle("circle counterclockwise"),
    "reach": _reach,
    "tremor": _tremor,
    "scratch": _scratch,
    "talk": _talk,
    "grab": _grab,
    "wag": _wag,
    "tick": _tick,
    "dangle": _dangle,
    "stir": _stir,
    "eight": _eight,
}
"""Motions, and what is nearly one, by name; each draws a plan."""


@dataclass(frozen=True, eq=False)
class MotionScene:
    """Who moves, and from where it is seen.

    Attributes:
        person: whose hand it is.
        handedness: which of the two.
        axes: (3, 3), rows: the palm's across, along and out as the camera's, before any roll.
        centre: (3,) metres, where the palm is at first.
    """

    person: RenderedPerson
    handedness: Handedness
    axes: Doubles
    centre: Doubles

    def hand_at(self, step: PlannedHand) -> PlacedHand:
        """Return the hand of a step."""
        roll = rotation(np.array([0.0, 0.0, 1.0]), np.array(step.roll))
        axes = self.axes @ roll.T
        size = self.person.rigs[self.handedness].size
        # From the wrist, which stays where it is, to the middle of the palm.
        arm = _WRIST_TO_CENTRE * size * self.axes[1]
        centre = self.centre - arm + roll @ arm + size * step.place
        return place_hand(self.person, self.handedness, step.pose, axes, centre)


_WRIST_TO_CENTRE = 0.75
"""Palm lengths from the wrist to the mean of wrist and knuckles."""


def draw_motion_scene(
    person: RenderedPerson,
    random: np.random.Generator,
    *,
    distance: tuple[float, float] = (0.45, 0.9),
) -> MotionScene:
    """Choose which hand moves, how it is held, and from how far it is seen.

    Args:
        person: whose hand it is.
        random: decides.
        distance: metres from the camera, least and most.
    """
    handedness: Handedness = "Right" if random.random() < 0.5 else "Left"
    yaw, pitch, roll = np.radians(random.normal(0, (15, 12, 10)))
    along = np.array([0.0, -1.0, 0.0])
    # Mostly the palm is what is shown.
    out = np.array([0.0, 0.0, -1.0 if random.random() < 0.7 else 1.0])
    facing = np.stack([np.cross(along, out), along, out])
    turn = rotation(np.eye(3), np.array([pitch, yaw, roll]))
    axes = facing @ (turn[2] @ turn[1] @ turn[0]).T
    centre = np.array([0.0, 0.0, random.uniform(*distance)])
    return MotionScene(person, handedness, axes, centre)


def frame_times(seconds: float, random: np.random.Generator) -> Iterator[float]:
    """Choose at which times a camera sees a plan: 12 to 60 frames a second, of which some fail."""
    rate = random.uniform(12, 60)
    lost = random.uniform(0, 0.1)
    time = 0.0
    while time < seconds:
        if random.random() >= lost:
            yield time
        time += random.uniform(0.9, 1.1) / rate

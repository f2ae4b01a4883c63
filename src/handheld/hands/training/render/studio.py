"""Pictures to train on, one for each number: crops of one hand, and scenes with up to two.

Picture i of a seed is the same in every run, whoever makes it: nothing but the seed, the number and
the options enters its ``Generator``.
"""

from dataclasses import dataclass, field
from functools import partial
from math import cos, exp, log, radians, sin

import numpy as np

from handheld.hands.geometry import region_from_landmarks, region_from_palm
from handheld.hands.training.labels import LabelledHand, LabelledPicture, palm_box
from handheld.hands.training.render.backdrops import Billboard, draw_backdrop, draw_billboard
from handheld.hands.training.render.camera import Camera
from handheld.hands.training.render.casting import Casting, draw_hands
from handheld.hands.training.render.effects import draw_effects
from handheld.hands.training.render.mesh import Floats
from handheld.hands.training.render.people import SECOND_MESH, RenderedPerson, draw_person
from handheld.hands.training.render.placing import PlacedHand
from handheld.hands.training.render.sampling import CropJitter, draw_light, pick
from handheld.hands.training.render.scene import Scene, draw, mean_colour
from handheld.hands.training.render.shade import Body
from handheld.hands.training.render.skinning import Doubles
from handheld.hands.training.render.sources import RenderSources
from handheld.media import Rect

# Purposes of the random numbers, so that no two pictures share them.
_PEOPLE = 0
_CROPS = 1
_SCENES = 2
# Metres from wrist to middle fingertip of an adult.
_HAND_LENGTH = 0.19
# Pictures drawn before one in which hardly anything can be seen is taken after all.
_CROP_TRIES = 4
# Keypoints of 21: with fewer in sight, behind another hand or a sleeve, a crop teaches to guess.
_FEWEST_SEEN = 5
# Metres: nearer than this no hand is whole in a picture.
_NEAREST = 0.22


@dataclass(frozen=True)
class CropOptions:
    """What crops for the landmark network are like.

    Attributes:
        size: pixels of a side.
        jitter: how far they are from the region that follows from the true keypoints.
        second_hand: share of pictures with another hand.
        occluded: share of pictures with something before the hand.
        fists: see :class:`~handheld.hands.training.render.casting.Casting`.
    """

    size: int = 256
    jitter: CropJitter = field(default_factory=CropJitter)
    second_hand: float = 0.4
    occluded: float = 0.15
    fists: float = 0.0


@dataclass(frozen=True)
class SceneOptions:
    """What scenes for the palm detector are like.

    Attributes:
        width, height: pixels.
        smallest, largest: length of a hand, as a share of the shorter side;
            each doubling equally often.
        empty: share of pictures without any hand.
        second_hand: share with two, of those with any.
        occluded: share of pictures with something before a hand.
        fists: see :class:`~handheld.hands.training.render.casting.Casting`.
    """

    width: int = 640
    height: int = 480
    smallest: float = 0.06
    largest: float = 1.2
    empty: float = 0.05
    second_hand: float = 0.45
    occluded: float = 0.15
    fists: float = 0.0


class Studio:
    """Makes pictures of one seed.

    Args:
        sources: what can be drawn.
        seed: of everything.
        people: number of persons.
        second_mesh: share of them with another mesh than the first.
    """

    def __init__(
        self,
        sources: RenderSources,
        seed: int = 0,
        people: int = 256,
        second_mesh: float = SECOND_MESH,
    ) -> None:
        self._sources = sources
        self._seed = seed
        self._people = people
        self._second_mesh = second_mesh
        # Made when first drawn: a picture needs one of them, and each takes milliseconds.
        self._known: dict[int, RenderedPerson] = {}

    def crop(self, index: int, options: CropOptions | None = None) -> LabelledPicture:
        """Return picture ``index`` of one hand, upright in the crop as tracking sees it.

        The hand that the crop is of is its first label.
        """
        options = options or CropOptions()
        random = self._generator(_CROPS, index)
        for _ in range(_CROP_TRIES):
            picture = self._crop(options, random)
            if _seen_points(picture.hands[0]) >= _FEWEST_SEEN:
                break
        return picture

    def _crop(self, options: CropOptions, random: np.random.Generator) -> LabelledPicture:
        person = self._person(random)
        casting = Casting(person, self._sources, draw_close_centre, fists=options.fists)
        hands, props = draw_hands(casting, options.second_hand, random)
        region = crop_region(hands[0], options.jitter, random)
        view = view_of(region, options.size)
        # Rendered as a crop: a picture of which most is thrown away would cost as much again.
        camera = Camera(1.0, options.size, options.size, view)
        return self._photograph(hands, props, camera, options.occluded, random)

    def scene(self, index: int, options: SceneOptions | None = None) -> LabelledPicture:
        """Return picture ``index`` of a scene with no, one or two hands."""
        options = options or SceneOptions()
        random = self._generator(_SCENES, index)
        # Angles of view across of 40 to 64 degrees: phones and laptops.
        focal = random.uniform(0.8, 1.4) * options.width
        camera = Camera(focal, options.width, options.height)
        hands: list[PlacedHand] = []
        props: list[Body] = []
        if random.random() >= options.empty:
            draw_centre = partial(draw_scene_centre, camera, options)
            person = self._person(random)
            casting = Casting(
                person, self._sources, draw_centre, with_body=True, fists=options.fists
            )
            hands, props = draw_hands(casting, options.second_hand, random)
        return self._photograph(hands, props, camera, options.occluded, random)

    def _generator(self, purpose: int, index: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, purpose, index])

    def _person(self, random: np.random.Generator) -> RenderedPerson:
        number = int(random.integers(self._people))
        if number not in self._known:
            name = f"rendered-{self._seed}-{number}"
            # By its own generator: who else was drawn before must not matter.
            generator = self._generator(_PEOPLE, number)
            self._known[number] = draw_person(self._sources, name, generator, self._second_mesh)
        return self._known[number]

    def _photograph(
        self,
        hands: list[PlacedHand],
        props: list[Body],
        camera: Camera,
        occluded: float,
        random: np.random.Generator,
    ) -> LabelledPicture:
        backdrop = draw_backdrop(self._sources, random, camera.width, camera.height)
        billboards = self._billboards(hands, camera, occluded, random)
        # A hand in another light than its room is seen to be pasted in.
        light = draw_light(random, mean_colour(backdrop))
        side = min(camera.width, camera.height)
        scene = Scene(
            hands=tuple(hands),
            camera=camera,
            backdrop=backdrop,
            light=light,
            props=tuple(props),
            billboards=tuple(billboards),
            effects=draw_effects(random, side),
        )
        return draw(scene)

    def _billboards(
        self,
        hands: list[PlacedHand],
        camera: Camera,
        occluded: float,
        random: np.random.Generator,
    ) -> list[Billboard]:
        """Choose what stands before a hand: mostly nothing."""
        if hands and self._sources.occluders and random.random() < occluded:
            return [self._occluder(pick(random, hands), camera, random)]
        return []

    def _occluder(self, hand: PlacedHand, camera: Camera, random: np.random.Generator) -> Billboard:
        """Put an object before a hand, or among its fingers."""
        distance = hand.centre[2]
        length = _HAND_LENGTH * camera.scale / distance
        # About a keypoint, or most objects would hide the palm only.
        point = pick(random, list(hand.keypoints)).astype(np.float32)
        x, y = camera.project(point) + random.normal(0, 0.1 * length, 2)
        before = random.uniform(0.0, 0.1)
        return draw_billboard(
            self._sources,
            random,
            size=(camera.width, camera.height),
            centre=(float(x), float(y)),
            side=length * random.uniform(0.25, 0.7),
            depth=float(distance - before),
        )


def _seen_points(hand: LabelledHand) -> int:
    """Return how many keypoints of a hand can be seen; none where nobody knows."""
    if hand.visible is None:
        return 0
    return int(hand.visible.sum())


def draw_close_centre(random: np.random.Generator) -> Doubles:
    """Choose where a palm is that fills a crop, (3,) metres: its distance decides on the
    perspective.
    """
    # Evenly by its logarithm: near hands, whose perspective is strong, are not the rare ones.
    logarithm = random.uniform(log(0.28), log(1.1))
    across, down = random.normal(0, 0.17, 2)
    return exp(logarithm) * np.array([across, down, 1.0])


def draw_scene_centre(
    camera: Camera,
    options: SceneOptions,
    random: np.random.Generator,
) -> Doubles:
    """Choose where a palm is in a scene, (3,) metres: anywhere in the picture, at any size."""
    # Evenly by its logarithm: each doubling of the size equally often.
    logarithm = random.uniform(log(options.smallest), log(options.largest))
    length = exp(logarithm) * min(camera.width, camera.height)
    distance = max(_NEAREST, camera.focal * _HAND_LENGTH / length)
    x = random.uniform(-0.5, 0.5) * camera.width
    y = random.uniform(-0.5, 0.5) * camera.height
    return distance * np.array([x / camera.focal, y / camera.focal, 1.0])


def crop_region(hand: PlacedHand, jitter: CropJitter, random: np.random.Generator) -> Rect:
    """Choose the square to look at a hand in, in the plane a metre before the camera.

    It follows from the landmarks, as from frame to frame, or from the palm, as in a track's first
    frame.
    """
    flat = (hand.keypoints[:, :2] / hand.keypoints[:, 2:]).astype(np.float32)
    if random.random() < jitter.palm_share:
        region = _palm_region(flat)
    else:
        region = region_from_landmarks(flat)
    across, down = random.normal(0, jitter.shift, 2) * region.width
    side = region.width * exp(random.normal(0, jitter.scale))
    turn = radians(random.normal(0, jitter.rotation))
    return Rect(
        x=region.x + float(across),
        y=region.y + float(down),
        width=side,
        height=side,
        angle=region.angle + turn,
    )


def _palm_region(points: Floats) -> Rect:
    """Return where a tracker looks for a hand (21, 2) whose palm was detected."""
    box, palm_points = palm_box(points)
    low = box[:2]
    high = box[2:]
    width, height = (high - low).tolist()
    x, y = ((high + low) / 2).tolist()
    return region_from_palm(Rect(x, y, width, height), palm_points.astype(np.float32))


def view_of(region: Rect, size: int) -> Doubles:
    """Return the matrix (2, 3) that brings a region upright to a square of ``size`` pixels."""
    scale = size / region.width
    c = scale * cos(region.angle)
    s = scale * sin(region.angle)
    turn = np.array([[c, s], [-s, c]])
    middle = size / 2 - turn @ (region.x, region.y)
    return np.concatenate([turn, middle[:, None]], axis=1)

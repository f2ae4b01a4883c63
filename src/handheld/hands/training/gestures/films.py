"""Plans of motion as pictures, for a tracker to look at."""

from collections.abc import Iterator

import numpy as np

from handheld.hands.training.gestures.motions import MotionPlan, MotionScene
from handheld.hands.training.render.backdrops import draw_backdrop
from handheld.hands.training.render.camera import Camera
from handheld.hands.training.render.sampling import draw_light
from handheld.hands.training.render.scene import Scene, draw, mean_colour
from handheld.hands.training.render.sources import RenderSources
from handheld.media import Frame

_WIDTH = 480
_HEIGHT = 360
_FOCAL = 375.0
"""Pixels: an angle of view of 65 degrees, as laptops have."""


def rendered_film(
    plan: MotionPlan,
    scene: MotionScene,
    sources: RenderSources,
    random: np.random.Generator,
    *,
    rate: float = 25.0,
) -> Iterator[Frame]:
    """Yield the frames of a plan, (360, 480, 3), in one room and by one camera.

    The camera is a good one: no noise, and hands in fast motion are as sharp as those at rest.

    Args:
        plan: what the hand does.
        scene: whose hand it is, and where.
        sources: of rooms.
        random: decides on room and light.
        rate: frames a second.
    """
    backdrop = draw_backdrop(sources, random, _WIDTH, _HEIGHT)
    light = draw_light(random, mean_colour(backdrop))
    for index in range(int(plan.seconds * rate)):
        seconds = index / rate
        picture = draw(
            Scene(
                hands=(scene.hand_at(plan.at(seconds)),),
                camera=Camera(_FOCAL, _WIDTH, _HEIGHT),
                backdrop=backdrop,
                light=light,
            )
        )
        yield Frame(picture.pixels, round(seconds * 1e6), index)

"""What a worker process needs to render pictures of one seed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from handheld.hands.training.labels import LabelledPicture
from handheld.hands.training.render.sources import open_sources
from handheld.hands.training.render.studio import CropOptions, SceneOptions, Studio
from handheld.ranges import MOST_SEED, whole_in_range

_MOST_PEOPLE = 2**63 - 1  # that numpy draws one of


@dataclass(frozen=True)
class RenderRecipe:
    """Rendered pictures of one seed.

    Attributes:
        seed: of all of them.
        options: says whether they are crops or scenes.
        folder: of meshes and pictures; by default ``hands`` in ``HANDHELD_DATA``.
        people: how many persons there are.

    Raises:
        InputError: no people or more than can be drawn from, or a seed that is none.
    """

    seed: int = 0
    options: CropOptions | SceneOptions = field(default_factory=CropOptions)
    folder: Path | None = None
    people: int = 256

    def __post_init__(self) -> None:
        whole_in_range("seed", self.seed, low=0, high=MOST_SEED)
        whole_in_range("people", self.people, low=1, high=_MOST_PEOPLE)

    def open(self) -> Callable[[int], LabelledPicture]:
        """Read what there is to draw, and return the function that makes picture i.

        Raises:
            InputError: no folder of meshes.
            ModelError: a mesh is missing or damaged.
        """
        # In the worker: meshes and pictures are read there, not sent to it.
        studio = Studio(open_sources(self.folder), self.seed, self.people)
        options = self.options
        if isinstance(options, CropOptions):
            return lambda index: studio.crop(index, options)
        return lambda index: studio.scene(index, options)

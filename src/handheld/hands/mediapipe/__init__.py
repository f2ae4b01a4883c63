"""MediaPipe's own calculators, under their names and with their options, for graphs from texts.

``MEDIAPIPE_CALCULATORS | LIBRARY`` runs ``hand_landmark_tracking_cpu.pbtxt`` as it stands. The
maths is that of the tracker; models and label maps come from files that the registry is given,
never from wherever a graph says. All run on the CPU, whatever delegate a graph asks for.
"""

from handheld.hands.mediapipe.registry import (
    MEDIAPIPE_CALCULATORS,
    calculators_of_files,
    mediapipe_calculators,
)
from handheld.hands.mediapipe.resources import (
    MEDIAPIPE_FILES,
    BundleFiles,
    FolderFiles,
    Resources,
)
from handheld.hands.mediapipe.values import (
    Classification,
    Detection,
    NormalizedRect,
    ResourceFile,
)

__all__ = [
    "MEDIAPIPE_CALCULATORS",
    "MEDIAPIPE_FILES",
    "BundleFiles",
    "Classification",
    "Detection",
    "FolderFiles",
    "NormalizedRect",
    "ResourceFile",
    "Resources",
    "calculators_of_files",
    "mediapipe_calculators",
]

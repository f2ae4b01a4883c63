"""OpenCV, where it is needed."""

from handheld.errors import MissingDependencyError

try:
    import cv2
except ImportError as error:
    raise MissingDependencyError(
        "opencv-python-headless", "hands", "drawing and warping pictures"
    ) from error

# Version 4 samples crops as the OpenCV inside MediaPipe does, to a 32nd of a pixel, so results
# agree best; 5 works too.

# A crop of 224 pixels gains nothing from threads, which would compete with the model's.
cv2.setNumThreads(1)

__all__ = ["cv2"]

"""What MediaPipe gives for a clip: (frames, 21, 2) pixels as ``.npy``; runs in the environment of
``_mediapipe_env.py``.

``python _mediapipe_points.py FRAMES.npy POINTS.npy``
"""

import sys

import numpy as np
from _mediapipe_worker import MediaPipe

if __name__ == "__main__":
    frames = np.load(sys.argv[1], mmap_mode="r")
    tracker = MediaPipe(1, "full", smoothing=False)
    height, width = frames.shape[1:3]
    found = [
        tracker.points(tracker.track(np.ascontiguousarray(image), 0), width, height)[0]
        for image in frames
    ]
    np.save(sys.argv[2], np.array(found))

"""Labels of hands in COCO's form, read into our JSON lines and written from them.

Pixels count as COCO's keypoints and ours do: whole numbers are the middles of pixels.
"""

from handheld.hands.training.coco.reading import CocoImport, read_coco
from handheld.hands.training.coco.writing import coco_of

__all__ = ["CocoImport", "coco_of", "read_coco"]

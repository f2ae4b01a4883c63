"""How the hand models are trained: rendered hands with exact truth, and the clip that ships with the package.

Internal to the room ``handheld.hands``. A picture is made in steps, each a file of pure functions: ``mesh``
(an arm at rest) -> ``skinning`` (moves it) by ``rig`` and ``poses`` (how a hand bends) -> ``convention``
(its 21 keypoints) -> ``render``, on ``raster`` and ``shade`` (a picture with depth). ``choreography`` and
``clip`` make the clip of them. numpy and OpenCV only: pictures for training are made on any machine.
"""

"""Rendered hands with exact truth: the clip that ships with the package, and pictures to train on.

A picture is made in steps, each a file of pure functions: ``mesh`` (an arm at rest) -> ``skinning``
(moves it) by ``rig`` and ``poses`` (how a hand bends) -> ``convention`` (its 21 keypoints) ->
``camera``, on ``raster`` and ``shade`` (a picture with depth). ``choreography`` and ``clip`` make the
clip of them. numpy and OpenCV only: pictures for training are made on any machine.
"""

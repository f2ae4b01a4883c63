"""Rendered hands with exact truth: pictures to train on, and the clip that ships with the package.

A picture is made in steps, each a file of pure functions. ``mesh`` and ``webxr`` (hands at rest) ->
``people`` (made somebody's) -> ``rig``, ``poses`` and ``skinning`` (bent) -> ``convention`` (its 21
keypoints) -> ``placing`` (before a camera) -> ``camera``, on ``raster`` and ``shade`` (seen) ->
``effects`` (photographed). ``sampling``, ``casting``, ``arrangement``, ``dressing`` and
``backdrops`` leave to chance what a picture shows; ``studio`` makes picture i of a seed;
``synthesis`` fills a folder.
"""

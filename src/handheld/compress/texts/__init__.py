"""Families for texts: a trainer network of any kind, and members of chosen sizes built on
``projection``.

The same targets, folder, report and ``pick`` as for pictures; see
``handheld.compress.run.compress``.
"""

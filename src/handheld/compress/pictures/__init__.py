"""Families for pictures: a large network, and members that share its weights or have their own.

``maker`` goes through the stages: a search for candidates, one joint training, each member for
itself, files. ``training`` is how networks learn here.
"""

"""Labelled pictures become what the networks learn from: photos, pseudo-labels,
crops, scenes, mixtures.
"""

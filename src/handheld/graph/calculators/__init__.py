"""Calculators that any graph needs, built on the public names of ``handheld.graph`` only."""

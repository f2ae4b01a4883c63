"""Charts as SVG: axes, curves, scatter with names and the Pareto front, bars, heat maps."""

"""Pages for people that show several rooms of the house; now the demo's (``python -m handheld.web.demo``)."""

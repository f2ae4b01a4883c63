"""The palm detector: its layers, anchors, loss, metrics, its training."""

"""The landmark network: its layers, its loss, its metrics, its training."""

"""Gestures to learn from and to measure with: rendered hands, photos of digits, made motion."""

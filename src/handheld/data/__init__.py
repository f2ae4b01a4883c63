"""Labelled data and its splits: folders of pictures by class, ``.npz`` arrays, tables of texts, Hugging Face data sets on disk.

``load`` reads any of them into ``Splits`` of ``Dataset``; what cannot be read is named, left out and counted. Nothing is
unpickled, and nothing is fetched.
"""

from handheld.data.dataset import Dataset, Skipped, Splits
from handheld.data.load import load

__all__ = ["Dataset", "Skipped", "Splits", "load"]

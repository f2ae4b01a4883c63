"""Labelled data and its splits: folders of pictures by class, ``.npz`` arrays, tables of texts,
Hugging Face data sets on disk.

``load`` reads any of them into ``Splits`` of ``Dataset``, ``load_split`` one split to report on,
``read_table`` one table of texts, and ``from_pairs`` what a program holds, such as a torch
``Dataset``; what cannot be read is named, left out and counted. Nothing is unpickled or fetched.
``users`` deals examples out to users.
"""

from handheld.data._loader import load, load_split
from handheld.data._tables import read_table
from handheld.data.dataset import Dataset, Skipped, Splits
from handheld.data.pairs import from_pairs
from handheld.data.users.partitions import Partition

__all__ = [
    "Dataset",
    "Partition",
    "Skipped",
    "Splits",
    "from_pairs",
    "load",
    "load_split",
    "read_table",
]

"""Whose examples are whose: ways to deal them out, how uneven a deal is, and data sets that have
users of their own.

``partitions`` deals examples out to users, ``skew`` says how unevenly; ``letters`` reads plays, a
role of which is a user, and ``sparse`` examples of few out of very many features.
"""

from handheld.data.users.partitions import Partition
from handheld.data.users.skew import skew_of

__all__ = ["Partition", "skew_of"]

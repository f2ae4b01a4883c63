"""A challenge that anyone can host: rules, submissions measured one at a time, a leaderboard.

``rules`` reads a folder and ``starter`` makes one; ``store`` keeps teams, submissions and
measurements in SQL; ``job`` measures in a process of its own, ``referee`` hands work out and takes
results in; ``board`` ranks; ``app`` answers in pages and over HTTP, ``client`` asks it.
"""

from handheld.bench.challenge.rules import ChallengeFolder, ChallengeRules
from handheld.bench.challenge.starter import write_challenge

__all__ = ["ChallengeFolder", "ChallengeRules", "write_challenge"]

"""From a simulation to a federation: its population as devices of their own, on this machine.

``write_rehearsal`` gives each device a folder with its examples, and the server a configuration;
``run_rehearsal`` lets them learn, each in a process of its own, over TLS.
"""

from handheld.federated.rehearsal.running import RehearsedRound, run_rehearsal
from handheld.federated.rehearsal.writing import Rehearsal, write_rehearsal

__all__ = ["Rehearsal", "RehearsedRound", "run_rehearsal", "write_rehearsal"]

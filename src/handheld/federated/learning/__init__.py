"""What devices do in a round.

``PopulationLearner`` is the seam: a population of devices, each with examples.
``modules.ModuleLearner`` trains any torch module. ``ClientWork`` says how long a device learns,
``ClientTask`` is what a server asks of it, ``Learned`` what it answers.
"""

from handheld.federated.learning.learner import ClientTask, ClientWork, Learned, PopulationLearner
from handheld.federated.learning.users import Examples, Users

__all__ = ["ClientTask", "ClientWork", "Examples", "Learned", "PopulationLearner", "Users"]

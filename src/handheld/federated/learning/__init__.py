"""What devices do in a round.

``Learner`` is the seam: a population of devices, each with examples. ``modules.ModuleLearner`` trains any torch module.
``Work`` says how long a device learns, ``Task`` is what a server asks of it, ``Learned`` what it answers.
"""

from handheld.federated.learning.learner import Learned, Learner, Task, Work
from handheld.federated.learning.users import Examples, Users

__all__ = ["Examples", "Learned", "Learner", "Task", "Users", "Work"]

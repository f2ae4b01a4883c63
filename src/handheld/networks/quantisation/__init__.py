"""Training that knows of eight bits, and which layers cannot do with them.

``fold`` and ``fake_quantise`` rebuild a network so that it computes as its int8 file will;
``sensitivity`` ranks its layers. The file itself is written by ``compile.to_tflite``.
"""

from handheld.networks.quantisation.fake import fake_quantise, without_fakes
from handheld.networks.quantisation.fold import FxNet, fold
from handheld.networks.quantisation.sensitivity import sensitivity

__all__ = ["FxNet", "fake_quantise", "fold", "sensitivity", "without_fakes"]

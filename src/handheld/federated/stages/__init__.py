"""What happens to an update on its way into the sum, and to the sum on its way into the model.

Each stage has one method for a device's update and one for the sum; ``StageChain`` puts them one
after another, and refuses orders that make no sense: noise where lengths are not bounded, whole
numbers that could go around.
"""

from handheld.federated.stages.clip import AdaptiveClip, Clip
from handheld.federated.stages.noise import CentralNoise, LocalNoise, TreeNoise
from handheld.federated.stages.stage import (
    Memory,
    PlainStage,
    Stage,
    StageSeeds,
    Update,
    UpdateFacts,
    Upload,
    WireStage,
)
from handheld.federated.stages.stages import StageChain, promise
from handheld.federated.stages.wire import Compressed, Structured, WholeNumbers

__all__ = [
    "AdaptiveClip",
    "CentralNoise",
    "Clip",
    "Compressed",
    "LocalNoise",
    "Memory",
    "PlainStage",
    "Stage",
    "StageChain",
    "StageSeeds",
    "Structured",
    "TreeNoise",
    "Update",
    "UpdateFacts",
    "Upload",
    "WholeNumbers",
    "WireStage",
    "promise",
]

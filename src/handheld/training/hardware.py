"""What the machine is good at."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn


def device() -> torch.device:
    """Return the accelerator, if there is one, or else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")


def device_of(network: nn.Module) -> torch.device:
    """Return where the weights of a network are; one without weights is on the CPU."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def autocast(target: torch.device) -> AbstractContextManager[None]:
    """Compute in bfloat16 where the hardware multiplies it.

    Accelerators do, and CPUs with AVX-512 BF16, 2 to 3 times faster. On other CPUs bfloat16 is
    emulated, and ten times slower than float32.
    """
    # torch has no public way to ask a CPU for this
    is_fast = target.type == "cuda" or (
        target.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    )
    if is_fast:
        return torch.autocast(target.type, torch.bfloat16)
    return nullcontext()

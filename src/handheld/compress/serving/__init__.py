"""Compression as a service: a form, its limits, and the job behind it, for the server of
``handheld.service``.

``job_kind`` is what ``service.serve`` answers for. A model is a network of this package by name,
with weights in safetensors if there are some, or an ONNX file that is only read; never a pickle.
Only a job's own process imports torch.
"""

from handheld.compress.serving.form import job_kind
from handheld.compress.serving.limits import CompressLimits

__all__ = ["CompressLimits", "job_kind"]

"""A model file before it is submitted: whether it can take part, each fault in one line.

``file`` asks what the file says of itself, ``sandbox`` how it behaves in a process of its own;
nothing of it ever runs in this one.
"""

from handheld.bench.validate.file import SubmissionRules, file_faults
from handheld.bench.validate.sandbox import ValidationReport, validate_model

__all__ = ["SubmissionRules", "ValidationReport", "file_faults", "validate_model"]
